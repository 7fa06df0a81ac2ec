// Room on the disk that is already the store's when somebody else has taken the last byte of it.
//
// LMDB never writes over a page that a reader may see: also to delete it takes new pages first, from those that are free in the file, and where there are none
// behind the last one. So zeros are written there beforehand. LMDB looks at nothing behind its last page, and takes that room without asking the disk. On a
// file system that copies what is written over (Btrfs, ZFS) this is no help.
//
// Drops need no such care: they are refused long before (disk.ts).

import { closeSync, fstatSync, openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";

import { isNoRoomOnDisk } from "./incidents.ts";
import { mustRead, type Opened } from "./tables.ts";
import { fileUse } from "./totals.ts";

// Pages of the largest commits on the way of an acknowledgement, several times over; what they free is taken again later.
const SPARE_BYTES = 4 * 2 ** 20;
/** Below this it is filled up: so not for each page that is taken. */
const LEAST_BYTES = SPARE_BYTES / 2;

const TRIED_BYTES = 8_192;
// With less, and none free in the file, a commit may find no page. It must not try: when a page cannot be written lmdb 3.5.6 writes past a buffer of its own.
const COMMIT_BYTES = 2 ** 18;

export class Spare {
  readonly #file: string;
  readonly #environment: Opened;

  constructor(folder: string, environment: Opened) {
    this.#file = join(folder, "data.mdb");
    this.#environment = environment;
  }

  get isShort(): boolean {
    return this.#bytesOf(statSync(this.#file).size) < LEAST_BYTES;
  }

  /** Fills it up, as far as the disk has room. To be called inside a write transaction: only then does nobody else write there. */
  fill(): void {
    const file = openSync(this.#file, "r+");
    try {
      const { size } = fstatSync(file);
      const zeros = Buffer.alloc(Math.min(SPARE_BYTES, SPARE_BYTES - this.#bytesOf(size)));
      writeSync(file, zeros, 0, zeros.length, size);
    } catch (error) {
      // Then what there is must do.
      if (!isNoRoomOnDisk(error)) throw error;
    } finally {
      closeSync(file);
    }
  }

  /** Whether there is room for a transaction: behind the last page, in the file, or on the disk. To be called when nobody else writes there. */
  hasRoomForCommit(): boolean {
    const behind = this.#bytesOf(statSync(this.#file).size);
    if (behind >= COMMIT_BYTES) return true;
    this.fill();
    const bytes = Math.max(0, this.#bytesOf(statSync(this.#file).size));
    return bytes + fileUse(this.#environment).freeBytes >= COMMIT_BYTES;
  }

  /** Whether the file can grow, if only by a little: tried out. To be called when nobody else writes there. */
  hasRoom(): boolean {
    const file = openSync(this.#file, "r+");
    try {
      writeSync(file, Buffer.alloc(TRIED_BYTES), 0, TRIED_BYTES, fstatSync(file).size);
      return true;
    } catch (error) {
      return !isNoRoomOnDisk(error);
    } finally {
      closeSync(file);
    }
  }

  // Less than none where LMDB's last pages were freed before they were ever written.
  #bytesOf(fileBytes: number): number {
    mustRead(this.#environment.databases);
    const { lastPageNumber, pageSize } = this.#environment.root.getStats() as {
      lastPageNumber: number;
      pageSize: number;
    };
    return fileBytes - (lastPageNumber + 1) * pageSize;
  }
}
