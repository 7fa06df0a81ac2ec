import { describe, expect, it } from "vitest";

import { type Gauge, Gauges } from "../../src/http/gauges.ts";

const NAME = { name: "held", help: "What is held." };

/** What is shown of a value, at these times, while this is drawn. */
function shown(
  gauge: Pick<Gauge, "seconds" | "rounding">,
  values: readonly (number | undefined)[],
  { step = 100, times = [0], chance = 0.5 } = {},
): string[] {
  let at = 0;
  let now = 0;
  const read = (): number | undefined => values[Math.min(at++, values.length - 1)];
  const gauges = new Gauges([{ ...NAME, ...gauge, read }], {
    step,
    now: () => now,
    random: (below) => Math.floor(chance * below),
  });
  return times.map((time) => {
    now = time;
    return gauges.text().split("\n").at(-2)?.slice("held ".length) ?? "";
  });
}

describe("a gauge that moves when somebody picks up", () => {
  it("is read once in its time, however often it is asked for", () => {
    const times = [0, 1, 59, 60, 119, 125];
    expect(shown({ seconds: 60, rounding: "exact" }, [1, 2, 3], { times })).toEqual([
      "1",
      "1",
      "1",
      "2",
      "2",
      "3",
    ]);
  });

  it.each([
    [130, 0.29, "200"],
    [130, 0.31, "100"],
    [200, 0, "200"],
    [1, 0.005, "100"],
    [1, 0.02, "0"],
  ])("is one of the two multiples of the step beside it: %i, drawn %d", (value, chance, said) => {
    expect(shown({ seconds: 60, rounding: "things" }, [value], { chance })).toEqual([said]);
  });

  it("is rounded to MiB if it is bytes, and down if it is time", () => {
    const minute = 60;
    expect(shown({ seconds: minute, rounding: "bytes" }, [2 ** 20 + 9])).toEqual(["1048576"]);
    expect(shown({ seconds: minute, rounding: "hours" }, [7_300])).toEqual(["7200"]);
    expect(shown({ seconds: minute, rounding: "seconds" }, [7.9])).toEqual(["7"]);
  });

  it("is asked for again while it is not known", () => {
    const gauge = { seconds: 3_600, rounding: "things" } as const;
    const times = [0, 1, 2];
    expect(shown(gauge, [undefined, 500, 900], { times })).toEqual(["NaN", "500", "500"]);
  });

  it("is shown as it is, and at once, with a step of one", () => {
    const gauge = { seconds: 3_600, rounding: "things" } as const;
    expect(shown(gauge, [37, 38], { step: 1, times: [0, 1] })).toEqual(["37", "38"]);
  });
});
