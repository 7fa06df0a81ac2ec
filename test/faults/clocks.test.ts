// Clocks that are set, drift, stand still and are wrong at the start, by minutes or by decades: whatever they do, nothing past is served, nothing is deleted
// by a clock that is not believed, nothing acknowledged comes back, and no answer is wrong about what is held. Histories are drawn from a seed, which a
// failure prints.

import { readdirSync, readFileSync } from "node:fs";

import * as fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";

import { NOW } from "../store/contract.ts";
import { ShiftedClock } from "../support/clock.ts";
import { temporaryFolder } from "../support/relay.ts";
import { budget, record, SEED } from "./budget.ts";
import { ClockModel, PEOPLE, type Subject } from "./clock-model.ts";
import { RelaySubject, StoreSubject } from "./clock-subjects.ts";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;
const RETENTION = 30 * DAY;
// Shrinking ends then, so that a failure is printed, with its seed, before the test runs out of time.
const ENOUGH_MS = budget({ short: 40_000, long: 3_600_000 });
const figures: Record<string, unknown> = {};

// From a leap second, in which the same second comes twice, to thirty years. Some are at the edge of what is a jump, some at that of what is near.
const far = [5 * MINUTE, HOUR, DAY - 60, DAY + 60, 10 * DAY, 33 * DAY, YEAR, 10 * YEAR, 30 * YEAR];
const setArb = fc
  .tuple(fc.constantFrom(1, 59, 61, ...far, ...far), fc.constantFrom(1, -1), fc.nat(30))
  .map(([seconds, sign, more]) => sign * (seconds > DAY ? seconds + more : seconds));

const lifeArb = fc.option(
  fc.oneof(
    fc.integer({ min: 2 * MINUTE, max: 3 * HOUR }),
    fc.integer({ min: HOUR, max: 40 * DAY }),
    // A clock that is set back has others believe in the future.
    fc.integer({ min: 30 * DAY, max: 33 * DAY }),
  ),
  { freq: 3, nil: undefined },
);
const agoArb = fc.oneof(
  fc.integer({ min: -10 * MINUTE, max: 2 * DAY }),
  fc.integer({ min: 2 * DAY, max: 33 * DAY }),
);
const whichArb = fc.nat(100);
const personArb = fc.nat(PEOPLE - 1);
const zoneArb = fc.constantFrom(
  "",
  "Pacific/Auckland",
  "America/St_Johns",
  "right/UTC",
  "Europe/Berlin",
);

