// Which settings can change while the relay runs. All others are what something was opened, started or listens with, and wait for the next start.

import { isDeepStrictEqual } from "node:util";

import type { Config } from "./schema.ts";

type Name = keyof Config | `limits.${keyof Config["limits"]}`;

const AT_RUN_TIME = [
  "name",
  "description",
  "icon",
  "contact",
  "pubkey",
  "trustedProxies",
  "blockedNetworks",
  "proofOfWork",
  "allowedRecipients",
  "deniedRecipients",
  "deniedAuthors",
  "admins",
  "log",
  "limits.tags",
  "limits.filters",
  "limits.filterValues",
  "limits.subscriptions",
  "limits.authKeys",
  "limits.acknowledgementIds",
  "limits.earlyTombstones",
  "limits.earlyTombstonesInAll",
  "limits.boxDrops",
  "limits.boxBytes",
  "limits.limit",
  "limits.reconcile",
  "limits.inbox",
  "limits.inboxBytes",
  "limits.memoryPerAddress",
  "limits.memory",
  "limits.connections",
  "limits.connectionsPerAddress",
  "limits.dropsPerSecond",
  "limits.dropsBurst",
  "limits.bytesPerSecond",
  "limits.bytesBurst",
  "limits.requestsPerSecond",
  "limits.requestsBurst",
  "limits.verifying",
  "limits.pingSeconds",
  "limits.deadSeconds",
] as const satisfies readonly Name[];

/** Their dotted names, as in the file. */
export const RUN_TIME_SETTINGS: readonly string[] = AT_RUN_TIME;

export type Changes = {
  /** What is in force from now on: `running` with all of `wanted` that can change at run time. */
  readonly config: Config;
  /** The dotted names of the settings in which it differs from `running`. */
  readonly applied: readonly string[];
  /** Those that `wanted` changes too, and that wait for a restart. */
  readonly waiting: readonly string[];
};

/** What becomes of a running configuration when another one is wanted. */
export function changesTo(running: Config, wanted: Config): Changes {
  const { limits: before, ...runningRest } = running;
  const { limits: after, ...wantedRest } = wanted;
  const top = merge(runningRest, wantedRest, "");
  const limits = merge(before, after, "limits.");
  return {
    config: { ...top.merged, limits: limits.merged },
    applied: [...top.applied, ...limits.applied],
    waiting: [...top.waiting, ...limits.waiting],
  };
}

function merge<Group extends object>(
  running: Group,
  wanted: Group,
  prefix: string,
): {
  readonly merged: Group;
  readonly applied: readonly string[];
  readonly waiting: readonly string[];
} {
  const merged = { ...running };
  const applied: string[] = [];
  const waiting: string[] = [];
  for (const key of Object.keys(wanted) as (keyof Group & string)[]) {
    if (isDeepStrictEqual(running[key], wanted[key])) continue;
    const name = prefix + key;
    if (!RUN_TIME_SETTINGS.includes(name)) {
      waiting.push(name);
      continue;
    }
    applied.push(name);
    merged[key] = wanted[key];
  }
  return { merged, applied, waiting };
}
