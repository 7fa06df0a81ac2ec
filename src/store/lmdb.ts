// The embedded store: one LMDB file, one machine, one process that writes (see lock.ts). The layout of the keys is drawn in layout.ts, what a write does
// in a file for each operation, and how writes share a transaction in writer.ts. Reads go straight to the memory map.

import { mkdirSync } from "node:fs";

import type { RetentionRule } from "../nostr/drop.ts";
import { acknowledge } from "./acknowledge.ts";
import { Announcements } from "./announcements.ts";
import { Arrivals } from "./arrivals.ts";
import { Boxes } from "./boxes.ts";
import { type Census, expiredDrops, takeCensus } from "./census.ts";
import { type Clock, StoreClock } from "./clock.ts";
import { convertStore, isOfBefore } from "./convert.ts";
import { Disk } from "./disk.ts";
import { exitAtOnce } from "./exit.ts";
import { DropKeyMaker } from "./drop-keys.ts";
import { isNew, mustBeSecretOf, takeUp } from "./history.ts";
import { lockStore } from "./lock.ts";
import { put } from "./put.ts";
import { forgetParts, keepNames, makeStore } from "./new-store.ts";
import { DiskFull, type Incidents, isStoreError, plain, UNHEARD } from "./incidents.ts";
import { mustBeOpenable } from "./openable.ts";
import { FOLDER_MODE, keepPrivate } from "./privacy.ts";
import { sharedIds } from "./recent-ids.ts";
import { removeBox } from "./remove-box.ts";
import { wipeBefore } from "./replace.ts";
import { StoreLost, watchFile } from "./same-file.ts";
import { lastNumber } from "./settle.ts";
import { GENERATION } from "./settling.ts";
import { readSecret, secretsFrom } from "./secret.ts";
import { isFull, type SharedState } from "./shared-state.ts";
import type { Store } from "./store.ts";
import { Spare } from "./spare.ts";
import { sweepDrops, sweepTombstones } from "./sweep.ts";
import { MAP_BYTES, mustRead, openDatabases, type Opened, readDrops, readEvent } from "./tables.ts";
import { totalsOf } from "./totals.ts";
import { unlocked } from "./unlocked.ts";
import { Usage } from "./usage.ts";
import { vanish } from "./vanish.ts";
import type { StoreLimits, WriteContext } from "./write-context.ts";
import { Writer } from "./writer.ts";

export type LmdbSettings = {
  readonly folder: string;
  readonly retentionSeconds: number;
  readonly diskReserveBytes: number;
  readonly limits: StoreLimits;
  /** Where the store's secret is: see `readSecret`. Undefined: in the folder. */
  readonly secret?: string;
  /** Drops whose index entries wait in memory, twice: see settling.ts. */
  readonly recentDrops?: number;
  readonly incidents?: Incidents;
  /** Hears of every commit that drops were put in, how many, and how long it took with its flush. */
  readonly committed?: (drops: number, seconds: number) => void;
};

/** The store, and the retention rule that its past imposes. */
export type OpenedStore = {
  readonly store: Store;
  readonly rule: RetentionRule;
  /** For `openKnownDrops` and `remoteStore` in other threads. */
  readonly shared: SharedState;
  readonly clock: Pick<StoreClock, "doubt" | "lastSweep">;
  readonly disk: Pick<Disk, "free">;
  /** Counts what is held: see census.ts. */
  readonly census: (isGivenUp: () => boolean) => Promise<Census>;
  /** Drops of days that are over, still on disk. No more than 10,000 are counted. */
  readonly expired: () => number;
  /** Says that the clock is right, whatever speaks against it. Resolves when that is remembered. */
  readonly confirmClock: () => Promise<void>;
  /** Removes all that is held for a recipient, at `now`, as if it were acknowledged. Resolves when that is on disk. */
  readonly removeBox: (recipient: string, now: number) => Promise<void>;
  /** To be called every second or so: looks whether the store is still where it was and the disk is full, and keeps in hand what writes need when it is. */
  readonly look: () => Promise<void>;
};

