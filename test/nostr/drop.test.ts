import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  CLOCK_SKEW_SECONDS,
  expiryOf,
  farthestExpiry,
  lastExpiry,
  parseUnixTime,
  recipientOf,
  type RetentionRule,
  TIMESTAMP_FUZZ_SECONDS,
  untimely,
} from "../../src/nostr/drop.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import { retentionRule } from "../support/arbitrary.ts";

const BOB = "b".repeat(64);
const CAROL = "c".repeat(64);
const DAY = 24 * 3_600;
const RETENTION = 30 * DAY;
const RULE: RetentionRule = [{ upTo: Infinity, seconds: RETENTION }];
const CREATED = 1_700_000_000;
const LATEST = CREATED + 2 * 24 * 3_600 + RETENTION;

function drop(tags: readonly (readonly string[])[], created_at = CREATED): NostrEvent {
  const [id, pubkey, sig] = ["1".repeat(64), "2".repeat(64), "3".repeat(128)];
  return { id, pubkey, created_at, kind: 1059, tags, content: "", sig };
}

describe("the recipient of a drop", () => {
  it("is the key in its one p tag, wherever that stands and whatever follows", () => {
    expect(recipientOf(drop([["p", BOB]]))).toBe(BOB);
    expect(
      recipientOf(
        drop([
          ["e", CAROL],
          ["p", BOB, "wss://relay.example"],
          ["P", CAROL],
        ]),
      ),
    ).toBe(BOB);
  });

  it.each([
    ["there is no tag", []],
    ["there is another tag alone", [["P", BOB]]],
    ["there is a tag whose name begins like it", [["pp", BOB]]],
  ])("is missing when %s", (_, tags) => {
    expect(recipientOf(drop(tags))).toEqual({
      reason: "invalid: a drop needs a p tag with its recipient",
    });
  });

  it.each([
    [
      "two recipients",
      [
        ["p", BOB],
        ["p", CAROL],
      ],
    ],
    [
      "the same one twice",
      [
        ["p", BOB],
        ["p", BOB],
      ],
    ],
    [
      "one that is malformed",
      [
        ["p", BOB],
        ["p", "x"],
      ],
    ],
    ["a p tag without a value beside the good one", [["p"], ["p", BOB]]],
  ])("is refused when there are two p tags: %s", (_, tags) => {
    expect(recipientOf(drop(tags))).toEqual({ reason: "invalid: a drop has exactly one p tag" });
  });

  it.each([
    [["p"]],
    [["p", ""]],
    [["p", BOB.toUpperCase()]],
    [["p", BOB.slice(1)]],
    [["p", `${BOB}b`]],
    [["p", "x".repeat(64)]],
  ])("is refused when the p tag holds no key: %j", (tag) => {
    expect(recipientOf(drop([tag]))).toEqual({
      reason: "invalid: the p tag must be a key of 64 lowercase hex digits",
    });
  });
});

