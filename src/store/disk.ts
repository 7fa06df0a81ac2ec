import { statfsSync } from "node:fs";

import type { Environment, Tables } from "./tables.ts";

/** How big the file is, and how much of it belongs to no table and is written over before the file grows. Bytes. */
export function fileUse({ root, tables }: Environment): { fileBytes: number; freeBytes: number } {
  const { root: main, lastPageNumber, pageSize } = statsOf(root);
  let used = pagesIn(main) + pagesIn(statsOf(root).free);
  for (const table of Object.values(tables)) used += pagesIn(statsOf(table));
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

function statsOf(database: Environment["root"] | Tables[keyof Tables]): Stats {
  return database.getStats() as unknown as Stats;
}

function pagesIn(stats: TableStats): number {
  return stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages;
}

// A commit writes new pages before it frees old ones, so some must stay free or the file grows.
const SPARE_BYTES = 2 ** 20;
// How long a reading of the disk is believed. In this time no more than a fraction of the smallest sensible reserve can be written.
const READING_MS = 250;

/**
 * Says whether there is room: what the file has free for reuse, and what the disk has beyond the reserve. The file never shrinks, so without the
 * first part a full relay would stay full after everybody picked up.
 */
export class Disk {
  readonly #folder: string;
  readonly #environment: Environment;
  readonly #reserveBytes: number;
  #beyondReserve = 0;
  #freeInFile = 0;
  #readAt = -Infinity;

  constructor(folder: string, environment: Environment, reserveBytes: number) {
    this.#folder = folder;
    this.#environment = environment;
    this.#reserveBytes = reserveBytes;
  }

  /** Drops stop at the reserve; tombstones, without which an acknowledgement would be forgotten, may take half of it. */
  hasRoomFor(bytes: number, purpose: "drop" | "tombstone"): boolean {
    const now = performance.now();
    if (now - this.#readAt > READING_MS) {
      const { bavail, bsize } = statfsSync(this.#folder);
      this.#beyondReserve = bavail * bsize - this.#reserveBytes;
      this.#freeInFile = Math.max(0, fileUse(this.#environment).freeBytes - SPARE_BYTES);
      this.#readAt = now;
    }
    // What is free in the file costs no disk, so it counts in full however far below the reserve the disk is.
    const depth = purpose === "drop" ? 0 : this.#reserveBytes / 2;
    if (this.#freeInFile + Math.max(0, this.#beyondReserve + depth) < bytes) return false;
    this.#freeInFile -= bytes;
    return true;
  }
}
