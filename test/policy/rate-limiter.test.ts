import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { RateLimiter } from "../../src/policy/rate-limiter.ts";

const ALICE = "203.0.113.7";
const BOB = "203.0.113.8";

describe("a rate", () => {
  it("lets a new peer do as much at once as the burst, and not one more", () => {
    const rate = new RateLimiter({ perSecond: 1, burst: 3 });
    expect(takes(rate, ALICE, 100, 4)).toEqual([true, true, true, false]);
  });

  it("gives back so many tokens a second", () => {
    const rate = new RateLimiter({ perSecond: 2, burst: 3 });
    takes(rate, ALICE, 100, 3);
    expect(takes(rate, ALICE, 100.25, 1)).toEqual([false]);
    expect(takes(rate, ALICE, 100.5, 2)).toEqual([true, false]);
    expect(takes(rate, ALICE, 101.5, 3)).toEqual([true, true, false]);
  });

  it("gives tokens back to a peer that keeps asking", () => {
    const rate = new RateLimiter({ perSecond: 1, burst: 1 });
    takes(rate, ALICE, 0, 1);
    expect(takes(rate, ALICE, 0.25, 1)).toEqual([false]);
    expect(takes(rate, ALICE, 0.5, 1)).toEqual([false]);
    expect(takes(rate, ALICE, 0.75, 1)).toEqual([false]);
    expect(takes(rate, ALICE, 1, 1)).toEqual([true]);
  });

  it("never saves up more than the burst", () => {
    const rate = new RateLimiter({ perSecond: 100, burst: 2 });
    takes(rate, ALICE, 0, 1);
    expect(takes(rate, ALICE, 1_000_000, 3)).toEqual([true, true, false]);
  });

  it("takes all the tokens of something that costs several, or none", () => {
    const rate = new RateLimiter({ perSecond: 1, burst: 5 });
    expect(rate.take(ALICE, 0, 3)).toBe(true);
    expect(rate.take(ALICE, 0, 3)).toBe(false);
    expect(rate.take(ALICE, 0, 2)).toBe(true);
    expect(rate.take(ALICE, 0, 1)).toBe(false);
  });

  it("charges below zero, and lets the next ones wait for it", () => {
    const rate = new RateLimiter({ perSecond: 1, burst: 2 });
    rate.charge(ALICE, 0, 5);
    expect(takes(rate, ALICE, 3, 1)).toEqual([false]);
    expect(takes(rate, ALICE, 3.5, 1)).toEqual([false]);
    expect(takes(rate, ALICE, 4, 2)).toEqual([true, false]);
  });

  it("tells how long a peer has to wait until it has paid", () => {
    const rate = new RateLimiter({ perSecond: 2, burst: 4 });
    expect(rate.secondsInDebt(ALICE, 0)).toBe(0);
    rate.charge(ALICE, 0, 10);
    expect(rate.secondsInDebt(ALICE, 0)).toBe(3);
    expect(rate.secondsInDebt(ALICE, 2)).toBe(1);
    expect(rate.secondsInDebt(ALICE, 3)).toBe(0);
    expect(rate.secondsInDebt(BOB, 3)).toBe(0);
  });

  it("tells who was refused a thousand times, or four bursts, until as many tokens came back", () => {
    for (const [burst, refusals] of [
      [1, 1_000],
      [400, 1_600],
    ] as const) {
      const rate = new RateLimiter({ perSecond: 10, burst });
      for (let refused = 0; refused < refusals - 9; refused++) rate.refuse(ALICE, 0, 1);
      rate.refuse(ALICE, 0, 8);
      expect(rate.isDeaf(ALICE, 0)).toBe(false);
      rate.refuse(ALICE, 0, 1);
      expect(rate.isDeaf(ALICE, 0)).toBe(true);
      expect(rate.isDeaf(BOB, 0)).toBe(false);
      expect(rate.isDeaf(ALICE, refusals / 10 - 1)).toBe(true);
      expect(rate.isDeaf(ALICE, refusals / 10 + 1)).toBe(false);
    }
  });

  it("counts each peer for itself", () => {
    const rate = new RateLimiter({ perSecond: 1, burst: 1 });
    expect(takes(rate, ALICE, 0, 2)).toEqual([true, false]);
    expect(takes(rate, BOB, 0, 2)).toEqual([true, false]);
  });

  it("counts two addresses of one /64 together, and those of two /64 apart", () => {
    const rate = new RateLimiter({ perSecond: 1, burst: 1 });
    expect(takes(rate, "2001:db8:1:2::1", 0, 1)).toEqual([true]);
    expect(takes(rate, "2001:db8:1:2:aaaa:bbbb:cccc:dddd", 0, 1)).toEqual([false]);
    expect(takes(rate, "2001:db8:1:3::1", 0, 1)).toEqual([true]);
  });

  it("counts an IPv4 address together with the same one mapped into IPv6", () => {
    const rate = new RateLimiter({ perSecond: 1, burst: 1 });
    expect(takes(rate, ALICE, 0, 1)).toEqual([true]);
    expect(takes(rate, `::ffff:${ALICE}`, 0, 1)).toEqual([false]);
  });

  it("lets everything pass when it is 0", () => {
    const rate = new RateLimiter({ perSecond: 0, burst: 1 });
    rate.charge(ALICE, 0, 100);
    expect(takes(rate, ALICE, 0, 3)).toEqual([true, true, true]);
    expect(rate.take(ALICE, 0, 100)).toBe(true);
    expect(rate.secondsInDebt(ALICE, 0)).toBe(0);
    rate.refuse(ALICE, 0, 10_000);
    expect(rate.isDeaf(ALICE, 0)).toBe(false);
  });

  it("remembers 100,000 peers and forgets the one that was quiet for longest", () => {
    const rate = new RateLimiter({ perSecond: 1, burst: 1 });
    expect(takes(rate, ALICE, 0, 1)).toEqual([true]);
    strangersTake(rate, 0, 99_999);
    expect(takes(rate, ALICE, 0, 1)).toEqual([false]);
    strangersTake(rate, 100_000, 200_000);
    expect(takes(rate, ALICE, 0, 1)).toEqual([true]);
  });

  it("does not forget a peer that keeps asking, however many others come", () => {
    const rate = new RateLimiter({ perSecond: 1, burst: 1 });
    takes(rate, ALICE, 0, 1);
    for (const from of [0, 60_000, 120_000]) {
      strangersTake(rate, from, from + 60_000);
      expect(takes(rate, ALICE, 0, 1)).toEqual([false]);
    }
  });

  it("is a token bucket for each peer, whatever is taken and charged", () => {
    const step = fc.record({
      peer: fc.constantFrom(ALICE, BOB),
      later: fc.nat({ max: 8 }),
      cost: fc.integer({ min: 1, max: 4 }),
      charged: fc.boolean(),
    });
    const settings = fc.record({
      perSecond: fc.integer({ min: 1, max: 4 }),
      burst: fc.integer({ min: 1, max: 6 }),
    });
    fc.assert(
      fc.property(settings, fc.array(step, { maxLength: 40 }), ({ perSecond, burst }, steps) => {
        const rate = new RateLimiter({ perSecond, burst });
        // All tokens of all time, quarter by quarter of a second: slow and plain.
        const tokens = new Map([ALICE, BOB].map((peer) => [peer, burst]));
        let now = 0;
        for (const { peer, later, cost, charged } of steps) {
          for (let quarter = 0; quarter < later; quarter++) {
            for (const [each, left] of tokens) {
              tokens.set(each, Math.min(burst, left + perSecond / 4));
            }
          }
          now += later / 4;
          const left = tokens.get(peer) ?? 0;
          if (charged) {
            rate.charge(peer, now, cost);
            tokens.set(peer, left - cost);
            continue;
          }
          const isTaken = rate.take(peer, now, cost);
          expect(isTaken).toBe(left >= cost);
          if (isTaken) tokens.set(peer, left - cost);
        }
      }),
      { numRuns: 500 },
    );
  });
});

function takes(rate: RateLimiter, address: string, now: number, times: number): boolean[] {
  return Array.from({ length: times }, () => rate.take(address, now));
}

function strangersTake(rate: RateLimiter, from: number, to: number): void {
  for (let number = from; number < to; number++) {
    rate.take(`10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`, 0);
  }
}
