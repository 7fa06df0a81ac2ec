import { namesIn, tombstoneIn } from "./layout.ts";
import { idSets } from "./recent-ids.ts";
import type { SharedState } from "./shared-state.ts";
import { StoreLost } from "./same-file.ts";
import type { KnownDrops } from "./store.ts";
import { isStoreError } from "./incidents.ts";
import { openView } from "./unlocked.ts";

/** A second, read-only view of an open store, for a thread that checks whether drops are known. */
export function openKnownDrops(
  folder: string,
  { recentIds, secret }: Pick<SharedState, "recentIds" | "secret">,
): KnownDrops & { close(): Promise<void> } {
  const { root, tables, close } = openView(folder, secret);
  const [one, other] = idSets(recentIds);
  const look: KnownDrops["look"] = (drop) => {
    // Held since lately, held for long, or acknowledged: always the same look-ups, so that time does not tell which. One that was acknowledged before it came
    // is like one that nobody ever heard of.
    const isRecent = [one.has(drop.id), other.has(drop.id)];
    const { box, owned } = tables.keys.of(drop);
    const isSettled = tables.boxes.doesExist(box);
    const tombstone = tables.tombstones.get(owned);
    const isGone = tombstone !== undefined && tombstoneIn(tombstone)?.isEarly !== true;
    return { isKnown: isRecent.includes(true) || isSettled || isGone, names: namesIn(owned) };
  };
  return {
    look(drop) {
      try {
        return look(drop);
      } catch (error) {
        throw isStoreError(error) ? new StoreLost(error.message, { cause: error }) : error;
      }
    },
    refresh: () => root.resetReadTxn(),
    close,
  };
}
