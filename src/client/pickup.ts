// Reads one's boxes at all of one's relays into one collection: each drop once, whichever relays have it.

import { Collection } from "./collection.ts";
import type { DropOpener } from "./drop-opener.ts";
import type { Outbox } from "./outbox.ts";
import { DROP_KINDS, readBoxes } from "./reader.ts";
import type { RelayPool } from "./relay-pool.ts";
import { MAX_SEEN } from "./seen-drops.ts";

export type CollectOptions = {
  readonly signal?: AbortSignal;
  /** Default: gift wraps and old messages of kind 4. */
  readonly kinds?: readonly number[];
};

export type PickupParts = {
  readonly relays: readonly string[];
  readonly pool: RelayPool;
  readonly outbox: Outbox;
  readonly opener: DropOpener;
};

/** A collection of what the relays hold, and of what comes later if it `isLive`. Nothing is asked before the caller begins to go through it. */
export function pickUp(
  parts: PickupParts,
  { signal, kinds = DROP_KINDS }: CollectOptions,
  isLive: boolean,
): Collection {
  const given = new Set<string>();
  return new Collection({
    signal,
    open: (received) => parts.opener.open(received, given),
    start: (collection) => start(parts, collection, kinds, isLive),
  });
}

function start(
  parts: PickupParts,
  collection: Collection,
  kinds: readonly number[],
  isLive: boolean,
): () => void {
  const { outbox, relays } = parts;
  let stop: (() => void) | undefined;
  let isStopped = false;
  const begin = async (): Promise<void> => {
    // What was acknowledged is not brought again, so what was acknowledged has to be known first.
    await outbox.loaded();
    if (isStopped) return;
    stop = readAll(parts, collection, kinds, isLive);
    // What cannot be told now is told later.
    void outbox.flush().catch(() => {});
  };
  begin().catch((error: unknown) => {
    for (const url of relays) {
      collection.report(url, "failed", `the outbox: ${(error as Error).message}`);
    }
    collection.end();
  });
  return () => {
    isStopped = true;
    stop?.();
  };
}

function readAll(
  { relays, pool }: PickupParts,
  collection: Collection,
  kinds: readonly number[],
  isLive: boolean,
): () => void {
  const seen = new Set<string>();
  const running = new Set<object>();
  const stops: (() => void)[] = [];
  for (const url of relays) {
    // The boxes of this relay that were not read to their end yet.
    const unread = new Set<object>();
    collection.report(url, "reading");
    for (const group of pool.groups) {
      unread.add(group);
      const reader = {};
      running.add(reader);
      const stop = readBoxes(
        pool,
        { url, group, kinds, isLive },
        {
          event(drop) {
            if (seen.has(drop.id)) return;
            if (seen.size >= MAX_SEEN) seen.clear();
            seen.add(drop.id);
            collection.receive({ drop, relay: url });
          },
          complete() {
            unread.delete(group);
            if (unread.size === 0) collection.report(url, "complete");
          },
          failed(why) {
            unread.add(group);
            collection.report(url, "failed", why);
          },
          over() {
            running.delete(reader);
            if (running.size === 0) collection.end();
          },
          isFull: () => collection.isFull,
          room: () => collection.room(),
        },
      );
      stops.push(stop);
    }
  }
  if (relays.length === 0) collection.end();
  return () => {
    for (const stop of stops) stop();
  };
}
