// Runs the scenarios and writes down what they measured.
//
//   node bench/run.ts [--quick] [--peers] [--before checkout] [--everywhere] [--points text]… [--rounds N] [--out folder] [scenario …]
//
// In each round every relay takes its turn at a point before the next point, in an order that turns round from round to round, so that a noisy moment
// hits all of them. A peer that fails is reported as such. When this relay fails, so does the run, after everything else was measured.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { scenario as acknowledge } from "./acknowledge.ts";
import { scenario as auth } from "./auth.ts";
import { scenario as boxes } from "./boxes.ts";
import { scenario as cores } from "./cores.ts";
import { scenario as dropsOneConnection } from "./drops-one-connection.ts";
import { scenario as dropsSaturated } from "./drops-saturated.ts";
import { scenario as drops } from "./drops.ts";
import { scenario as flood } from "./flood.ts";
import { scenario as held } from "./held.ts";
import { scenario as idle } from "./idle.ts";
import { scenario as live } from "./live.ts";
import { scenario as pickup } from "./pickup.ts";
import { scenario as space } from "./space.ts";
import { scenario as start } from "./start.ts";
import { scenario as subscribers } from "./subscribers.ts";
import { scenario as sweep } from "./sweep.ts";
import { commit, machine } from "./harness/machine.ts";
import { json, markdown, type Measured, type Outcome, show, svg } from "./harness/report.ts";
import type { Point, Sample, Scenario, Subject } from "./harness/scenario.ts";
import type { Running } from "./peers/server.ts";
import { earlier, ours, peerSubjects } from "./subjects.ts";

/** In the order in which they run and are reported. */
const SCENARIOS: readonly Scenario[] = [
  drops,
  dropsOneConnection,
  dropsSaturated,
  pickup,
  live,
  idle,
  acknowledge,
  sweep,
  start,
  auth,
  cores,
  held,
  subscribers,
  boxes,
  space,
  flood,
];

const ROUNDS = 3;
const ONLY_POINT: Point = { label: "", x: 0 };
/** How long one measurement may take, with all that it prepares. */
const MEASURE_MS = 20 * 60_000;
const QUICK_MEASURE_MS = 60_000;
const RESULTS = resolve(import.meta.dirname, "../.cache/bench/results");

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    peers: { type: "boolean", default: false },
    before: { type: "string" },
    everywhere: { type: "boolean", default: false },
    points: { type: "string", multiple: true, default: [""] },
    rounds: { type: "string" },
    out: { type: "string", default: RESULTS },
  },
});
const { quick, out } = options;
const rounds = Number(options.rounds ?? (quick ? 1 : ROUNDS));
if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error(`--rounds ${options.rounds}`);
for (const name of names) {
  if (SCENARIOS.some((scenario) => scenario.name === name)) continue;
  throw new Error(`no scenario ${name}; there are ${SCENARIOS.map((one) => one.name).join(", ")}`);
}
const scenarios = SCENARIOS.filter(({ name }) => names.length === 0 || names.includes(name));

const log = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

const folders = new Set<string>();
const folder = (): string => {
  const made = mkdtempSync(join(tmpdir(), "bench-"));
  folders.add(made);
  return made;
};
const removeFolders = (): void => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  folders.clear();
};
process.once("exit", removeFolders);
process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));

/** One measurement with nothing left of it afterwards, however it ended: no relay, no folder. */
async function measure(scenario: Scenario, subject: Subject, point: Point): Promise<Sample> {
  const started: Running[] = [];
  const watched: Subject = {
    ...subject,
    async start(...how) {
      const running = await subject.start(...how);
      started.push(running);
      return running;
    },
  };
  const limitMs = quick ? QUICK_MEASURE_MS : MEASURE_MS;
  let late: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      scenario.measure(watched, { quick, folder, log }, point),
      new Promise<never>((_, reject) => {
        late = setTimeout(() => reject(new Error(`took over ${limitMs / 1_000} s`)), limitMs);
      }),
    ]);
  } finally {
    clearTimeout(late);
    // One that is stopped already stays so.
    await Promise.all(started.map((running) => running.stop()));
    removeFolders();
  }
}

function progress({ columns }: Scenario, sample: Sample): string {
  return columns.map((column) => `${show(sample[column.key], column)} ${column.head}`).join("; ");
}

async function runScenario(scenario: Scenario, all: readonly Subject[]): Promise<Outcome> {
  const variants = Object.entries(scenario.variants ?? {}).map(([name, settings]) =>
    ours(name, settings),
  );
  const own = all.filter(({ isOurs }) => isOurs);
  const peers = all.filter(({ isOurs }) => !isOurs);
  const subjects = [...own, ...variants, ...(scenario.peers ? peers : [])];
  const every = scenario.points?.(quick, options.everywhere) ?? [ONLY_POINT];
  const points = every.filter(({ label }) => options.points.some((text) => label.includes(text)));
  const measured: Measured[] = points.flatMap((point) =>
    subjects
      .filter(({ isOurs }) => isOurs || (scenario.peerPoints?.includes(point.x) ?? true))
      .map((subject) => ({ subject, point, samples: [] })),
  );
  for (let round = 1; round <= rounds; round += 1) {
    for (const point of points) {
      const turns = measured.filter((one) => one.point === point);
      for (const one of round % 2 === 0 ? turns.toReversed() : turns) {
        if (one.failure !== undefined) continue;
        const title = [scenario.name, point.label, one.subject.name].filter(Boolean).join(", ");
        try {
          const sample = await measure(scenario, one.subject, point);
          one.samples.push(sample);
          log(`${title}, round ${round} of ${rounds}: ${progress(scenario, sample)}`);
        } catch (error) {
          one.failure = error instanceof Error ? error.message : String(error);
          log(`${title}, round ${round} of ${rounds}: FAILED: ${one.failure}`);
          if (one.subject.isOurs && error instanceof Error) log(error.stack ?? "");
        }
      }
    }
  }
  return { scenario, measured };
}

const subjects = [
  ours("Dead Drop"),
  ...(options.before === undefined ? [] : [earlier(resolve(options.before))]),
  ...(options.peers ? peerSubjects() : []),
];
for (const subject of subjects) await subject.build(log);

const outcomes: Outcome[] = [];
for (const scenario of scenarios) outcomes.push(await runScenario(scenario, subjects));

const circumstances = {
  date: new Date().toISOString(),
  commit: commit(),
  machine: machine(),
  rounds,
  quick,
};
mkdirSync(out, { recursive: true });
writeFileSync(join(out, "results.json"), json(circumstances, outcomes));
writeFileSync(join(out, "results.md"), markdown(circumstances, outcomes));
for (const outcome of outcomes) {
  const drawing = svg(outcome);
  if (drawing !== undefined) writeFileSync(join(out, `${outcome.scenario.name}.svg`), drawing);
}
log(`written to ${out}`);
const failed = outcomes.some(({ measured }) =>
  measured.some(
    ({ subject, failure }) => subject.isOurs && !subject.isEarlier && failure !== undefined,
  ),
);
// Not only the code: a measurement that ran out of time may still hold sockets open.
process.exit(failed ? 1 : 0);
