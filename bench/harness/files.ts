// How many connections this machine can hold: each is a file, here and in the relay.

import { readFileSync } from "node:fs";

/** Files that a process has open beside its connections. */
const OTHER_FILES = 200;
const MOST = "BENCH_MOST_CONNECTIONS";

/**
 * `wanted`, or fewer where the environment variable BENCH_MOST_CONNECTIONS says so. Throws when the system does not allow a process so many open files.
 * Node raises its soft limit to the hard one when it starts, and a relay inherits it.
 */
export function connections(wanted: number): number {
  const asked = process.env[MOST];
  const most = asked === undefined ? wanted : Math.min(wanted, Number(asked));
  const limits = readFileSync("/proc/self/limits", "latin1");
  const [, limit] = /^Max open files\s+(\d+)/m.exec(limits) ?? [];
  if (limit !== undefined && most + OTHER_FILES > Number(limit)) {
    throw new Error(
      `${most} connections need a limit of ${most + OTHER_FILES} open files, it is ${limit}: raise it ` +
        `(ulimit -Hn) or have fewer connections (${MOST}=${Number(limit) - OTHER_FILES})`,
    );
  }
  return most;
}
