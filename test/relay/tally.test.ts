import { describe, expect, it } from "vitest";

import { Tallies, Tally } from "../../src/relay/tally.ts";

const EVENTS = 40_000;
const STEP = 100;

describe("what moves when somebody picks up", () => {
  it("is counted in one case of a step, for as much, whatever its number is", () => {
    const drawn = [1, 99, 0, 50, 0];
    const asked: number[] = [];
    const tally = new Tally(STEP, (below) => {
      asked.push(below);
      return drawn.shift() ?? 1;
    });
    for (const drops of [7, 1_000, 3, 1, 40]) tally.count("drop picked up", drops);
    expect(asked).toEqual(Array.from({ length: 5 }, () => STEP));
    expect(new Tallies([tally.values]).counted("drop picked up")).toBe((3 + 40) * STEP);
  });

  it("is right on average", () => {
    const tally = new Tally(STEP);
    for (let times = 0; times < EVENTS; times++) tally.count("pickup");
    const counted = new Tallies([tally.values]).counted("pickup");
    expect(counted % STEP).toBe(0);
    // Eight standard deviations.
    expect(Math.abs(counted - EVENTS)).toBeLessThan(8 * Math.sqrt(EVENTS * STEP));
  });

  it("is counted as it is with a step of one", () => {
    const tally = new Tally(1);
    for (let times = 0; times < 3; times++) tally.count("acknowledgement: done");
    expect(new Tallies([tally.values]).counted("acknowledgement: done")).toBe(3);
  });
});

describe("what moves when somebody sends", () => {
  it("is counted as it is, whatever the step", () => {
    const tally = new Tally(STEP, () => 1);
    tally.count("drop stored");
    tally.count("drop refused: mailbox full", 2);
    const counted = new Tallies([tally.values]);
    expect(counted.counted("drop stored")).toBe(1);
    expect(counted.counted("drop refused: mailbox full")).toBe(2);
  });
});

describe("what several threads counted and measured", () => {
  it("is added up", () => {
    const [one, other] = [new Tally(1), new Tally(1)];
    one.count("drop stored");
    other.count("drop stored", 2);
    one.measure("commit drops", 3);
    other.measure("commit drops", 4);
    other.measure("commit drops", 2_000);
    const sum = new Tallies([one.values, other.values]);
    expect(sum.counted("drop stored")).toBe(3);
    const { times, sum: drops } = sum.measured("commit drops");
    expect(drops).toBe(2_007);
    // Up to 1, 2 and 4; and past the last.
    expect(times.slice(0, 4)).toEqual([0, 0, 2, 0]);
    expect(times.at(-1)).toBe(1);
    expect(times).toHaveLength(12);
  });
});
