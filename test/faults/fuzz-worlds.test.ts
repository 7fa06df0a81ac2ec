// The read gate and the filters against a naive oracle, in random worlds: whatever anybody asks for, at any exit, is shown what is held for him, all of it and
// nothing else. Many worlds share a relay, each full of what is foreign to the others.
//
//   npm run faults fuzz-worlds

import * as fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";

import { OVERTAKING, sharedRelay } from "../support/relay.ts";
import { budget, record, SEED } from "./budget.ts";
import type { Door } from "./worlds/door.ts";
import { inProcess } from "./worlds/in-process.ts";
import { overSockets } from "./worlds/over-sockets.ts";
import { world, type WorldPlan } from "./worlds/plan.ts";
import { smaller } from "./worlds/smaller.ts";
import { histories, type Seen } from "./worlds/world.ts";

const tally = {
  "in process": { worlds: 0, answers: 0, seconds: 0 },
  "over sockets": { worlds: 0, answers: 0, seconds: 0 },
};

const LONG_MS = 24 * 3_600_000;
// What was found is made smaller, for as long as somebody may wait for it.
// What is remembered of a world is bounded; more of them than that never share a relay.
const RENEWED_AFTER = 20_000;
const ATTEMPTS = budget({ short: 30, long: 500 });

/** What is wrong in some world, and the least in which it is. */
type Counterexample = {
  readonly where: string;
  readonly seed: number;
  readonly world: number;
  readonly plan: string;
  readonly seen: readonly unknown[];
  readonly told: readonly unknown[];
};

/** Tries so many worlds, so many of them at a time, until one is wrong. */
async function counterexample(
  where: keyof typeof tally,
  { count, atOnce }: { count: number; atOnce: number },
  open: () => Door | Promise<Door>,
): Promise<Counterexample | undefined> {
  const counted = tally[where];
  const began = performance.now();
  let door = await open();
  for (let seed = SEED; counted.worlds < count; seed++) {
    if (counted.worlds % RENEWED_AFTER === 0 && counted.worlds > 0) {
      await door.close();
      door = await open();
    }
    const plans = fc.sample(world, { numRuns: atOnce, seed });
    const seen = await histories(plans, door);
    counted.worlds += plans.length;
    counted.answers += seen.flat().length;
    counted.seconds = Math.round((performance.now() - began) / 1_000);
    const wrong = seen.findIndex((these) => falseIn(these).length > 0);
    if (wrong < 0) continue;
    const found = await least(plans, wrong, seen, door);
    await door.close();
    return { where, seed, world: wrong, ...found };
  }
  await door.close();
  return undefined;
}

function falseIn(seen: readonly Seen[]): Seen[] {
  return seen.filter(({ seen, told }) => JSON.stringify(seen) !== JSON.stringify(told));
}

/** The wrong world with as little in it as shows what is wrong, beside one that is foreign to it. */
async function least(
  plans: readonly WorldPlan[],
  wrong: number,
  all: readonly (readonly Seen[])[],
  door: Door,
): Promise<Pick<Counterexample, "plan" | "seen" | "told">> {
  let found = falseIn(all[wrong] ?? []);
  const other = plans[(wrong + 1) % plans.length] as WorldPlan;
  const fails = async (plan: WorldPlan): Promise<boolean> => {
    const here = falseIn((await histories([plan, other], door))[0] ?? []);
    if (here.length > 0) found = here;
    return here.length > 0;
  };
  const plan = JSON.stringify(await smaller(plans[wrong] as WorldPlan, fails, ATTEMPTS));
  return { plan, seen: found.map(({ seen }) => seen), told: found.map(({ told }) => told) };
}

describe("what is shown is what a naive oracle says", () => {
  const cleaning: (() => void | Promise<void>)[] = [];
  afterAll(async () => {
    for (const clean of cleaning) await clean();
    record("fuzz-worlds", tally);
  });

  it(
    "in process, where time passes",
    async () => {
      const count = budget({ short: 600, long: 1_000_000 });
      expect(await counterexample("in process", { count, atOnce: 100 }, inProcess)).toBe(undefined);
    },
    budget({ short: 120_000, long: LONG_MS }),
  );

  const relay = sharedRelay({ env: OVERTAKING });
  it(
    "over sockets",
    async () => {
      const count = budget({ short: 60, long: 10_000 });
      const overThese = overSockets(relay(), (clean) => cleaning.push(clean));
      const found = await counterexample("over sockets", { count, atOnce: 20 }, () => overThese);
      expect(found).toBe(undefined);
    },
    budget({ short: 120_000, long: LONG_MS }),
  );
});