/**
 * Opens the store in a folder, and makes it if it is not there. Throws, with what to do, when another process has it open, when its format is another one, or
 * when it cannot be read or written; nothing is open then.
 */
export async function openLmdbStore(settings: LmdbSettings, machine: Clock): Promise<OpenedStore> {
  const { folder, incidents = UNHEARD } = settings;
  const made = mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
  for (const what of keepPrivate(folder)) incidents.exposed(what);
  mustBeOpenable(folder, MAP_BYTES);
  await makeStore(folder);
  keepNames(folder, made);
  const found = watchFile(folder);
  let file = openDatabases(folder, false);
  const stay = exitAtOnce();
  const opened = [() => file.root.close().then(stay)];
  try {
    opened.push(await lockStore(folder, file));
    // Who had it locked until now may have put another file in its place.
    found.mustBeThere();
    forgetParts(folder);
    if (isOfBefore(file.databases)) {
      await convertStore(folder, file, settings.secret ?? "", incidents.damaged);
      incidents.converted();
      file = openDatabases(folder, false);
    }
    return await openLocked(settings, machine, file, opened);
  } catch (error) {
    for (const close of opened) await close();
    if (!isStoreError(error)) throw error;
    throw new Error(`the store in ${folder} cannot be written: ${plain(error).message}`, {
      cause: error,
    });
  }
}

