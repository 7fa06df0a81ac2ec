import { statfsSync } from "node:fs";

import type { Opened } from "./tables.ts";
import { fileUse } from "./totals.ts";

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
  readonly #environment: Opened;
  readonly #reserveBytes: number;
  #beyondReserve = 0;
  #freeInFile = 0;
  #readAt = -Infinity;

  constructor(folder: string, environment: Opened, reserveBytes: number) {
    this.#folder = folder;
    this.#environment = environment;
    this.#reserveBytes = reserveBytes;
  }

  /** What the disk has free, and how much of that is in reserve, bytes. */
  get free(): { readonly freeBytes: number; readonly reserveBytes: number } {
    this.#read();
    const reserveBytes = this.#reserveBytes;
    return { freeBytes: this.#beyondReserve + reserveBytes, reserveBytes };
  }

  /** Whether a drop of this size would find room. Takes none. */
  hasRoom(bytes: number): boolean {
    this.#read();
    return this.#roomFor("drop") >= bytes;
  }

  /** The same for who takes it. Drops stop at the reserve; tombstones, without which an acknowledgement would be forgotten, may take half of it. */
  hasRoomFor(bytes: number, purpose: "drop" | "tombstone"): boolean {
    this.#read();
    if (this.#roomFor(purpose) < bytes) return false;
    this.#freeInFile -= bytes;
    return true;
  }

  #roomFor(purpose: "drop" | "tombstone"): number {
    // What is free in the file costs no disk, so it counts in full however far below the reserve the disk is.
    const depth = purpose === "drop" ? 0 : this.#reserveBytes / 2;
    return this.#freeInFile + Math.max(0, this.#beyondReserve + depth);
  }

  #read(): void {
    const now = performance.now();
    if (now - this.#readAt <= READING_MS) return;
    const { bavail, bsize } = statfsSync(this.#folder);
    this.#beyondReserve = bavail * bsize - this.#reserveBytes;
    this.#freeInFile = Math.max(0, fileUse(this.#environment).freeBytes - SPARE_BYTES);
    this.#readAt = now;
  }
}
