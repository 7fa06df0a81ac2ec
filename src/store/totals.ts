import type { Totals } from "./store.ts";
import type { SharedState } from "./shared-state.ts";
import { type Databases, entries, mustRead, type Opened } from "./tables.ts";

/** How much a store holds. */
export function totalsOf(environment: Opened, { arrivals }: Pick<SharedState, "arrivals">): Totals {
  const { drops, discarded, tombstones } = environment.databases;
  mustRead(environment.databases);
  return {
    drops: entries(drops) - entries(discarded) - Atomics.load(new Int32Array(arrivals), 0),
    tombstones: entries(tombstones),
    ...fileUse(environment),
  };
}

/** How big the file is, and how much of it belongs to no table and is written over before the file grows. Bytes. */
export function fileUse({ root, databases }: Opened): { fileBytes: number; freeBytes: number } {
  mustRead(databases);
  const { root: main, lastPageNumber, pageSize } = statsOf(root);
  let used = pagesIn(main) + pagesIn(statsOf(root).free);
  for (const table of Object.values(databases)) used += pagesIn(statsOf(table));
  const pages = lastPageNumber + 1;
  return { fileBytes: pages * pageSize, freeBytes: Math.max(0, pages - used) * pageSize };
}

type TableStats = {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
};

type Stats = TableStats & {
  readonly root: TableStats;
  readonly free: TableStats;
  readonly lastPageNumber: number;
  readonly pageSize: number;
};

function statsOf(database: Opened["root"] | Databases[keyof Databases]): Stats {
  return database.getStats() as unknown as Stats;
}

function pagesIn(stats: TableStats): number {
  return stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages;
}
