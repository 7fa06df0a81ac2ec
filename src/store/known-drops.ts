import { boxKey, ownedKey } from "./layout.ts";
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
    // Held since lately, held for long, or acknowledged, before it came or after: always the same look-ups, so that time does not tell which.
    const isRecent = [one.has(drop.id), other.has(drop.id)];
    const isSettled = tables.boxes.doesExist(boxKey(drop));
    const isGone = tables.tombstones.doesExist(ownedKey(drop.recipient, drop.id));
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
