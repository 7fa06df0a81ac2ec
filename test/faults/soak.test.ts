// A relay that is used all day, by people who come and go: what it has of its machine stays what it was. Six hours of the clock go by at the end of each
// period, which is long enough for the relay to clear away everything that came before.

import { setTimeout as after } from "node:timers/promises";

import { expect, it } from "vitest";

import { ShiftedClock, sweptLately } from "../support/clock.ts";
import { descriptors, Heap, memoryBytes } from "../support/process-costs.ts";
import { type RelayProcess, startRelay, temporaryFolder } from "../support/relay.ts";
import { budget, record, SEED } from "./budget.ts";
import { Community, RETENTION_SECONDS } from "./community.ts";
import { Chance } from "./seeded.ts";
import { type Slope, slopeOf } from "./slope.ts";

const HOUR = 60 * 60;
const JUMP_SECONDS = 6 * HOUR;
const LONG_MINUTES = 60;

// Each period: samples of the load, then six hours pass, and what is past is swept.
const PLAN = budget({
  short: { periods: 6, phases: 5, phaseMs: 600, people: 30, perSecond: 150 },
  long: {
    periods: 12,
    phases: 20,
    phaseMs: (LONG_MINUTES * 60_000) / 12 / 20,
    people: 60,
    perSecond: 150,
  },
});

// A drop's entry that waits in memory to be written, of at most two generations (store/settling.ts): such a run is too short to fill them.
const RECENT_BYTES = 457;

// One that is never answered must not be waited for all day.
const TIMEOUT_MS = budget({ short: 180_000, long: 2 * LONG_MINUTES * 60_000 });

/** What is watched, and by how much it may grow in a period with so many new drops; in a short run more, for a process's first seconds are not like the rest. */
const MOST_GROWTH = {
  /** Beside those of the people who are connected: none. */
  descriptors: budget({ short: 1, long: 0.25 }),
  /** What is alive after a full collection; of the first minutes' growth compiled functions and what is known of them are the most. */
  heapBytes: (drops: number) =>
    RECENT_BYTES * drops + budget({ short: 384 * 1_024, long: 128 * 1_024 }),
  /** The process's own pages: with garbage and with what the allocator keeps. */
  memoryBytes: (drops: number) => RECENT_BYTES * drops + budget({ short: 8, long: 4 }) * 2 ** 20,
  fileBytes: budget({ short: 2 ** 20, long: 128 * 1_024 }),
  /** What the store is left with when all was swept; before that it is what the machine had time for. Pages of the file that are in use: */
  usedBytes: 8_192,
  drops: 0,
  tombstones: 0,
} as const;

function mostGrowth(what: Watched, drops: number): number {
  const most = MOST_GROWTH[what];
  return typeof most === "number" ? most : most(drops);
}

type Watched = keyof typeof MOST_GROWTH;
type Left = "usedBytes" | "drops" | "tombstones";
type Sampled<What extends Watched> = Readonly<Record<What, number>> & {
  readonly period: number;
  readonly phase: number;
};

const env = (clock: ShiftedClock, heap: Heap) => ({
  ...clock.env,
  ...heap.env,
  NODE_OPTIONS: `${clock.env["NODE_OPTIONS"]} ${heap.option}`,
  DEADDROP_RETENTION: `${RETENTION_SECONDS}s`,
  DEADDROP_SWEEP_SECONDS: "1s",
  DEADDROP_METRICS: "127.0.0.1:0",
});

async function metrics(relay: RelayProcess): Promise<(name: string) => number> {
  const text = await (await fetch(relay.metrics ?? "")).text();
  return (name) => {
    const line = text.split("\n").find((each) => each.startsWith(`${name} `));
    if (line === undefined) throw new Error(`no metric ${name}`);
    return Number(line.slice(name.length));
  };
}

