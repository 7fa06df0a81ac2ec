// An event (NIP-01), its two texts and its id.

import { hash } from "node:crypto";

import { serializeEvent, validateEvent } from "nostr-tools/pure";

import { parseEvent, peekId, writeEvent } from "../../../../src/nostr/event.ts";
import { inLetter, isIdOf, preimageOf } from "../../../../src/nostr/event-id.ts";
import { isReason } from "../../../../src/nostr/reason.ts";
import { EVENTS, EVENTS_OF_NOSTR_TOOLS } from "../differences.ts";
import { idOf, isEvent, serialized } from "../nip01.ts";
import { must, mustAgree, type Target } from "../target.ts";

const HEX = "0123456789abcdef".repeat(4);

function seed(change: object): string {
  const event = {
    id: HEX,
    pubkey: HEX,
    created_at: 1_700_000_000,
    kind: 1059,
    tags: [["p", HEX]],
    content: "ciphertext",
    sig: HEX + HEX,
  };
  return JSON.stringify({ ...event, ...change });
}

export const target: Target = {
  seeds: [
    seed({}),
    seed({ kind: 0, created_at: 0, tags: [], content: "" }),
    seed({ tags: [["p", HEX, "wss://x"], ["-"], ["expiration", "1700000000"]] }),
    seed({ content: '\b\t\n\f\r"\\/\u0000\u0001\u001f\u007f\u2028\u{1f600}\\u0001' }),
    seed({ more: "than NIP-01 names" }),
    "null",
    "[]",
    '{"id":"x"}',
  ],
  words: [
    `"${HEX}"`,
    '"id":"',
    "\\u0000",
    "\\ud800",
    "\\u001f",
    "\\\\u0001",
    "\u0001",
    ",",
    '"',
    "[]",
  ],
  isJson: true,
  steps: { fixed: 1_000, perChar: 4 },
  check(text) {
    must((peekId(text) ?? "").length <= 64, "a glimpse of an id longer than an id");
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return;
    }
    const event = parseEvent(value);
    const ours = !isReason(event);
    mustAgree({ ours, theirs: isEvent(value), value }, EVENTS, "NIP-01");
    mustAgree(
      { ours, theirs: validateEvent(value as never), value },
      EVENTS_OF_NOSTR_TOOLS,
      "nostr-tools",
    );
    if (isReason(event)) return;

    const { json, preimage } = writeEvent(event);
    const again = parseEvent(JSON.parse(json));
    must(
      !isReason(again) && writeEvent(again).json === json,
      "written and read again it is another event",
    );
    must(
      !/\s/.test(json.replaceAll(/"(?:[^"\\]|\\.)*"/gs, "")),
      "white space between what is written",
    );
    const copy = { ...event, tags: event.tags.map((tag) => [...tag]) };
    must(preimage === preimageOf(event), "two preimages");
    must(preimage === serializeEvent(copy), "another preimage than nostr-tools has");
    must(inLetter(preimage) === serialized(copy), "another preimage than NIP-01 has to the letter");
    must(isIdOf(sha256(preimage), preimage, sha256), "its id is none");
    must(isIdOf(idOf(copy), preimage, sha256), "its id by NIP-01 is none");
    must(!isIdOf(event.id, preimage, sha256), "an id that is not its hash");
  },
};

function sha256(text: string): string {
  return hash("sha256", text);
}
