// What is remembered though nothing that was held vouches for it: ids that were acknowledged before their drops came, and requests to vanish.
//
// A key costs a stranger nothing, so a bound for each key is none. Table `early` has a count for each owner and one of all; both change in the transaction that
// remembers or forgets, so they are true whatever ends it, and a start counts nothing.

import { ownerOf, tombstoneIn, tombstoneValue } from "./layout.ts";
import type { Tables } from "./tables.ts";

// No owner's: those are keys.
const ALL = Buffer.alloc(1);
const COUNT_BYTES = 4;

/** Writes an early tombstone. */
export function putEarly(tables: Tables, key: Buffer, until: number): void {
  const owner = ownerOf(key);
  const all = countOfAll(tables);
  tables.tombstones.putSync(key, tombstoneValue(until, true));
  setCount(tables, owner, countOf(tables, owner) + 1);
  setCount(tables, ALL, all + 1);
}

/** How many there are of the owner of this key, and of all. */
export function earlyCounts(tables: Tables, key: Buffer): { own: number; all: number } {
  return { own: countOf(tables, ownerOf(key)), all: countOfAll(tables) };
}

/** The drop that an early tombstone speaks of came: the tombstone is one like any other from now on, until the drop's expiry. */
export function arrived(tables: Tables, key: Buffer, expiry: number): void {
  tables.tombstones.putSync(key, tombstoneValue(expiry, false));
  forgetEarly(tables, key);
}

/** One that was remembered so is swept, or its drop came. */
export function forgetEarly(tables: Tables, key: Buffer): void {
  const owner = ownerOf(key);
  const all = countOfAll(tables);
  setCount(tables, owner, countOf(tables, owner) - 1);
  setCount(tables, ALL, all - 1);
}

/** Counts those that are there, whatever was counted before. */
export function recount(tables: Tables): void {
  const counts = new Map<string, number>();
  let all = 0;
  for (const { key, value } of tables.tombstones.getRange()) {
    if (tombstoneIn(value)?.isEarly !== true) continue;
    const owner = ownerOf(key).toString("hex");
    counts.set(owner, (counts.get(owner) ?? 0) + 1);
    all += 1;
  }
  tables.early.clearSync();
  for (const [owner, count] of counts) setCount(tables, Buffer.from(owner, "hex"), count);
  setCount(tables, ALL, all);
}

function countOf({ early }: Tables, owner: Buffer): number {
  return countIn(early.get(owner)) ?? 0;
}

function countOfAll({ early }: Tables): number {
  const counted = countIn(early.get(ALL));
  if (counted !== undefined) return counted;
  // Of none; or the store is from before all were counted; or the count is damaged.
  let all = 0;
  for (const { key, value } of early.getRange()) if (!key.equals(ALL)) all += countIn(value) ?? 0;
  return all;
}

// A damaged one counts for nothing, and is written anew with the next.
function countIn(value: Buffer | undefined): number | undefined {
  return value?.length === COUNT_BYTES ? value.readUInt32BE() : undefined;
}

function setCount({ early }: Tables, owner: Buffer, count: number): void {
  if (count <= 0) {
    early.removeSync(owner);
    return;
  }
  const value = Buffer.allocUnsafe(COUNT_BYTES);
  value.writeUInt32BE(count);
  early.putSync(owner, value);
}
