// A message of the negentropy protocol (NIP-77, appendix) about a set. What is answered is read once more by the plainest reading of the appendix: every list
// of ids and every fingerprint in it is worked out anew from the records.

import { hash } from "node:crypto";

import { MIN_ASKS, MIN_FRAME_BYTES, reconcile } from "../../../../src/nostr/negentropy.ts";
import { isReason } from "../../../../src/nostr/reason.ts";
import { RecordSet } from "../../../../src/nostr/record-set.ts";
import { NegentropyClient, type Record } from "../../../support/negentropy.ts";
import { must, type Target } from "../target.ts";

const LIMITS = { frameBytes: MIN_FRAME_BYTES, asks: MIN_ASKS };

const RECORDS: readonly Record[] = Array.from({ length: 300 }, (_, n) => ({
  // Several share a time, and some of those the beginning of their ids.
  created_at: n < 150 ? 1_000 + (n >> 3) : 1_700_000_000 + 61 * (n >> 2),
  id:
    (n % 3 === 0 ? "ab".repeat(31) : hash("sha256", String(n)).slice(2)) +
    (n & 255).toString(16).padStart(2, "0"),
})).sort((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1));

const SET = new RecordSet(RECORDS.length);
for (const { created_at, id } of RECORDS) SET.add(created_at, id);

function first(records: readonly Record[]): string {
  return Buffer.from(new NegentropyClient(records).begin(), "hex").toString("latin1");
}

export const target: Target = {
  seeds: [
    "a",
    "a\0\0\x02\0",
    "b",
    first([]),
    first(RECORDS),
    first(RECORDS.slice(0, 20)),
    first(RECORDS.filter((_, n) => n % 2 === 0)),
    second(RECORDS.filter((_, n) => n % 7 !== 0)),
  ],
  words: [
    "\0",
    "\x01",
    "\x02",
    "\x80",
    "\xff\xff\xff\xff\xff\xff\xff\x7f",
    "\0\0\x01",
    "\0\0\x02",
    "\x87h\x20",
    "\x88\x00",
  ],
  maxChars: 16_384,
  // An answer is bounded by its frame, not by what is asked.
  steps: { fixed: 60_000, perChar: 20 },
  check(text) {
    const answer = reconcile(SET, Buffer.from(text, "latin1"), LIMITS);
    if (isReason(answer)) return must(answer.startsWith("invalid: "), "another kind of refusal");
    must(answer.length <= LIMITS.frameBytes, "more than an answer may have");
    mustBeTrue(answer);
  },
};

// What a client answers to what is answered to its first message.
function second(records: readonly Record[]): string {
  const client = new NegentropyClient(records);
  const answer = reconcile(SET, Buffer.from(client.begin(), "hex"), LIMITS) as Uint8Array;
  return Buffer.from(client.next(Buffer.from(answer).toString("hex")) ?? "", "hex").toString(
    "latin1",
  );
}

/** Reads an answer, and looks whether what it says of each range is so. */
function mustBeTrue(answer: Uint8Array): void {
  must(answer[0] === 0x61, "another version");
  let at = 1;
  const byte = (): number => {
    must(at < answer.length, "an answer that ends too early");
    return answer[at++] as number;
  };
  const varint = (): number => {
    let value = 0;
    for (;;) {
      const digit = byte();
      value = value * 128 + (digit & 127);
      if (digit < 128) return value;
    }
  };
  const bytes = (count: number): string => {
    must(at + count <= answer.length, "an answer that ends too early");
    at += count;
    return Buffer.from(answer.subarray(at - count, at)).toString("hex");
  };
  let from = 0;
  let time = 0;
  while (at < answer.length) {
    must(time !== Infinity, "a range behind the last one");
    const encoded = varint();
    time = encoded === 0 ? Infinity : time + encoded - 1;
    const prefix = bytes(varint());
    const end = RECORDS.findIndex(({ created_at, id }) =>
      created_at !== time ? created_at > time : id >= prefix.padEnd(64, "0"),
    );
    const range = RECORDS.slice(from, end < 0 ? undefined : end);
    from += range.length;
    const mode = varint();
    must(mode <= 2, "an unknown mode");
    if (mode === 1) must(bytes(16) === fingerprint(range), "a fingerprint of something else");
    if (mode !== 2) continue;
    const ids = Array.from({ length: varint() }, () => bytes(32));
    must(ids.join() === range.map(({ id }) => id).join(), "ids that are not those of the range");
  }
}

function fingerprint(range: readonly Record[]): string {
  let sum = 0n;
  for (const { id } of range) sum += BigInt(`0x${reversed(id)}`);
  const bytes = Buffer.from(reversed((sum % 2n ** 256n).toString(16).padStart(64, "0")), "hex");
  const count =
    range.length < 128 ? [range.length] : [128 | (range.length >> 7), range.length & 127];
  return hash("sha256", Buffer.concat([bytes, Buffer.from(count)])).slice(0, 32);
}

function reversed(hex: string): string {
  return Buffer.from(Buffer.from(hex, "hex").toReversed()).toString("hex");
}
