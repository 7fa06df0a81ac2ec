import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { BYTES_AN_ASK, MIN_ASKS, MIN_FRAME_BYTES, reconcile } from "../../src/nostr/negentropy.ts";
import { RecordSet } from "../../src/nostr/record-set.ts";
import { isReason } from "../../src/nostr/reason.ts";
import { hexDigits } from "../support/arbitrary.ts";
import { NegentropyClient, type Record } from "../support/negentropy.ts";

const WIDE = { frameBytes: 64 * 1024, asks: 62 };
const NARROW = { frameBytes: MIN_FRAME_BYTES, asks: MIN_ASKS };
const END = [0, 0];
const ALL_IDS_OF_NOTHING = Uint8Array.of(0x61, ...END, 2, 0);

function inOrder(a: Record, b: Record): number {
  return a.created_at - b.created_at || (a.id < b.id ? -1 : 1);
}

function setOf(records: readonly Record[]): RecordSet {
  const set = new RecordSet(records.length);
  for (const { created_at, id } of records.toSorted(inOrder)) set.add(created_at, id);
  return set;
}

function answerOf(set: RecordSet, message: Uint8Array, limits = WIDE): Uint8Array {
  const answer = reconcile(set, message, limits);
  if (isReason(answer)) throw new Error(answer);
  return answer;
}

function said(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

// Few times, so that many records share theirs; ids that begin alike, so that bounds need several bytes.
const record = fc.record({
  created_at: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 2_000_000_000 })),
  id: fc.oneof(
    hexDigits(64),
    hexDigits(2).map((end) => "ab".repeat(31) + end),
  ),
});
const records = fc.uniqueArray(record, { selector: ({ id }) => id, maxLength: 400 });

/** Records enough for several levels, cheaply made: what they are follows from a number each. */
function manyRecords(count: number, seed: number): Record[] {
  const random = Math.imul(seed | 1, 0x9e3779b1);
  return Array.from({ length: count }, (_, n) => {
    let state = random ^ Math.imul(n + 1, 0x85ebca6b);
    const words = Array.from({ length: 8 }, () => {
      state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + n;
      return (state >>> 0).toString(16).padStart(8, "0");
    });
    const id = n.toString(16).padStart(8, "0") + words.slice(1).join("");
    return { created_at: 1_700_000_000 + ((state >>> 0) % 1_000), id };
  });
}

/** What a client finds that reconciles with us, and what it should. */
async function differences(
  [ours, theirs]: readonly [readonly Record[], readonly Record[]],
  limits = WIDE,
  clientFrame = 60_000,
): Promise<{ found: unknown; expected: unknown; rounds: number }> {
  const set = setOf(ours);
  const client = new NegentropyClient(theirs, clientFrame);
  const { rounds, ...found } = await client.reconcile((message) => {
    const answer = answerOf(set, Buffer.from(message, "hex"), limits);
    expect(answer.length).toBeLessThanOrEqual(limits.frameBytes);
    return said(answer);
  });
  const expected = { have: idsOf(theirs, ours), need: idsOf(ours, theirs) };
  return { found, expected, rounds };
}

function idsOf(these: readonly Record[], without: readonly Record[]): string[] {
  const others = new Set(without.map(({ id }) => id));
  return these
    .map(({ id }) => id)
    .filter((id) => !others.has(id))
    .sort();
}

describe("reconciling with nostr-tools", () => {
  const limits = fc.record({
    frameBytes: fc.integer({ min: MIN_FRAME_BYTES, max: 20_000 }),
    asks: fc.integer({ min: MIN_ASKS, max: 80 }),
  });
  const shares = fc.tuple(fc.nat({ max: 10 }), fc.nat({ max: 10 }));

  it("finds the differences of any two sets, and no others", async () => {
    const sides = fc.tuple(records, fc.array(fc.boolean()), records).map(([a, keeps, b]) => {
      const shared = a.filter((_, n) => keeps[n] === true);
      const known = new Set(a.map(({ id }) => id));
      return [a, [...shared, ...b.filter(({ id }) => !known.has(id))]] as const;
    });
    await fc.assert(
      fc.asyncProperty(sides, async ([a, b]) => {
        const { found, expected } = await differences([a, b]);
        expect(found).toEqual(expected);
      }),
    );
  });

  it("finds them in bounded rounds and bounded answers, however little fits into one", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: 3_000 }),
        fc.nat(),
        shares,
        limits,
        fc.constantFrom(4_096, 60_000),
        async (count, seed, [here, there], given, clientFrame) => {
          const all = manyRecords(count, seed);
          const part = (tenths: number, at: number): Record[] =>
            all.filter(({ id }) => Number.parseInt(id.slice(at, at + 4), 16) % 10 < tenths);
          const sides = [part(here, 10), part(there, 20)] as const;
          const { found, expected, rounds } = await differences(sides, given, clientFrame);
          expect(found).toEqual(expected);
          expect(rounds).toBeLessThanOrEqual(20 + count / 20);
        },
      ),
      { numRuns: 40 },
    );
  });

  it("finds half of 5,000 in a few rounds, and asks for no more than fits into a message", async () => {
    const all = manyRecords(5_000, 7);
    const set = setOf(all);
    const client = new NegentropyClient(
      all.filter((_, n) => n % 2 === 0),
      1024 * 1024,
    );
    const { have, need, rounds } = await client.reconcile((message) => {
      expect(message.length / 2).toBeLessThanOrEqual(WIDE.asks * BYTES_AN_ASK);
      return said(answerOf(set, Buffer.from(message, "hex")));
    });
    expect([have.length, need.length]).toEqual([0, 2_500]);
    expect(rounds).toBeLessThanOrEqual(10);
  });

  it("says nothing but its version when both have the same", () => {
    const all = manyRecords(1_000, 1);
    const client = new NegentropyClient(all);
    expect(said(answerOf(setOf(all), Buffer.from(client.begin(), "hex")))).toBe("61");
  });

  it("says nothing but its version when both have the same few", () => {
    const few = manyRecords(20, 1);
    const client = new NegentropyClient(few);
    expect(said(answerOf(setOf(few), Buffer.from(client.begin(), "hex")))).toBe("61");
  });
});

