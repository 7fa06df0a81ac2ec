import { describe, expect, it } from "vitest";

import { parseAcknowledgement } from "../../src/nostr/acknowledgement.ts";
import {
  CLOCK_SKEW_SECONDS,
  type RetentionRule,
  TIMESTAMP_FUZZ_SECONDS,
} from "../../src/nostr/drop.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";

const MAX_IDS = 3;
const NOW = 1_700_000_000;
const DAY = 24 * 3_600;
const RULE: RetentionRule = [{ upTo: Infinity, seconds: 30 * DAY }];
const BOB = "b".repeat(64);
const IDS = ["1", "2", "3", "4"].map((digit) => digit.repeat(64));
const [FIRST = "", SECOND = "", THIRD = ""] = IDS;
const e = (id: string): string[] => ["e", id];
const MALFORMED = ["x", "", FIRST.slice(1), "F".repeat(64), `${FIRST}0`];

function parse(
  kind: number,
  tags: readonly (readonly string[])[],
  created_at = NOW,
  rule: RetentionRule = RULE,
) {
  const event: NostrEvent = {
    id: "f".repeat(64),
    pubkey: BOB,
    created_at,
    kind,
    tags,
    content: "",
    sig: "e".repeat(128),
  };
  return parseAcknowledgement(event, { maxIds: MAX_IDS, rule, now: NOW });
}

describe("an acknowledgement", () => {
  it("names its signer and the ids, each once, in their order", () => {
    const tags = [
      e(SECOND),
      ["e", FIRST, "wss://relay.example"],
      e(SECOND),
      ["p", BOB],
      ["E", "x"],
    ];
    expect(parse(20221, tags)).toEqual({ signer: BOB, ids: [SECOND, FIRST], deletion: false });
  });

  it.each([20221, 5])("of kind %i takes effect at its grace, the earliest of several", (kind) => {
    const tags = [["grace", "20"], e(FIRST), ["grace", "10"], ["grace", "30"]];
    const deletion = kind === 5;
    expect(parse(kind, tags)).toEqual({ signer: BOB, ids: [FIRST], at: 10, deletion });
  });

  it.each([20221, 5])("of kind %i may have the first second of Unix time as its grace", (kind) => {
    expect(parse(kind, [e(FIRST), ["grace", "0"]])).toHaveProperty("at", 0);
  });

  it("of a client of before has its grace in an expiration, and takes effect at the earliest of both", () => {
    expect(parse(20221, [e(FIRST), ["expiration", "10"]])).toHaveProperty("at", 10);
    for (const [grace, expiration] of [
      ["10", "20"],
      ["20", "10"],
    ] as const) {
      const tags = [e(FIRST), ["grace", grace], ["expiration", expiration]];
      expect(parse(20221, tags)).toHaveProperty("at", 10);
    }
  });

  it.each([
    [20221, "grace"],
    [5, "grace"],
    [20221, "expiration"],
  ])("of kind %i is refused for a malformed %s tag", (kind, name) => {
    for (const tag of [[name], [name, ""], [name, "-1"], [name, "soon"]]) {
      expect(parse(kind, [e(FIRST), ["grace", "10"], tag])).toEqual({
        reason: `invalid: malformed ${name} tag`,
      });
    }
  });

  // The longest retention holds events of before, or is today's.
  it.each([
    [20221, "today's", [DAY, 30 * DAY]],
    [20221, "the former", [30 * DAY, DAY]],
    [5, "today's", [DAY, 30 * DAY]],
    [5, "the former", [30 * DAY, DAY]],
  ])(
    "of kind %i speaks of unseen drops while one it could name may be accepted, %s retention being the longest",
    (kind, _, [former = 0, current = 0]) => {
      const rule = [
        { upTo: NOW - DAY, seconds: former },
        { upTo: Infinity, seconds: current },
      ];
      const oldest = NOW - TIMESTAMP_FUZZ_SECONDS - CLOCK_SKEW_SECONDS - 30 * DAY;
      const newest = NOW + CLOCK_SKEW_SECONDS;
      const signed = [oldest - 1, oldest, newest, newest + 1];
      const remembers = signed.map((at) => {
        const parsed = parse(kind, [e(FIRST)], at, rule);
        return "reason" in parsed ? parsed.reason : parsed.remembersUnseen;
      });
      expect(remembers).toEqual([false, undefined, undefined, false]);
    },
  );

  it.each(MALFORMED)("is refused for the malformed id %j among good ones", (id) => {
    expect(parse(20221, [e(FIRST), e(id), e(SECOND)])).toEqual({
      reason: "invalid: an e tag must hold 64 lowercase hex digits",
    });
  });

  it("is refused for an e tag without a value", () => {
    expect(parse(20221, [e(FIRST), ["e"]])).toHaveProperty("reason");
  });

  it.each([20221, 5])("of kind %i may name as many ids as allowed, and not one more", (kind) => {
    const within = parse(
      kind,
      [FIRST, SECOND, THIRD].map((id) => e(id)),
    );
    expect(within).toHaveProperty("ids", [FIRST, SECOND, THIRD]);
    expect(
      parse(
        kind,
        IDS.map((id) => e(id)),
      ),
    ).toEqual({
      reason: "invalid: 4 ids in one acknowledgement, the limit is 3",
    });
  });

  it("is refused when it names nothing", () => {
    expect(parse(20221, [["p", BOB]])).toEqual({
      reason: "invalid: acknowledgement without an e tag",
    });
  });
});