const dropArb = fc.record({
  do: fc.constant("drop" as const),
  to: personArb,
  ago: agoArb,
  life: lifeArb,
  isUnseen: fc.boolean(),
});
const stepArb = fc.oneof(
  { weight: 4, arbitrary: dropArb },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("repeats" as const), which: whichArb }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("acknowledges" as const),
      which: whichArb,
      grace: fc.option(fc.integer({ min: -HOUR, max: 3 * DAY }), { freq: 2, nil: undefined }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("isSet" as const), seconds: setArb }) },
  { weight: 2, arbitrary: fc.constant({ do: "isRight" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("passes" as const),
      seconds: fc.oneof(fc.nat(2 * MINUTE), fc.nat(2 * HOUR), fc.nat(40 * DAY)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("sleeps" as const),
      seconds: fc.oneof(fc.nat(2 * MINUTE), fc.nat(3 * DAY)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("drifts" as const),
      secondsAMinute: fc.integer({ min: -5, max: 5 }),
      minutes: fc.nat(30),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("restarts" as const),
      off: fc.oneof(fc.constant(1), fc.nat(2 * HOUR), fc.nat(5 * DAY)),
      set: fc.option(setArb, { freq: 1, nil: 0 }),
      zone: zoneArb,
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: "sweeps" as const }) },
  { weight: 2, arbitrary: fc.constant({ do: "looks" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "confirms" as const }) },
);
type Step = typeof stepArb extends fc.Arbitrary<infer Each> ? Each : never;

async function take<Letter>(model: ClockModel<Letter>, step: Step): Promise<void> {
  switch (step.do) {
    case "drop":
      return model.drop(step.to, step.ago, step.life, step.isUnseen);
    case "repeats":
      return model.repeats(step.which);
    case "acknowledges":
      return model.acknowledges(step.which, step.grace);
    case "isSet":
      return model.isSet(step.seconds);
    case "passes":
      return model.passes(step.seconds);
    case "sleeps":
      return model.sleeps(step.seconds);
    case "drifts":
      return model.drifts(step.secondsAMinute, step.minutes);
    case "restarts":
      return model.restarts(step.off, step.set, step.zone);
    case "isRight":
    case "sweeps":
    case "looks":
    case "confirms":
      return model[step.do]();
  }
}

/** Answers what was wrong, as soon as anything was. */
async function live<Letter>(
  subject: Subject<Letter>,
  steps: readonly Step[],
  settings: { slack: number; sweepsAlways: boolean },
): Promise<readonly string[]> {
  const model = new ClockModel(subject, { ...settings, retention: RETENTION });
  for (const step of steps) {
    await take(model, step);
    if (model.wrongs.length > 0) return model.wrongs;
  }
  await model.ends();
  return model.wrongs;
}

const one = (step: Step): Step => step;
// What it takes to be believed, or not quite.
const whileArb = fc.constantFrom(0, HOUR / 4, HOUR / 2 + 60, HOUR - 60, HOUR);
const settledArb = fc
  .array(dropArb, { minLength: 2, maxLength: 4 })
  .map((drops) =>
    drops.map(one).concat({ do: "confirms" }, { do: "acknowledges", which: 0, grace: undefined }),
  );
const wrongForAWhileArb = fc
  .tuple(setArb, whileArb)
  .map(([seconds, time]) => [
    one({ do: "isSet", seconds }),
    one({ do: "passes", seconds: time }),
    one({ do: "sweeps" }),
    one({ do: "isRight" }),
    one({ do: "looks" }),
  ]);
const wrongAtAStartArb = fc
  .tuple(setArb, whileArb, zoneArb)
  .map(([set, time, zone]) => [
    one({ do: "restarts", off: 60, set, zone }),
    one({ do: "passes", seconds: time }),
    one({ do: "sweeps" }),
    one({ do: "restarts", off: 60, set: -set, zone: "" }),
    one({ do: "looks" }),
  ]);
const chunkArb = fc.oneof(
  { weight: 10, arbitrary: stepArb.map((step) => [step]) },
  { weight: 2, arbitrary: wrongForAWhileArb },
  { weight: 2, arbitrary: wrongAtAStartArb },
);

function historyArb(maxLength: number): fc.Arbitrary<Step[]> {
  const chunksArb = fc.array(chunkArb, { minLength: 3, maxLength, size: "max" });
  return fc
    .tuple(fc.option(settledArb, { freq: 5, nil: [] as Step[] }), chunksArb)
    .map(([settled, chunks]) => settled.concat(chunks.flat()));
}

describe("whatever its clock does", () => {
  it(
    "a store holds what it must, and nothing else",
    async () => {
      const numRuns = budget({ short: 60, long: 5_000 });
      const taken: Record<string, number> = {};
      let histories = 0;
      const property = fc.asyncProperty(historyArb(20), async (steps) => {
        histories += 1;
        for (const step of steps) taken[step.do] = (taken[step.do] ?? 0) + 1;
        const subject = await StoreSubject.open(temporaryFolder(), RETENTION, NOW);
        try {
          expect(await live(subject, steps, { slack: 0, sweepsAlways: false })).toEqual([]);
        } finally {
          await subject.close();
        }
      });
      await fc.assert(property, { numRuns, seed: SEED, interruptAfterTimeLimit: ENOUGH_MS });
      Object.assign(figures, { storeHistories: histories, steps: taken });
    },
    2 * ENOUGH_MS,
  );

  // Restarts cost most of it; several histories wait side by side.
  const AT_ONCE = 4;
  const isUws = process.env["DEADDROP_TRANSPORT"] === "uws";

  it("a relay of one event loop or two holds what it must, and nothing else", async () => {
    const count = budget({ short: 4, long: 100 });
    const drawn = fc.sample(historyArb(budget({ short: 4, long: 15 })), {
      numRuns: count,
      seed: SEED,
    });
    const wrongs: object[] = [];
    const queue = [...drawn.entries()];
    const worker = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [index, steps] = next;
        const workers = isUws ? 1 : 1 + (index % 2);
        const found = await livesAsRelay(steps, { DEADDROP_WORKERS: String(workers) });
        if (found.length > 0) wrongs.push({ seed: SEED, index, steps, found });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    figures["relayHistories"] = count;
    expect(wrongs).toEqual([]);
  }, 7_200_000);
});

async function livesAsRelay(
  steps: readonly Step[],
  env: Readonly<Record<string, string>>,
): Promise<readonly unknown[]> {
  const data = temporaryFolder();
  const subject = await RelaySubject.open({
    data,
    retention: RETENTION,
    clock: new ShiftedClock(),
    env,
  });
  try {
    const wrongs = await live(subject, steps, { slack: 30, sweepsAlways: true });
    return [...wrongs, ...subject.errors];
  } catch (error) {
    return [error];
  } finally {
    await subject.close();
  }
}

describe("what tells the time", () => {
  it("is Date and performance alone, which the clocks of these tests shift, and for the wall clock one file", () => {
    const sources = readdirSync("src", { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts") && !/^(?:client|cli|conformance)\//.test(file))
      .map((file) => ({
        file,
        text: readFileSync(`src/${file}`, "utf8").replaceAll(/\/\/.*|\/\*[^]*?\*\//g, ""),
      }));
    const filesWith = (pattern: RegExp): string[] =>
      sources.filter(({ text }) => pattern.test(text)).map(({ file }) => file);
    expect(
      filesWith(/\bhrtime\b|\buptime\(|\bTemporal\b|\bclock_gettime\b|\bmtime|\bbirthtime/),
    ).toEqual([]);
    expect(filesWith(/\bDate\.now\b|new Date\(\)/)).toEqual(["server/runtime.ts"]);
  });
});

afterAll(() => record("clocks", figures));
