import { heldIn, openToRead } from "./held.ts";
import { entries, mustRead } from "./tables.ts";
import { fileUse } from "./totals.ts";

const DAY_SECONDS = 24 * 60 * 60;

/** What a store holds, in numbers that name nobody. */
export type Stats = {
  /** The layout of the store. */
  readonly format: string;
  /** Drops that are held, and the bytes of their events. */
  readonly held: number;
  readonly bytes: number;
  /** Recipients for whom something is held. */
  readonly boxes: number;
  /** The least `created_at` of them; undefined where nothing is held. */
  readonly oldest: number | undefined;
  /** Of those held, how many are past within a day. */
  readonly expiringInADay: number;
  /** Drops that lie there until the next sweep. */
  readonly leaving: number;
  readonly tombstones: number;
  readonly fileBytes: number;
  /** How much of the file is written over before it grows. */
  readonly freeBytes: number;
};

/** Counts what the store in a folder holds at `now`, while a relay has it open or not. Throws, with what to do, when it cannot be read. */
export async function statsOf(folder: string, source: string, now: number): Promise<Stats> {
  const store = await openToRead(folder, source);
  try {
    const boxes = new Set<string>();
    let [held, bytes, expiringInADay] = [0, 0, 0];
    let oldest: number | undefined;
    for (const { drops } of heldIn(store, () => now)) {
      for (const { recipient, created_at, expiry, json } of drops) {
        held += 1;
        bytes += Buffer.byteLength(json);
        boxes.add(recipient);
        oldest = Math.min(oldest ?? created_at, created_at);
        if (expiry <= now + DAY_SECONDS) expiringInADay += 1;
      }
      // The next page is of a moment of its own.
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { databases } = store;
    mustRead(databases);
    const leaving = Math.max(0, entries(databases.drops) - held);
    const tombstones = entries(databases.tombstones);
    const format = databases.meta.get("format") ?? "";
    const counts = { held, bytes, boxes: boxes.size, oldest, expiringInADay, leaving, tombstones };
    return { format, ...counts, ...fileUse(store) };
  } finally {
    await store.close();
  }
}
