import { execFileSync } from "node:child_process";
import { cpus } from "node:os";

import { DROP_COLUMNS, measureDrops } from "./harness/drops.ts";
import type { Scenario } from "./harness/scenario.ts";

const FIRST_PROCESSORS = ["0", "0,1"] as const;

function pin(processors: string): void {
  execFileSync("taskset", ["-apc", processors, String(process.pid)], { stdio: "ignore" });
}

/** Has all threads of this process, which is the load generator, run on `processors` only. Returns what undoes it. */
function pinGenerator(processors: string): () => void {
  const said = execFileSync("taskset", ["-pc", String(process.pid)], { encoding: "utf8" });
  const before = said.slice(said.lastIndexOf(" ") + 1).trim();
  pin(processors);
  return () => pin(before);
}

/** The processors the relay does not have; when there are none, it shares them all. */
function othersThan(relayHas: number): string {
  const last = cpus().length - 1;
  return relayHas > last ? `0-${last}` : `${relayHas}-${last}`;
}

export const scenario: Scenario = {
  name: "cores",
  title: "Drops on one core and on two: 64 connections, 16 in flight on each",
  columns: DROP_COLUMNS,
  target: "two cores give at least 1.6× the OK/s of one",
  points: () => [
    { label: "1 core", x: 1 },
    { label: "2 cores", x: 2 },
  ],
  note: `The load generator has the cores that the relay has not. Where the machine has only two, it shares both with a relay on two cores, and its own CPU, \
which the table gives, is taken from what the relay could have had.`,
  peers: false,
  async measure(subject, run, { x }) {
    const processors = FIRST_PROCESSORS[x - 1];
    if (processors === undefined || cpus().length < 2) throw new Error(`needs ${x} cores`);
    const unpin = pinGenerator(othersThan(x));
    try {
      return await measureDrops(subject, run, {
        connections: 64,
        inFlight: 16,
        how: { processors },
      });
    } finally {
      unpin();
    }
  },
};
