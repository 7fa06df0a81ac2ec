// What a write does its work on, inside the transaction. Each operation is a generator: it yields wherever the transaction may end and another one go on
// with the rest, so that no operation, however large, holds the event loop. The writer runs one operation to its end before it begins the next; nothing
// else writes in between. An operation that is cut short by a crash has done a part, and its promise never resolved.

import type { RetentionRule } from "../nostr/drop.ts";
import type { Announcements } from "./announcements.ts";
import type { Arrivals } from "./arrivals.ts";
import type { Boxes } from "./boxes.ts";
import type { StoreClock } from "./clock.ts";
import type { Damaged, Tables } from "./tables.ts";
import type { Usage } from "./usage.ts";

export type StoreLimits = {
  readonly boxDrops: number;
  readonly boxBytes: number;
  /** The largest drop that is put. */
  readonly eventBytes: number;
  readonly earlyTombstones: number;
  readonly earlyTombstonesInAll: number;
  /** Whether the author of a gift wrap may delete it (NIP-09); of a kind 4 it always may. */
  readonly authorDeletesWraps: boolean;
};

/** What operations work on. */
export type WriteContext = {
  readonly tables: Tables;
  readonly boxes: Boxes;
  readonly arrivals: Arrivals;
  readonly usage: Usage;
  readonly announcements: Announcements;
  readonly rule: RetentionRule;
  readonly clock: StoreClock;
  readonly limits: StoreLimits;
  /** Whether there may be rows in `authors` for gift wraps. */
  readonly wrapsHaveAuthors: boolean;
  /** Whether the disk has room for so many bytes more; for a tombstone it may go deeper into the reserve. */
  hasRoomFor(bytes: number, purpose: "drop" | "tombstone"): boolean;
  /** The number of the drop that is put next; undefined where the disk has no room for keys of its own. */
  nextSeq(): number | undefined;
  /** A record cannot be read. */
  readonly damaged: Damaged;
};

/** A unit of work that may be spread over several transactions, ending where it yields. */
export type Operation<Outcome> = Generator<void, Outcome>;

/** Drops deleted, each 10–50 µs, between two places where a transaction may end. */
export const DELETIONS_A_STEP = 50;
/** What a tombstone takes on disk, at most. */
export const TOMBSTONE_BYTES = 256;