describe("a set of records", () => {
  it("tells all ids to who has none", () => {
    const [one, two] = ["11".repeat(32), "22".repeat(32)];
    const set = setOf([
      { created_at: 5, id: two },
      { created_at: 9, id: one },
    ]);
    expect(said(answerOf(set, ALL_IDS_OF_NOTHING))).toBe(`6100000202${two}${one}`);
  });

  it("has no records out of order", () => {
    const set = new RecordSet(3);
    set.add(5, "11".repeat(32));
    expect(() => set.add(5, "11".repeat(32))).toThrow("order");
    expect(() => set.add(4, "22".repeat(32))).toThrow("order");
    set.add(5, "12".repeat(32));
  });
});

describe("a message", () => {
  const set = setOf(manyRecords(100, 3));
  const MAX_VARINT = [0x8f, ...Array.from({ length: 6 }, () => 0xff), 0x7f];

  it.each([0x60, 0x62, 0x6f])("of version %i is answered with ours", (version) => {
    expect(said(answerOf(set, Uint8Array.of(version, 1, 2, 3)))).toBe("61");
  });

  it.each([
    ["that is empty", [], "invalid: not a message of the negentropy protocol"],
    ["of another protocol", [0x7b], "invalid: not a message of the negentropy protocol"],
    ["without a mode", [0x61, 0, 0], "invalid: the negentropy message ends too early"],
    [
      "with half a fingerprint",
      [0x61, 0, 0, 1, 9],
      "invalid: the negentropy message ends too early",
    ],
    ["with half a number", [0x61, 0x80], "invalid: the negentropy message ends too early"],
    ["with half a bound", [0x61, 1, 9, 1], "invalid: the negentropy message ends too early"],
    [
      "with fewer ids than it says",
      [0x61, ...END, 2, ...MAX_VARINT, 1],
      "invalid: the negentropy message ends too early",
    ],
    ["with an unknown mode", [0x61, 0, 0, 3], "invalid: a range has an unknown mode"],
    ["with a bound of 33 bytes", [0x61, 1, 33], "invalid: a bound is longer than an id"],
    [
      "with ranges out of order",
      [0x61, 5, 1, 9, 0, 1, 1, 8, 0],
      "invalid: ranges are out of order",
    ],
    [
      "with a range behind the last",
      [0x61, 0, 0, 0, 1, 0, 0],
      "invalid: a range follows the last one",
    ],
    [
      "with a number beyond 2^53",
      [0x61, 0x90, ...MAX_VARINT],
      "invalid: a number in the negentropy message is too large",
    ],
    [
      "with times that add up to one beyond 2^53",
      [0x61, ...MAX_VARINT, 0, 0, ...MAX_VARINT, 0, 0],
      "invalid: a number in the negentropy message is too large",
    ],
  ])("%s is refused", (_, bytes, reason) => {
    expect(reconcile(set, Uint8Array.from(bytes), WIDE)).toBe(reason);
  });

  it("of whatever bytes has an answer within the bounds, or is refused", () => {
    const message = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .array(
          fc.oneof(
            fc.constantFrom([0, 0, 0], [0, 0, 2, 0], [1, 0, 2, 0], [1, 0, 0], [2, 1, 7, 2, 0]),
            fc.constant([1, 0, 1, ...Array.from({ length: 16 }, () => 9)]),
            fc.array(fc.nat({ max: 255 }), { maxLength: 5 }),
          ),
          { maxLength: 3_000 },
        )
        .map((ranges) => Uint8Array.from(ranges.flat())),
    );
    fc.assert(
      fc.property(message, fc.constantFrom(WIDE, NARROW), (bytes, limits) => {
        const answer = reconcile(set, Uint8Array.of(0x61, ...bytes), limits);
        const isFine = isReason(answer)
          ? answer.startsWith("invalid: ")
          : answer.length <= limits.frameBytes;
        expect(isFine).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});
