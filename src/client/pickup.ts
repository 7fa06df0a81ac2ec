// Reads one's boxes at all of one's relays into one collection: each drop once, whichever relays have it.

import { Collection, type CollectionReport } from "./collection.ts";
import { DropOpener, type DropOpenerParts } from "./drop-opener.ts";
import { DROP_KINDS, readBoxes } from "./reader.ts";
import type { KeyGroup, RelayPool } from "./relay-pool.ts";

export type CollectOptions = {
  readonly signal?: AbortSignal;
  /** Default: gift wraps and old messages of kind 4. */
  readonly kinds?: readonly number[];
  /** Told whenever a relay has come further, or has failed. */
  readonly progress?: (report: CollectionReport) => void;
};

export type PickupParts = DropOpenerParts & {
  readonly relays: readonly string[];
  readonly pool: RelayPool;
};

/** A collection of what the relays hold, and of what comes later if it `isLive`. Nothing is asked before the caller begins to go through it. */
export function pickUp(
  parts: PickupParts,
  { signal, progress, kinds = DROP_KINDS }: CollectOptions,
  isLive: boolean,
): Collection {
  const opener = new DropOpener(parts);
  return new Collection({
    signal,
    progress,
    open: (received) => opener.open(received),
    admit: (unreadable) => opener.admit(unreadable),
    keep: () => parts.seenDrops.keep(),
    start: (collection) => start(parts, collection, opener, kinds, isLive),
  });
}

function start(
  parts: PickupParts,
  collection: Collection,
  opener: DropOpener,
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
    stop = readAll(parts, collection, opener, kinds, isLive);
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
  opener: DropOpener,
  kinds: readonly number[],
  isLive: boolean,
): () => void {
  const running = new Set<object>();
  const stops: (() => void)[] = [];
  for (const url of relays) {
    // How far each of its connections is; the relay is as far as the last of them.
    const states = new Map<KeyGroup, Pick<CollectionReport, "state" | "reason">>();
    const report = (group: KeyGroup, state: CollectionReport["state"], reason = ""): void => {
      states.set(group, { state, reason });
      const all = [...states.values()];
      const least =
        all.find((each) => each.state === "failed") ??
        all.find((each) => each.state === "reading") ??
        all[0];
      collection.report(url, least?.state ?? state, least?.reason);
    };
    for (const group of pool.groups) report(group, "reading");
    for (const group of pool.groups) {
      const reader = {};
      running.add(reader);
      const stop = readBoxes(
        pool,
        { url, group, kinds, isLive },
        {
          event(drop) {
            if (!opener.wasHanded(drop.id)) collection.receive({ drop, relay: url });
          },
          reading: () => report(group, "reading"),
          complete: () => report(group, "complete"),
          failed: (why) => report(group, "failed", why),
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