describe("the expiry of a drop", () => {
  it("is two days and the retention after its created_at", () => {
    expect(expiryOf(drop([["p", BOB]]), RULE)).toBe(LATEST);
  });

  it.each([
    ["one second before", LATEST - 1, LATEST - 1],
    ["the very same second", LATEST, LATEST],
    ["one second after", LATEST + 1, LATEST],
    ["long after", 999_999_999_999_999, LATEST],
    ["before the drop was made", CREATED - 1, CREATED - 1],
    ["the first second of Unix time", 0, 0],
  ])("is bounded by an expiration tag, never extended: %s", (_, expiration, expiry) => {
    expect(expiryOf(drop([["expiration", String(expiration)]]), RULE)).toBe(expiry);
  });

  it("is the earliest of several expiration tags, in any order", () => {
    const seconds = fc.array(fc.nat({ max: 2 * LATEST }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(seconds, (expirations) => {
        const tags = expirations.map((second) => ["expiration", String(second), "and more"]);
        expect(expiryOf(drop(tags), RULE)).toBe(Math.min(LATEST, ...expirations));
      }),
    );
  });

  const MALFORMED = [
    "",
    " ",
    "soon",
    "-1",
    "+1",
    "1.5",
    "1e9",
    "0x10",
    " 1",
    "1 ",
    "1\n",
    "١",
    "1".repeat(16),
  ];
  it.each(MALFORMED)("is refused for a malformed expiration: %j", (value) => {
    expect(expiryOf(drop([["expiration", value]]), RULE)).toEqual({
      reason: "invalid: malformed expiration tag",
    });
    expect(parseUnixTime(value)).toBeUndefined();
  });

  it("is refused for an expiration tag without a value", () => {
    expect(expiryOf(drop([["expiration"]]), RULE)).toEqual({
      reason: "invalid: malformed expiration tag",
    });
  });

  it("is refused for one malformed expiration among good ones, first or last", () => {
    const good = ["expiration", String(CREATED + 60)];
    for (const tags of [
      [good, ["expiration", "x"]],
      [["expiration", "x"], good],
    ]) {
      expect(expiryOf(drop(tags), RULE)).toEqual({ reason: "invalid: malformed expiration tag" });
    }
  });

  it("keeps the retention under which a drop could first be accepted", () => {
    const rule = [
      { upTo: CREATED, seconds: 10 },
      { upTo: CREATED + 100, seconds: 20 },
      { upTo: Infinity, seconds: 30 },
    ];
    const retained = [0, 1, 100, 101].map(
      (later) =>
        (expiryOf(drop([], CREATED + later), rule) as number) -
        (CREATED + later + TIMESTAMP_FUZZ_SECONDS),
    );
    expect(retained).toEqual([10, 20, 20, 30]);
  });
});

describe("the farthest expiry", () => {
  it("is that of the newest drop acceptable now", () => {
    expect(farthestExpiry(CREATED, RULE)).toBe(LATEST + CLOCK_SKEW_SECONDS);
  });

  it("is passed by no drop that can be accepted now", () => {
    fc.assert(
      fc.property(fc.nat({ max: 1_500 }), retentionRule, (now, rule) => {
        expect(farthestExpiry(now, rule)).toBeGreaterThanOrEqual(
          lastExpiry(now + CLOCK_SKEW_SECONDS, rule),
        );
      }),
    );
  });

  it.each([
    ["lowered", 30, 1],
    ["raised", 1, 30],
  ])("is that of the longest retention in force after it was %s", (_, former, current) => {
    const rule = [
      { upTo: CREATED - DAY, seconds: former * DAY },
      { upTo: Infinity, seconds: current * DAY },
    ];
    expect(farthestExpiry(CREATED, rule)).toBe(LATEST + CLOCK_SKEW_SECONDS);
  });
});

describe("the last expiry", () => {
  it("is reached by some drop of before, and passed by none", () => {
    fc.assert(
      fc.property(fc.nat({ max: 2_400 }), retentionRule, (createdAt, rule) => {
        let last = 0;
        for (let created = 0; created <= createdAt; created++) {
          last = Math.max(last, expiryOf(drop([], created), rule) as number);
        }
        expect(lastExpiry(createdAt, rule)).toBe(last);
      }),
    );
  });
});

describe("the time of a drop", () => {
  const now = CREATED;

  it.each([
    ["created 15 minutes ahead", now + 15 * 60, LATEST, undefined],
    [
      "created 15 minutes and a second ahead",
      now + 15 * 60 + 1,
      LATEST,
      "invalid: created_at is too far in the future",
    ],
    ["a second before its expiry", now - 60, now + 1, undefined],
    ["the second of its expiry", now - 60, now, "invalid: expired"],
    ["after its expiry", now - 60, now - 1, "invalid: expired"],
    ["created at the beginning of time", 0, now + 1, undefined],
  ])("is judged by its expiry and the clock's skew alone: %s", (_, createdAt, expiry, reason) => {
    expect(untimely(createdAt, expiry, now)).toBe(reason);
  });
});
