import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { CLOCK_SKEW_SECONDS, latestExpiry, type RetentionRule } from "../../src/nostr/drop.ts";
import { decodeRule, encodeRule, nextRule } from "../../src/store/retention.ts";
import { DAY, NOW } from "./contract.ts";

const SKEW = CLOCK_SKEW_SECONDS;
const FUZZ = 2 * DAY;

describe("the retention rule", () => {
  it("is one retention for all at the first start", () => {
    expect(nextRule(undefined, DAY, NOW)).toEqual([{ upTo: Infinity, seconds: DAY }]);
  });

  it("does not change when the retention does not", () => {
    const rule = nextRule(nextRule(undefined, DAY, NOW), 5 * DAY, NOW + DAY);
    expect(nextRule(rule, 5 * DAY, NOW + DAY + 1)).toEqual(rule);
  });

  it.each([
    ["raised", DAY, 30 * DAY],
    ["lowered", 30 * DAY, DAY],
  ])(
    "has a retention that was %s apply to events that nobody could have sent yet",
    (_, was, is) => {
      const rule = nextRule(nextRule(undefined, was, NOW), is, NOW + 5);
      const newest = NOW + 5 + SKEW;
      expect(latestExpiry(newest, rule)).toBe(newest + FUZZ + was);
      expect(latestExpiry(newest + 1, rule)).toBe(newest + 1 + FUZZ + is);
    },
  );

  it("remembers a short retention until the long one that follows would refuse its events too", () => {
    const before = nextRule(nextRule(undefined, DAY, NOW), 30 * DAY, NOW);
    const horizon = NOW + SKEW;
    const end = horizon + FUZZ + 30 * DAY;
    for (const now of [horizon + FUZZ + DAY, end - 1]) {
      expect(latestExpiry(horizon, nextRule(before, 30 * DAY, now))).toBe(horizon + FUZZ + DAY);
    }
    expect(nextRule(before, 30 * DAY, end)).toEqual([{ upTo: Infinity, seconds: 30 * DAY }]);
  });

  it("remembers a long retention as long as it holds anything", () => {
    const before = nextRule(nextRule(undefined, 30 * DAY, NOW), DAY, NOW);
    const horizon = NOW + SKEW;
    const end = horizon + FUZZ + 30 * DAY;
    expect(latestExpiry(horizon, nextRule(before, DAY, end - 1))).toBe(end);
    expect(nextRule(before, DAY, end)).toEqual([{ upTo: Infinity, seconds: DAY }]);
  });

  it("keeps the order of its entries when the clock is set back", () => {
    const first = nextRule(nextRule(undefined, DAY, NOW), 2 * DAY, NOW + 10 * DAY);
    const second = nextRule(first, 3 * DAY, NOW + 9 * DAY);
    const ends = second.map(({ upTo }) => upTo);
    expect(ends).toEqual([...new Set(ends)].sort((a, b) => a - b));
    expect(latestExpiry(NOW, second)).toBe(NOW + FUZZ + DAY);
  });

  it("is read as it was written", () => {
    const rule = nextRule(nextRule(undefined, DAY, NOW), 5 * DAY, NOW + DAY);
    expect(decodeRule(encodeRule(rule))).toEqual(rule);
  });
});

// A life: starts with a retention each, some time apart.
const lifeArb = fc.array(
  fc.record({
    days: fc.integer({ min: 0, max: 40 }),
    retention: fc.constantFrom(0, 1, 5, 30, 60).map((days) => days * DAY),
  }),
  { minLength: 2, maxLength: 8 },
);

type Life = readonly { readonly days: number; readonly retention: number }[];
type Epoch = { readonly from: number; readonly to: number; readonly rule: RetentionRule };

/** Which rule was in force when. */
function epochs(life: Life): Epoch[] {
  const found: Epoch[] = [];
  let rule: RetentionRule | undefined;
  let now = NOW;
  for (const { days, retention } of life) {
    const before = rule && decodeRule(encodeRule(rule));
    if (before === "malformed") throw new Error("a rule does not survive being written");
    rule = nextRule(before, retention, now);
    const from = now;
    now += days * DAY + 1;
    found.push({ from, to: now - 1, rule });
  }
  return found;
}

const createdAtArb = fc.integer({ min: NOW - 70 * DAY, max: NOW + 200 * DAY });

/** The epochs in which an event is not expired although it was before. */
function revivals(life: Life, createdAt: number): Epoch[] {
  let expired = false;
  return epochs(life).filter(({ from, to, rule }) => {
    const expiry = latestExpiry(createdAt, rule);
    const isRevived = expired && from < expiry;
    if (createdAt <= to + SKEW && to >= expiry) expired = true;
    return isRevived;
  });
}

/** The epochs in which an event that could have been accepted before has another expiry, while the first is not past. */
function brokenPromises(life: Life, createdAt: number): Epoch[] {
  let promised: number | undefined;
  return epochs(life).filter(({ from, to, rule }) => {
    const expiry = latestExpiry(createdAt, rule);
    const isBroken = promised !== undefined && from < promised && expiry !== promised;
    if (createdAt <= to + SKEW && from < expiry) promised ??= expiry;
    return isBroken;
  });
}

describe("a relay whose retention changes from start to start", () => {
  it("never accepts again what it once refused as expired", () => {
    const property = fc.property(lifeArb, createdAtArb, (life, createdAt) => {
      expect(revivals(life, createdAt)).toEqual([]);
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  it("never changes the expiry of what it could have accepted, until that is past", () => {
    const property = fc.property(lifeArb, createdAtArb, (life, createdAt) => {
      expect(brokenPromises(life, createdAt)).toEqual([]);
    });
    fc.assert(property, { numRuns: 2_000 });
  });
});
