// The keys of the drops on disk: sixteen random bytes for each number (`seq`), in files beside the store's own.
//
// LMDB never writes over a page, so what is deleted there lies on disk until the page is wanted again. These files are written in place: a drop that was acknowledged,
// or is past, has zeros where its key was, and what is left of it cannot be read by anybody. The keys of a file are made, and on disk, before
// the first of them is used, so no drop waits for a flush of its own.
//
// What a crash leaves (a key whose drop is gone) is found when the files are gone through after the next start.

import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { DROP_KEY_BYTES, type DropKeys } from "./drop-cipher.ts";
import { flushFolder } from "./flush-folder.ts";
import { isNoRoomOnDisk } from "./incidents.ts";
import { fileOf, KeyFiles, KEYS_A_FILE, placeOf, rangeOf } from "./key-files.ts";
import { FOLDER_MODE, KEY_FOLDER } from "./privacy.ts";
import { StoreLost } from "./same-file.ts";
import { type Databases, mustRead } from "./tables.ts";

// The next file is made when so many keys are left: more than drops come until the next look.
const AHEAD = KEYS_A_FILE / 2;
// Keys of an earlier run that are gone through at a time, some milliseconds.
const KEYS_A_LOOK = 8_192;
const NO_KEY = Buffer.alloc(DROP_KEY_BYTES);

/** The keys of the store in `folder`, for a thread that only reads. */
export function openDropKeys(folder: string): DropKeys & { close(): void } {
  return new KeyFiles(folder, "r");
}

/** The same for the thread that writes: makes keys, and destroys them. */
export class DropKeyMaker implements DropKeys {
  readonly #files: KeyFiles;
  readonly #databases: Pick<Databases, "drops" | "discarded" | "meta">;
  // The file whose keys are being given away, and the one after it.
  readonly #made = new Map<number, Buffer>();
  readonly #unwanted = new Set<number>();
  // What an earlier run left is gone through: what is left of its files, and the number from which on.
  readonly #leftFiles: number[];
  #next = 0;
  readonly #last: number;
  #newest: number;

  /** `newest`: the last number that is taken. Throws when keys of drops are missing, or there is no room for the next. */
  constructor(
    folder: string,
    newest: number,
    databases: Pick<Databases, "drops" | "discarded" | "meta">,
  ) {
    const made = mkdirSync(join(folder, KEY_FOLDER), { recursive: true, mode: FOLDER_MODE });
    if (made !== undefined) flushFolder(folder);
    this.#files = new KeyFiles(folder, "r+");
    this.#databases = databases;
    this.#newest = newest;
    this.#last = newest;
    const there = this.#files.list();
    this.#assertWhole(there);
    this.#leftFiles = [...there].filter((file) => file <= fileOf(newest)).sort((a, b) => a - b);
    // A crash may have left pages that were sealed with the keys to come: none is used twice.
    this.#made.set(fileOf(newest + 1), this.#files.renew(newest + 1));
  }

  /** Whether there is a key for this number, which no drop ever had. False where the disk has no room for it. */
  isReady(seq: number): boolean {
    this.#newest = Math.max(this.#newest, seq);
    const file = fileOf(seq);
    if (this.#made.has(file)) return true;
    try {
      this.#made.set(file, this.#files.renew(seq));
      return true;
    } catch (error) {
      if (isNoRoomOnDisk(error)) return false;
      throw new StoreLost((error as Error).message, { cause: error });
    }
  }

  copy(seq: number, target: Buffer): boolean {
    const made = this.#made.get(fileOf(seq));
    if (made === undefined) return this.#files.copy(seq, target);
    made.copy(target, 0, placeOf(seq), placeOf(seq) + DROP_KEY_BYTES);
    return !target.equals(NO_KEY);
  }

  /** These drops are gone for good: so are their keys, from now on for this process, after the next look from the disk. */
  destroy(gone: readonly number[]): void {
    for (const seq of gone) {
      this.#made.get(fileOf(seq))?.fill(0, placeOf(seq), placeOf(seq) + DROP_KEY_BYTES);
      this.#unwanted.add(seq);
    }
  }

  /** To be called every second or so, not while it is at it: destroys the keys of what is gone, and makes those that will be wanted. */
  async look(): Promise<void> {
    this.#goThrough();
    await this.destroyAll();
    const current = fileOf(this.#newest);
    for (const file of this.#made.keys()) if (file < current) this.#made.delete(file);
    const ahead = fileOf(this.#newest + AHEAD);
    if (!this.#made.has(ahead)) await this.#make(ahead);
  }

  /** Resolves when the keys of all that is gone by now are gone from the disk. */
  async destroyAll(): Promise<void> {
    const unwanted = [...this.#unwanted];
    for (const file of new Set(unwanted.map(fileOf))) {
      const numbers = unwanted.filter((seq) => fileOf(seq) === file);
      const isDone = file < fileOf(this.#newest) && !this.#isUsed(file);
      await (isDone ? this.#files.remove(file) : this.#files.erase(file, numbers));
      for (const seq of numbers) this.#unwanted.delete(seq);
    }
  }

  close(): void {
    this.#files.close();
  }

  async #make(file: number): Promise<void> {
    const keys = await this.#files.make(file);
    // A put may have been faster.
    if (keys !== undefined && !this.#made.has(file)) this.#made.set(file, keys);
  }

  #goThrough(): void {
    const [file] = this.#leftFiles;
    if (file === undefined) return;
    const [start, endOfFile] = rangeOf(file);
    const first = Math.max(start, this.#next);
    const end = Math.min(endOfFile, first + KEYS_A_LOOK, this.#last + 1);
    this.#next = end;
    if (end === endOfFile || end > this.#last) this.#leftFiles.shift();
    const { drops, discarded, meta } = this.#databases;
    mustRead({ meta });
    const held = new Set(drops.getKeys({ start: first, end }));
    for (const seq of discarded.getKeys({ start: first, end })) held.delete(seq);
    this.destroy(this.#files.keysFrom(first, end).filter((seq) => !held.has(seq)));
  }

  // Whether any drop, held or not, has its key there.
  #isUsed(file: number): boolean {
    const [start, end] = rangeOf(file);
    mustRead(this.#databases);
    return [...this.#databases.drops.getKeys({ start, end, limit: 1 })].length > 0;
  }

  #assertWhole(there: ReadonlySet<number>): void {
    for (let file = 0; file <= fileOf(this.#newest); file += 1) {
      if (there.has(file) || !this.#isUsed(file)) continue;
      throw new Error(
        `${this.#files.path(file)} is missing or cut short: without it a part of what is held cannot be read; put it back, or move the store's folder away to start with an empty one`,
      );
    }
  }
}
