// How much of a part of the faults is run, and what came of it. `npm test` runs a bounded share of each; `npm run faults [part …]` all of it.

import { randomInt } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";

const RESULTS = new URL("../../.cache/faults/", import.meta.url).pathname;

const isLong = process.env["FAULTS"] === "long";

/** The share for this run. */
export function budget<Share>({
  short,
  long,
}: {
  readonly short: Share;
  readonly long: Share;
}): Share {
  return isLong ? long : short;
}

/** A seed to begin with: FAULTS_SEED where a run is to be repeated. */
export const SEED = Number(process.env["FAULTS_SEED"] ?? randomInt(2 ** 31));

/** Writes down what a part tried and found, for docs/RELIABILITY.md: a line of JSON, also in `.cache/faults/<part>.json`. */
export function record(part: string, figures: Readonly<Record<string, unknown>>): void {
  const machine = { cores: cpus().length, node: process.version, kernel: release() };
  const line = JSON.stringify({ part, isLong, seed: SEED, ...figures, ...machine });
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(`${RESULTS}${part}.json`, `${line}\n`);
  console.log(line);
}
