// The embedded store: one LMDB file, one machine, one process that writes (see lock.ts). The layout of the keys is drawn in layout.ts, what a write does
// in operations.ts, and how writes share a transaction in writer.ts. Reads go straight to the memory map.

import { mkdirSync } from "node:fs";

import type { RetentionRule } from "../nostr/drop.ts";
import { Disk, fileUse } from "./disk.ts";
import { Boxes, GENERATION, type SharedState } from "./boxes.ts";
import { boxKey, ownedKey } from "./layout.ts";
import { lockStore } from "./lock.ts";
import {
  acknowledge,
  put,
  type StoreLimits,
  sweepDrops,
  sweepTombstones,
  vanish,
  type Workplace,
} from "./operations.ts";
import { idSets, sharedIds } from "./recent-ids.ts";
import { decodeRule, encodeRule, nextRule } from "./retention.ts";
import { settleRest } from "./settle.ts";
import type { Held, KnownDrops, Store } from "./store.ts";
import { entries, openEnvironment, readDrop } from "./tables.ts";
import { Usage } from "./usage.ts";
import { Writer } from "./writer.ts";

/** The version of the layout. A store with another one is not opened. */
const FORMAT = "2";

export type LmdbSettings = {
  readonly folder: string;
  readonly retentionSeconds: number;
  readonly diskReserveBytes: number;
  readonly limits: StoreLimits;
  /** Drops whose index entries wait in memory, twice: see boxes.ts. */
  readonly recentDrops?: number;
};

/** The store, and the retention rule that its past imposes. */
export type OpenedStore = {
  readonly store: Store;
  readonly rule: RetentionRule;
  /** For `openKnownDrops` and `remoteStore` in other threads. */
  readonly shared: SharedState;
};

/**
 * Opens the store in a folder, and makes it if it is not there. Throws when another process has it open, when its format is another one, or
 * when it cannot be read or written.
 */
export async function openLmdbStore(settings: LmdbSettings, now: number): Promise<OpenedStore> {
  mkdirSync(settings.folder, { recursive: true, mode: 0o700 });
  const environment = openEnvironment(settings.folder, false);
  const { root, tables } = environment;
  let unlock: () => Promise<void>;
  try {
    unlock = await lockStore(settings.folder, environment);
  } catch (error) {
    await root.close();
    throw error;
  }

  const format = tables.meta.get("format");
  if (format !== undefined && format !== FORMAT) {
    await root.close();
    await unlock();
    throw new Error(
      `${settings.folder} holds a store of format ${format}; this version reads ${FORMAT}`,
    );
  }
  const before = tables.meta.get("retention");
  const rule = nextRule(
    before === undefined ? undefined : decodeRule(before),
    settings.retentionSeconds,
    now,
  );
  // Under the rule that was in force when they came.
  const newest = settleRest(environment, before === undefined ? rule : decodeRule(before));
  await tables.meta.put("format", FORMAT);
  await tables.meta.put("retention", encodeRule(rule));
  // Of all limits there ever were: drops from before may be larger than today's.
  const largest = Math.max(settings.limits.eventBytes, Number(tables.meta.get("largest") ?? 0));
  await tables.meta.put("largest", String(largest));

  let seq = newest;
  let uncommitted: Held[] = [];
  let removed: number[] = [];
  const unannounced = new Map<number, Held>();
  const listeners = new Map<(committed: readonly Held[]) => void, (recipient: string) => boolean>();
  const { recentDrops = GENERATION } = settings;
  const shared = { recentIds: sharedIds(recentDrops), newest: new SharedArrayBuffer(8) };
  const boxes = new Boxes(tables, newest, shared, recentDrops);
  const usage = new Usage(boxes, largest);
  const disk = new Disk(settings.folder, environment, settings.diskReserveBytes);

  const writer = new Writer(environment, {
    committed() {
      // Reads from now on see this commit.
      root.resetReadTxn();
      boxes.committed();
      for (const drop of uncommitted) unannounced.set(drop.seq, drop);
      uncommitted = [];
      // What was acknowledged in the same commit, or before it was announced, is not.
      for (const gone of removed) unannounced.delete(gone);
      removed = [];
    },
    answered() {
      if (unannounced.size === 0) return;
      const committed = [...unannounced.values()];
      unannounced.clear();
      for (const [listener, wants] of listeners) {
        const wanted = committed.filter(({ recipient }) => wants(recipient));
        if (wanted.length > 0) listener(wanted);
      }
    },
    aborted() {
      uncommitted = [];
      removed = [];
      boxes.aborted();
      usage.forget();
    },
  });
  // Rows of wraps are left to remove also when the operator no longer allows them to be deleted.
  const hadAuthors = tables.meta.get("authors") === "of wraps";
  const wrapsHaveAuthors = settings.limits.authorDeletesWraps || hadAuthors;
  if (wrapsHaveAuthors) await tables.meta.put("authors", "of wraps");
  const at: Workplace = {
    tables,
    boxes,
    usage,
    rule,
    limits: settings.limits,
    wrapsHaveAuthors,
    hasRoomFor: (bytes, purpose) => disk.hasRoomFor(bytes, purpose),
    nextSeq: () => ++seq,
    gone: (dropped) => removed.push(dropped),
  };

  const store: Store = {
    put: (drop, time) =>
      writer.run(
        (function* () {
          const outcome = yield* put(at, drop, time);
          if (typeof outcome === "string") return outcome;
          uncommitted.push({ ...drop, seq: outcome });
          return "stored";
        })(),
      ),
    acknowledge: (acknowledged, time) => writer.run(acknowledge(at, acknowledged, time)),
    vanish: (vanishing, time) => writer.run(vanish(at, vanishing, time)),
    sweep: (of, time, from) =>
      writer.run({
        next: () => ({
          done: true,
          value: (of === "drops" ? sweepDrops : sweepTombstones)(at, time, from),
        }),
      }),
    list: async (recipient, window, max) => boxes.list(recipient, window, max),
    read: (headers) => headers.map(({ seq: listed }) => readDrop(tables, listed)),
    get watermark() {
      return boxes.newest;
    },
    subscribe(listener, wants = () => true) {
      listeners.set(listener, wants);
      return () => listeners.delete(listener);
    },
    totals: () => ({
      drops: entries(tables.drops) - entries(tables.discarded),
      tombstones: entries(tables.tombstones),
      ...fileUse(environment),
    }),
    async close() {
      await writer.close();
      // The last commit is announced in the next turn.
      await new Promise<void>((resolve) => setImmediate(resolve));
      await root.close();
      await unlock();
    },
  };
  return { store, rule, shared };
}

/** A second, read-only view of an open store, for a thread that checks whether drops are known. */
export function openKnownDrops(
  folder: string,
  { recentIds }: Pick<SharedState, "recentIds">,
): KnownDrops & { refresh(): void; close(): Promise<void> } {
  const { root, tables } = openEnvironment(folder, true);
  const [one, other] = idSets(recentIds);
  return {
    known(drop) {
      // Held since lately, held for long, or acknowledged, before it came or after: always the same look-ups, so that time does not tell which.
      const isRecent = [one.has(drop.id), other.has(drop.id)];
      const isSettled = tables.boxes.doesExist(boxKey(drop));
      const isGone = tables.tombstones.doesExist(ownedKey(drop.recipient, drop.id));
      return isRecent.includes(true) || isSettled || isGone;
    },
    /** Lets what was committed since be seen. */
    refresh: () => root.resetReadTxn(),
    close: () => root.close(),
  };
}
