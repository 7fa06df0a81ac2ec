import { boxKey, ownedKey, tombstoneIn } from "./layout.ts";
import { idSets } from "./recent-ids.ts";
import type { SharedState } from "./shared-state.ts";
import { StoreLost } from "./same-file.ts";
import type { DropIdentity, KnownDrops } from "./store.ts";
import { isStoreError } from "./incidents.ts";
import { openEnvironment } from "./tables.ts";

/** A second, read-only view of an open store, for a thread that checks whether drops are known. */
export function openKnownDrops(
  folder: string,
  { recentIds }: Pick<SharedState, "recentIds">,
): KnownDrops & { close(): Promise<void> } {
  const { root, tables } = openEnvironment(folder, true);
  const [one, other] = idSets(recentIds);
  const known = (drop: DropIdentity): boolean => {
    // Held since lately, held for long, or acknowledged: always the same look-ups, so that time does not tell which. One that was acknowledged before it came
    // is like one that nobody ever heard of.
    const isRecent = [one.has(drop.id), other.has(drop.id)];
    const isSettled = tables.boxes.doesExist(boxKey(drop));
    const tombstone = tables.tombstones.get(ownedKey(drop.recipient, drop.id));
    const isGone = tombstone !== undefined && tombstoneIn(tombstone)?.isEarly !== true;
    return isRecent.includes(true) || isSettled || isGone;
  };
  return {
    known(drop) {
      try {
        return known(drop);
      } catch (error) {
        throw isStoreError(error) ? new StoreLost(error.message, { cause: error }) : error;
      }
    },
    refresh: () => root.resetReadTxn(),
    close: () => root.close(),
  };
}
