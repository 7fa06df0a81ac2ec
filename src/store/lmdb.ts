// The embedded store: one LMDB file, one machine, one process that writes (see lock.ts). The layout of the keys is drawn in layout.ts, what a write does
// in a file for each operation, and how writes share a transaction in writer.ts. Reads go straight to the memory map.

import { mkdirSync } from "node:fs";

import type { RetentionRule } from "../nostr/drop.ts";
import { acknowledge } from "./acknowledge.ts";
import { Announcements } from "./announcements.ts";
import { Boxes } from "./boxes.ts";
import { type Clock, StoreClock } from "./clock.ts";
import { Disk } from "./disk.ts";
import { mustBeReadable, takeUp } from "./history.ts";
import { lockStore } from "./lock.ts";
import { put } from "./put.ts";
import { sharedIds } from "./recent-ids.ts";
import { GENERATION } from "./settling.ts";
import type { SharedState } from "./shared-state.ts";
import type { Store } from "./store.ts";
import { Spare } from "./spare.ts";
import { sweepDrops, sweepTombstones } from "./sweep.ts";
import { openEnvironment, readDrop } from "./tables.ts";
import { totalsOf } from "./totals.ts";
import { Usage } from "./usage.ts";
import { vanish } from "./vanish.ts";
import type { StoreLimits, WriteContext } from "./write-context.ts";
import { Writer } from "./writer.ts";

export type LmdbSettings = {
  readonly folder: string;
  readonly retentionSeconds: number;
  readonly diskReserveBytes: number;
  readonly limits: StoreLimits;
  /** Drops whose index entries wait in memory, twice: see settling.ts. */
  readonly recentDrops?: number;
};

/** The store, and the retention rule that its past imposes. */
export type OpenedStore = {
  readonly store: Store;
  readonly rule: RetentionRule;
  /** For `openKnownDrops` and `remoteStore` in other threads. */
  readonly shared: SharedState;
  readonly clock: Pick<StoreClock, "doubt" | "lastSweep">;
  readonly disk: Pick<Disk, "free">;
  /** Says that the clock is right, whatever speaks against it. Resolves when that is remembered. */
  readonly confirmClock: () => Promise<void>;
  /** To be called every second or so: looks whether the disk is full, and keeps in hand what writes need when it is. */
  readonly look: () => Promise<void>;
};

/**
 * Opens the store in a folder, and makes it if it is not there. Throws when another process has it open, when its format is another one, or
 * when it cannot be read or written.
 */
export async function openLmdbStore(settings: LmdbSettings, machine: Clock): Promise<OpenedStore> {
  const { folder, limits, retentionSeconds, diskReserveBytes, recentDrops = GENERATION } = settings;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const environment = openEnvironment(folder, false);
  const { root, tables } = environment;
  const spare = new Spare(folder, environment);
  const opened = [() => root.close()];
  try {
    opened.push(await lockStore(folder, environment));
    mustBeReadable(folder, environment);
    if (spare.isShort) root.transactionSync(() => spare.fill());
  } catch (error) {
    for (const close of opened) await close();
    throw error;
  }

  const shared = {
    recentIds: sharedIds(recentDrops),
    newest: new SharedArrayBuffer(8),
    lastSweep: new SharedArrayBuffer(8),
    isFull: new SharedArrayBuffer(4),
  };
  const clock = new StoreClock(machine, tables, retentionSeconds, shared.lastSweep);
  const { rule, newest, largestBytes, wrapsHaveAuthors } = await takeUp(
    environment,
    limits,
    retentionSeconds,
    machine.now(),
    clock,
  );
  const boxes = new Boxes(tables, newest, shared, recentDrops);
  const usage = new Usage(boxes, largestBytes);
  const disk = new Disk(folder, environment, diskReserveBytes);
  const announcements = new Announcements();
  let seq = newest;
  const context: WriteContext = {
    tables,
    boxes,
    usage,
    announcements,
    rule,
    clock,
    limits,
    wrapsHaveAuthors,
    hasRoomFor: (bytes, purpose) => disk.hasRoomFor(bytes, purpose),
    nextSeq: () => ++seq,
  };
  const writer = new Writer(environment, {
    committed() {
      // Reads from now on see this commit.
      root.resetReadTxn();
      boxes.committed();
      announcements.committed();
    },
    answered: () => announcements.answered(),
    aborted() {
      announcements.aborted();
      boxes.aborted();
      usage.forget();
    },
  });

  const store: Store = {
    put: (drop, time) => writer.run(put(context, drop, time)),
    acknowledge: (acknowledged, time) => writer.run(acknowledge(context, acknowledged, time)),
    vanish: (vanishing, time) => writer.run(vanish(context, vanishing, time)),
    sweep: (of, time, from) =>
      writer.run(inOne(() => (of === "drops" ? sweepDrops : sweepTombstones)(context, time, from))),
    list: async (recipient, window, max) => boxes.list(recipient, window, max),
    read: (headers) => headers.map(({ seq: listed }) => readDrop(tables, listed)),
    get watermark() {
      return boxes.newest;
    },
    subscribe: (listener, wants) => announcements.subscribe(listener, wants),
    totals: () => totalsOf(environment),
    async close() {
      await writer.close();
      // The last commit is announced in the next turn.
      await new Promise<void>((resolve) => setImmediate(resolve));
      for (const close of opened) await close();
    },
  };
  async function look(): Promise<void> {
    const isFull = !disk.hasRoom(limits.eventBytes);
    Atomics.store(new Int32Array(shared.isFull), 0, isFull ? 1 : 0);
    if (spare.isShort) await writer.run(inOne(() => spare.fill()));
  }
  await look();
  return {
    store,
    rule,
    shared,
    clock,
    disk,
    confirmClock: () => writer.run(inOne(() => clock.confirm())),
    look,
  };
}

// An operation of one step.
function inOne<Outcome>(work: () => Outcome): { next(): IteratorReturnResult<Outcome> } {
  return { next: () => ({ done: true, value: work() }) };
}
