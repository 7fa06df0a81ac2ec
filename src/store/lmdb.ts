// The embedded store: one LMDB file, one machine, one process that writes (see lock.ts). The layout of the keys is drawn in layout.ts, what a write does
// in operations.ts, and how writes share a transaction in writer.ts. Reads go straight to the memory map.

import { mkdirSync } from "node:fs";

import type { RetentionRule } from "../nostr/drop.ts";
import { Disk, fileUse } from "./disk.ts";
import { after, boxRange, header, headerKey } from "./layout.ts";
import { lockStore } from "./lock.ts";
import {
  acknowledge,
  isKnown,
  put,
  type StoreLimits,
  sweepDrops,
  sweepTombstones,
  vanish,
  type Workplace,
} from "./operations.ts";
import { decodeRule, encodeRule, nextRule } from "./retention.ts";
import type { Held, KnownDrops, Store } from "./store.ts";
import { openEnvironment } from "./tables.ts";
import { Usage } from "./usage.ts";
import { Writer } from "./writer.ts";

/** The version of the layout. A store with another one is not opened. */
const FORMAT = "1";

export type LmdbSettings = {
  readonly folder: string;
  readonly retentionSeconds: number;
  readonly diskReserveBytes: number;
  readonly limits: StoreLimits;
};

/** The store, and the retention rule that its past imposes. */
export type OpenedStore = { readonly store: Store; readonly rule: RetentionRule };

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
  await tables.meta.put("format", FORMAT);
  await tables.meta.put("retention", encodeRule(rule));

  const [newest = 0] = tables.drops.getKeys({ reverse: true, limit: 1 });
  let seq = newest;
  let watermark = newest;
  let uncommitted: Held[] = [];
  let unannounced: Held[] = [];
  const listeners = new Set<(committed: readonly Held[]) => void>();
  const usage = new Usage(tables);
  const disk = new Disk(settings.folder, environment, settings.diskReserveBytes);

  const writer = new Writer(environment, {
    committed() {
      // Reads from now on see this commit.
      root.resetReadTxn();
      watermark = uncommitted.at(-1)?.seq ?? watermark;
      unannounced.push(...uncommitted);
      uncommitted = [];
    },
    answered() {
      // What was acknowledged in the same commit, or in one since, is gone.
      const committed = unannounced.filter((drop) => tables.drops.doesExist(drop.seq));
      unannounced = [];
      if (committed.length === 0) return;
      for (const listener of listeners) listener(committed);
    },
    aborted() {
      uncommitted = [];
      usage.forget();
    },
  });
  const at: Workplace = {
    tables,
    usage,
    rule,
    limits: settings.limits,
    hasRoomFor: (bytes, purpose) => disk.hasRoomFor(bytes, purpose),
    nextSeq: () => ++seq,
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
      writer.run((of === "drops" ? sweepDrops : sweepTombstones)(at, time, from)),
    async list(recipient, window, max) {
      const range = boxRange(recipient, window.since, window.until);
      const next = window.after && after(headerKey(window.after));
      if (next !== undefined && next.compare(range.start) > 0) range.start = next;
      const found = [];
      for (const { key, value } of tables.boxes.getRange({ ...range, limit: max })) {
        found.push(header(recipient, key, value));
      }
      return found;
    },
    read: (headers) => headers.map((listed) => tables.drops.get(listed.seq)),
    get watermark() {
      return watermark;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    totals: () => ({
      drops: entries(tables.drops),
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
  return { store, rule };
}

/** A second, read-only view of an open store, for a thread that checks whether drops are known. */
export function openKnownDrops(
  folder: string,
): KnownDrops & { refresh(): void; close(): Promise<void> } {
  const { root, tables } = openEnvironment(folder, true);
  return {
    known: (drop) => isKnown(tables, drop),
    /** Lets what was committed since be seen. */
    refresh: () => root.resetReadTxn(),
    close: () => root.close(),
  };
}

function entries(table: { getStats(): object }): number {
  return (table.getStats() as { entryCount: number }).entryCount;
}
