// What an earlier run left that a start must take into account, whatever ended it.

import type { RetentionRule } from "../nostr/drop.ts";
import type { StoreClock } from "./clock.ts";
import { decodeRule, encodeRule, nextRule } from "./retention.ts";
import { settleRest } from "./settle.ts";
import type { StoreSecrets } from "./secret.ts";
import { damagedMeta, type Damaged, type Databases, type Environment, numberIn } from "./tables.ts";
import type { StoreLimits } from "./write-context.ts";

/** The version of the layout. A store with another one is not opened. */
export const FORMAT = "3";
/** The one before, which a start converts: see convert.ts. */
export const FORMAT_BEFORE = "2";

export type History = {
  /** The retention rule that the past imposes. */
  readonly rule: RetentionRule;
  /** The `seq` up to which numbers are taken. */
  readonly newest: number;
  /** The largest drop that any limit ever let in, bytes: drops from before may be larger than today's. */
  readonly largestBytes: number;
  /** Whether there may be rows in `authors` for gift wraps. */
  readonly wrapsHaveAuthors: boolean;
};

/** Whether the store is a new one. Throws when it has another format. */
export function isNew(folder: string, { meta }: Databases): boolean {
  const format = meta.get("format");
  if (format === undefined) return true;
  if (format === FORMAT) return false;
  throw new Error(`${folder} holds a store of format ${format}${whatToDo(format)}`);
}

function whatToDo(format: string): string {
  if (format === FORMAT_BEFORE) {
    return `; the next start of the relay converts it to ${FORMAT}, and deaddrop backup copies it as it is`;
  }
  const isNewer = Number(format) > Number(FORMAT);
  const other = isNewer ? ", of a newer version of this program" : "";
  const start = isNewer ? "start that version again" : "start the version that wrote it";
  return `${other}, and this one reads ${FORMAT}; ${start}, or move the folder away to start with an empty store`;
}

/** Throws when the store was not written under this secret. */
export function mustBeSecretOf(folder: string, { meta }: Databases, { check }: StoreSecrets): void {
  const known = meta.get("secret");
  if (known === undefined || known === check) return;
  throw new Error(
    `${folder} was written under another secret; give back the one it had, or move the folder away to start with an empty store`,
  );
}

/** Settles what was left unsettled, and keeps today's settings for later starts. */
export async function takeUp(
  environment: Environment,
  limits: StoreLimits,
  retentionSeconds: number,
  now: number,
  clock: StoreClock,
  { check }: StoreSecrets,
  damaged: Damaged,
): Promise<History> {
  const { meta } = environment.tables;
  const text = meta.get("retention");
  const before = text === undefined ? undefined : decodeRule(text);
  if (before === "malformed") throw damagedMeta("retention");
  const rule = nextRule(before, retentionSeconds, clock.latest(now), clock.past(now));
  // Under the rule that was in force when they came.
  const newest = settleRest(environment, before ?? rule, damaged);
  await meta.put("secret", check);
  await meta.put("format", FORMAT);
  await meta.put("retention", encodeRule(rule));
  const largestBytes = Math.max(limits.eventBytes, numberIn(environment.tables, "largest") ?? 0);
  await meta.put("largest", String(largestBytes));
  // Rows of wraps are left to remove also when the operator no longer allows them to be deleted.
  const wrapsHaveAuthors = limits.authorDeletesWraps || meta.get("authors") === "of wraps";
  if (wrapsHaveAuthors) await meta.put("authors", "of wraps");
  return { rule, newest, largestBytes, wrapsHaveAuthors };
}