/** Resolves when two more sweeps were done: one that begins from now on among them. */
async function sweeps(relay: RelayProcess): Promise<void> {
  const name = "deaddrop_sweeps_total";
  const count = async (): Promise<number> => (await metrics(relay))(name);
  for (const before = await count(); (await count()) < before + 2;) await after(100);
}

it(
  "keeps the memory, descriptors and disk that it had, however long it is used",
  async () => {
    const data = temporaryFolder();
    await sweptLately(data, RETENTION_SECONDS);
    const [clock, heap] = [new ShiftedClock(), new Heap()];
    const relay = await startRelay({ data, env: env(clock, heap) });
    const { url, http } = relay;
    const community = new Community({
      url,
      http,
      people: PLAN.people,
      chance: new Chance(SEED),
      now: () => clock.now(),
    });
    const begun = performance.now();
    const samples: Sampled<Exclude<Watched, Left>>[] = [];
    const leftovers: Sampled<Left>[] = [];
    for (let period = 0; period < PLAN.periods; period += 1) {
      for (let phase = 0; phase < PLAN.phases; phase += 1) {
        await community.live(PLAN.perSecond, performance.now() + PLAN.phaseMs);
        samples.push({ period, phase, ...(await sample(relay, heap, community)) });
      }
      clock.passes(JUMP_SECONDS);
      await sweeps(relay);
      leftovers.push({ period, phase: 0, ...(await left(relay)) });
      await community.looks();
      community.forgetsPast();
    }
    const seconds = Math.round((performance.now() - begun) / 1_000);
    await community.ends();
    expect(community.wrongs, `seed ${SEED}`).toEqual([]);

    const slopes = { ...slopesOf(samples), ...slopesOf(leftovers) };
    const last = samples.at(-1);
    const [minutes, hours] = [seconds / 60, (PLAN.periods * JUMP_SECONDS) / HOUR];
    const afterAll = leftovers.at(-1);
    record("soak", { minutes, hours, ...PLAN, deeds: community.deeds, slopes, last, afterAll });
    const { drop = 0, "drop over HTTP": overHttp = 0 } = community.deeds;
    const drops = (drop + overHttp) / PLAN.periods;
    // What is certain to rise by more than it may.
    const risen = Object.entries(slopes).filter(
      ([what, { least }]) => least > mostGrowth(what as Watched, drops),
    );
    expect(risen).toEqual([]);
    expect(relay.log.filter(({ level }) => Number(level) >= 50)).toEqual([]);
    expect(await relay.stop()).toBe(0);
  },
  TIMEOUT_MS,
);

// Of the second half: a process's first hours are not like the rest.
function slopesOf<What extends Watched>(samples: readonly Sampled<What>[]): Record<string, Slope> {
  const judged = samples.filter(({ period }) => period >= PLAN.periods / 2);
  const [first] = judged;
  if (first === undefined) return {};
  const { period: _, phase: __, ...watched } = first;
  const slope = (what: What): Slope =>
    slopeOf(judged.map(({ period, phase, [what]: value }) => ({ period, phase, value })));
  return Object.fromEntries(Object.keys(watched).map((what) => [what, slope(what as What)]));
}

async function sample(
  relay: RelayProcess,
  heap: Heap,
  community: Community,
): Promise<Readonly<Record<Exclude<Watched, Left>, number>>> {
  const { pid } = relay;
  const heapBytes = await heap.bytes(pid);
  const read = await metrics(relay);
  return {
    descriptors: descriptors(pid) - community.connections,
    heapBytes,
    memoryBytes: memoryBytes(pid),
    fileBytes: read("deaddrop_store_file_bytes"),
  };
}

async function left(relay: RelayProcess): Promise<Readonly<Record<Left, number>>> {
  const read = await metrics(relay);
  return {
    usedBytes: read("deaddrop_store_file_bytes") - read("deaddrop_store_free_bytes"),
    drops: read("deaddrop_drops_held"),
    tombstones: read("deaddrop_tombstones"),
  };
}