// What follows when no other process has it.
async function openLocked(
  settings: LmdbSettings,
  machine: Clock,
  { root, databases }: Opened,
  opened: readonly (() => Promise<void>)[],
): Promise<OpenedStore> {
  const { folder, limits, retentionSeconds, diskReserveBytes, recentDrops = GENERATION } = settings;
  const { diskFull, damaged, lost } = settings.incidents ?? UNHEARD;
  const secret = readSecret(settings.secret ?? "", folder, isNew(folder, databases));
  const secrets = secretsFrom(secret);
  mustBeSecretOf(folder, databases, secrets);
  wipeBefore(folder);
  const spare = new Spare(folder, { root, databases });
  const file = watchFile(folder);
  if (spare.isShort) root.transactionSync(() => spare.fill());
  const dropKeys = new DropKeyMaker(folder, lastNumber(databases), databases);
  const tables = unlocked(databases, secrets, dropKeys);
  const environment = { root, databases, tables };

  const shared = {
    secret: new Uint8Array(secret),
    recentIds: sharedIds(recentDrops),
    newest: new SharedArrayBuffer(8),
    lastSweep: new SharedArrayBuffer(8),
    arrivals: new SharedArrayBuffer(4),
    isFull: new SharedArrayBuffer(4),
  };
  const clock = new StoreClock(machine, tables, retentionSeconds, shared.lastSweep);
  const { rule, newest, largestBytes, wrapsHaveAuthors } = await takeUp(
    environment,
    limits,
    retentionSeconds,
    machine.now(),
    clock,
    secrets,
    damaged,
  );
  const oldestArrival = (): number => arrivals.oldest;
  const boxes = new Boxes(tables, newest, shared, recentDrops, oldestArrival, damaged);
  const arrivals = new Arrivals(tables, shared.arrivals, recentDrops);
  const usage = new Usage(boxes, largestBytes);
  const disk = new Disk(folder, environment, diskReserveBytes);
  const announcements = new Announcements();
  let seq = newest;
  const context: WriteContext = {
    tables,
    boxes,
    arrivals,
    usage,
    announcements,
    rule,
    clock,
    limits,
    wrapsHaveAuthors,
    hasRoomFor: (bytes, purpose) => disk.hasRoomFor(bytes, purpose),
    nextSeq: () => (dropKeys.isReady(seq + 1) ? ++seq : undefined),
    damaged,
  };
  let cause: Error | undefined;
  function lose(error: Error): void {
    if (cause !== undefined) return;
    cause = error;
    writer.giveUp(error);
    lost(error);
  }
  const writer = new Writer(environment, {
    mayBegin() {
      if (!isFull(shared) || spare.hasRoomForCommit()) return;
      const error = new DiskFull(`${folder} has no room for a commit`);
      diskFull(error);
      throw error;
    },
    // OK would speak of a file that nobody finds any more.
    verify: () => file.mustBeThere(),
    committed() {
      // Reads from now on see this commit.
      root.resetReadTxn();
      boxes.committed();
      dropKeys.destroy(tables.drops.takeGone());
      arrivals.committed();
      announcements.committed();
    },
    measured(drops, seconds) {
      // The others are not for others to see: on a quiet relay each is an acknowledgement.
      if (drops > 0) settings.committed?.(drops, seconds);
    },
    aborted() {
      tables.drops.takeGone();
      announcements.aborted();
      boxes.aborted();
      arrivals.aborted();
      usage.forget();
    },
    isReadable() {
      root.resetReadTxn();
      try {
        mustRead(tables);
        return true;
      } catch {
        return false;
      }
    },
    hasRoom: () => spare.hasRoom(),
    diskFull,
    lost: lose,
  });
  // Whatever is read from the map: that it cannot be read ends it all.
  function reading<Found>(read: () => Found): Found {
    if (cause !== undefined) throw new StoreLost(cause.message, { cause });
    try {
      return read();
    } catch (error) {
      if (isStoreError(error)) lose(error);
      throw error;
    }
  }

  const store: Store = {
    put: (drop, time) => writer.run(put(context, drop, time), true).catch(storageFull),
    acknowledge: (acknowledged, time) => writer.run(acknowledge(context, acknowledged, time)),
    vanish: (vanishing, time) => writer.run(vanish(context, vanishing, time)),
    sweep: (of, time, from) =>
      writer.run(inOne(() => (of === "drops" ? sweepDrops : sweepTombstones)(context, time, from))),
    list: async (recipient, window, max) => reading(() => boxes.list(recipient, window, max)),
    read: (headers) => reading(() => readDrops(tables, headers, damaged)),
    event: (listed) => reading(() => readEvent(tables, listed, damaged)),
    get watermark() {
      return boxes.newest;
    },
    subscribe: (listener, wants) => announcements.subscribe(listener, wants),
    totals: () => reading(() => totalsOf(environment, shared)),
    async close() {
      await writer.close();
      // What cannot be written over now is after the next start.
      if (cause === undefined) await dropKeys.destroyAll().catch(() => undefined);
      dropKeys.close();
      announcements.announce();
      // lmdb would wait for a transaction that never ends.
      const closing = cause === undefined ? opened : opened.slice(1);
      for (const close of closing) await close();
    },
  };
  async function look(): Promise<void> {
    reading(() => file.mustBeThere());
    const isFullNow = !disk.hasRoom(limits.eventBytes);
    Atomics.store(new Int32Array(shared.isFull), 0, isFullNow ? 1 : 0);
    // A disk that takes no more was told of when it did not.
    if (spare.isShort) await writer.run(inOne(() => spare.fill())).catch(storageFull);
    await dropKeys.look();
  }
  await look();
  return {
    store,
    rule,
    shared,
    clock,
    disk,
    census: (isGivenUp) => takeCensus({ tables, boxes, reading, isGivenUp }),
    expired: () => reading(() => expiredDrops(tables, machine.now())),
    confirmClock: () => writer.run(inOne(() => clock.confirm())),
    removeBox: (recipient, time) => writer.run(removeBox(context, recipient, time)),
    look,
  };
}

function storageFull(error: unknown): "storage full" {
  if (error instanceof DiskFull) return "storage full";
  throw error;
}

// An operation of one step.
function inOne<Outcome>(work: () => Outcome): { next(): IteratorReturnResult<Outcome> } {
  return { next: () => ({ done: true, value: work() }) };
}