describe("a deletion", () => {
  it.each([...MALFORMED, undefined])("is good for its other ids beside %j", (id) => {
    const malformed = id === undefined ? ["e"] : e(id);
    expect(parse(5, [e(FIRST), malformed, e(SECOND), ["k", "1059"]])).toEqual({
      signer: BOB,
      ids: [FIRST, SECOND],
      deletion: true,
    });
  });

  it("has no grace in its expiration, which is its own (NIP-40)", () => {
    for (const expiration of ["10", "soon"]) {
      expect(parse(5, [e(FIRST), ["k", "1059"], ["expiration", expiration]])).toEqual({
        signer: BOB,
        ids: [FIRST],
        deletion: true,
      });
    }
  });

  it("may name no event at all, only addresses that a dead drop does not hold", () => {
    expect(parse(5, [["a", `30023:${BOB}:post`]])).toEqual({
      signer: BOB,
      ids: [],
      deletion: true,
    });
  });

  it("speaks of drops when one of its k tags names a kind that is held", () => {
    const tags = [e(FIRST), ["k", "1"], ["k", "4"]];
    expect(parse(5, tags)).toEqual({ signer: BOB, ids: [FIRST], deletion: true });
  });

  it.each([
    [["k", ""]],
    [["k", "soon"]],
    [["k"]],
    [["k", "13"]],
    [["k", "14"]],
    [["k", "15"]],
    [["k", "18"]],
  ])("speaks of drops when its k tags name no kind, or what is inside a wrap: %j", (tag) => {
    expect(parse(5, [e(FIRST), tag])).toEqual({ signer: BOB, ids: [FIRST], deletion: true });
  });

  it.each([[["k", "1"]], [["k", "30023"]]])(
    "has nothing remembered that never came here when its k tags name other kinds alone: %j",
    (tag) => {
      expect(parse(5, [e(FIRST), tag])).toEqual({
        signer: BOB,
        ids: [FIRST],
        deletion: true,
        remembersUnseen: false,
      });
    },
  );
});

describe("an acknowledgement of kind 20221", () => {
  it("speaks of drops whatever its k tags name", () => {
    expect(parse(20221, [e(FIRST), ["k", "1"]])).toHaveProperty("ids", [FIRST]);
  });
});
