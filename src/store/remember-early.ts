import { earlyCounts, putEarly } from "./early.ts";
import {
  DELETIONS_A_STEP,
  type Operation,
  TOMBSTONE_BYTES,
  type WriteContext,
} from "./write-context.ts";

/** Remembers until a time what a key of `tombstones` names. What is remembered already needs no room. */
export function* rememberEarly(
  context: WriteContext,
  key: Buffer,
  until: number,
): Operation<"done" | "too many early" | "storage full"> {
  const { tables, limits, arrivals } = context;
  if (tables.tombstones.doesExist(key)) return "done";
  const isFull = (): boolean => {
    const { own, all } = earlyCounts(tables, key);
    return own >= limits.earlyTombstones || all >= limits.earlyTombstonesInAll;
  };
  // Those whose drops have come take no place, but for the time until that is settled.
  if (isFull()) while (!arrivals.settle(DELETIONS_A_STEP)) yield;
  if (isFull()) return "too many early";
  if (!context.hasRoomFor(TOMBSTONE_BYTES, "tombstone")) return "storage full";
  putEarly(tables, key, until);
  return "done";
}
