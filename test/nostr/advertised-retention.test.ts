import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  currentRetention,
  formerRetentions,
  oldestAge,
} from "../../src/nostr/advertised-retention.ts";
import {
  CLOCK_SKEW_SECONDS,
  latestExpiry,
  type RetentionRule,
  TIMESTAMP_FUZZ_SECONDS,
} from "../../src/nostr/drop.ts";
import { retentionRule } from "../support/arbitrary.ts";

const DAY = 24 * 3_600;
const RETENTION = 30 * DAY;
const RULE: RetentionRule = [{ upTo: Infinity, seconds: RETENTION }];
const CREATED = 1_700_000_000;

describe("the retention that is advertised", () => {
  const CHANGED = CREATED;
  const RAISED = [
    { upTo: CHANGED + CLOCK_SKEW_SECONDS, seconds: DAY },
    { upTo: Infinity, seconds: 30 * DAY },
  ];
  const LOWERED = [
    { upTo: CHANGED + CLOCK_SKEW_SECONDS, seconds: 30 * DAY },
    { upTo: Infinity, seconds: DAY },
  ];

  it("is the one in force when it never was another", () => {
    expect(currentRetention(CREATED, RULE)).toBe(RETENTION);
    expect(formerRetentions(CREATED, RULE)).toEqual([]);
    expect(oldestAge(CREATED, RULE)).toBe(TIMESTAMP_FUZZ_SECONDS + RETENTION);
  });

  it("is the former one after it was raised, until no event made now may fall under that", () => {
    const end = CHANGED + CLOCK_SKEW_SECONDS + TIMESTAMP_FUZZ_SECONDS;
    expect([CHANGED, end, end + 1].map((now) => currentRetention(now, RAISED))).toEqual([
      DAY,
      DAY,
      30 * DAY,
    ]);
  });

  it("is the new one once it was lowered", () => {
    expect(currentRetention(CHANGED + 1, LOWERED)).toBe(DAY);
  });

  it("holds for every event made now, and is the most that does", () => {
    fc.assert(
      fc.property(fc.nat({ max: 4_000 + TIMESTAMP_FUZZ_SECONDS }), retentionRule, (now, rule) => {
        const bounds = rule.flatMap(({ upTo }) => [upTo, upTo + 1]).filter(Number.isFinite);
        const oldest = now - TIMESTAMP_FUZZ_SECONDS;
        const newest = now + CLOCK_SKEW_SECONDS;
        const dates = [oldest, now, newest, ...bounds].filter((at) => oldest <= at && at <= newest);
        const retentions = dates.map((at) => latestExpiry(at, rule) - at - TIMESTAMP_FUZZ_SECONDS);
        expect(currentRetention(now, rule)).toBe(Math.min(...retentions));
      }),
    );
  });

  it("has beside it the former ones, while events that fall under them may be held or accepted", () => {
    const end = CHANGED + CLOCK_SKEW_SECONDS + TIMESTAMP_FUZZ_SECONDS + 30 * DAY;
    const former = [{ until: CHANGED + CLOCK_SKEW_SECONDS, retention: 30 * DAY }];
    expect(formerRetentions(end - 1, LOWERED)).toEqual(former);
    expect(formerRetentions(end, LOWERED)).toEqual([]);
  });

  it("has with it the age up to which every event is accepted", () => {
    fc.assert(
      fc.property(fc.nat({ max: 4_000 + TIMESTAMP_FUZZ_SECONDS }), retentionRule, (now, rule) => {
        const age = oldestAge(now, rule);
        const isAccepted = (at: number): boolean => now < latestExpiry(at, rule);
        const bounds = rule.flatMap(({ upTo }) => [upTo, upTo + 1]).filter(Number.isFinite);
        const within = [now - age + 1, now, ...bounds].filter((at) => now - age < at && at <= now);
        expect(within.every((at) => isAccepted(at))).toBe(true);
        expect(isAccepted(now - age) && isAccepted(now - age - 1)).toBe(false);
      }),
    );
  });
});
