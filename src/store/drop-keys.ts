// The keys of the drops on disk: sixteen random bytes for each number (`seq`), in files beside the store's own.
//
// LMDB never writes over a page, so what is deleted there lies on disk until the page is wanted again. These files are written in place: a drop that was acknowledged,
// or is past, has zeros where its key was, and what is left of it cannot be read by anybody. The keys of a file are made, and on disk, before
// the first of them is used, so no drop waits for a flush of its own.
//
// What a crash leaves (a key whose drop is gone) is found when the files are gone through after the next start.

import { randomFillSync } from "node:crypto";
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { DROP_KEY_BYTES, type DropKeys } from "./drop-cipher.ts";
import { flushFolder } from "./flush-folder.ts";
import { FILE_MODE, FOLDER_MODE, KEY_FOLDER } from "./privacy.ts";
import { StoreLost } from "./same-file.ts";
import { type Databases, mustRead } from "./tables.ts";

/** Keys in a file, half a megabyte. */
const KEYS_A_FILE = 32_768;
const FILE_BYTES = KEYS_A_FILE * DROP_KEY_BYTES;
// The next file is made when so many keys are left: more than drops come until the next look.
const AHEAD = KEYS_A_FILE / 2;
// Files that a thread keeps open.
const MOST_OPEN = 64;
// Keys of an earlier run that are gone through at a time, some milliseconds.
const KEYS_A_LOOK = 8_192;
const NO_KEY = Buffer.alloc(DROP_KEY_BYTES);
const NO_ROOM: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

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
  // What an earlier run left is gone through from here up to its last number.
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
    this.#assertWhole();
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
      if (isNoRoom(error)) return false;
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
    if (this.#next > this.#last) return;
    const first = this.#next;
    const end = Math.min(rangeOf(fileOf(first))[1], first + KEYS_A_LOOK, this.#last + 1);
    this.#next = end;
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

  #assertWhole(): void {
    const there = this.#files.list();
    for (let file = 0; file <= fileOf(this.#newest); file += 1) {
      if (there.has(file) || !this.#isUsed(file)) continue;
      throw new Error(
        `${this.#files.path(file)} is missing or cut short: without it a part of what is held cannot be read; put it back, or move the store's folder away to start with an empty one`,
      );
    }
  }
}

function fileOf(seq: number): number {
  return Math.floor(seq / KEYS_A_FILE);
}

function placeOf(seq: number): number {
  return (seq % KEYS_A_FILE) * DROP_KEY_BYTES;
}

// Keys that cannot be read are drops that cannot be.
function orLost<Answer>(read: () => Answer): Answer {
  try {
    return read();
  } catch (error) {
    throw new StoreLost((error as Error).message, { cause: error });
  }
}

function isNoRoom(error: unknown): boolean {
  return NO_ROOM.has((error as NodeJS.ErrnoException).code);
}

function rangeOf(file: number): [first: number, end: number] {
  return [file * KEYS_A_FILE, (file + 1) * KEYS_A_FILE];
}

/** Reads and writes the files, which stay open. */
class KeyFiles implements DropKeys {
  readonly #folder: string;
  readonly #mode: "r" | "r+";
  readonly #open = new Map<number, number>();

  constructor(folder: string, mode: "r" | "r+") {
    this.#folder = join(folder, KEY_FOLDER);
    this.#mode = mode;
  }

  path(file: number): string {
    return join(this.#folder, String(file).padStart(8, "0"));
  }

  /** Those that are there, whole. */
  list(): Set<number> {
    const whole = readdirSync(this.#folder)
      .filter((name) => /^\d{8,}$/.test(name))
      .filter((name) => statSync(join(this.#folder, name)).size === FILE_BYTES);
    return new Set(whole.map(Number));
  }

  copy(seq: number, target: Buffer): boolean {
    const opened = this.#opened(fileOf(seq));
    if (opened === undefined) return false;
    const bytes = orLost(() => readSync(opened, target, 0, DROP_KEY_BYTES, placeOf(seq)));
    if (bytes < DROP_KEY_BYTES) throw new StoreLost(`${this.path(fileOf(seq))} was cut short`);
    return !target.equals(NO_KEY);
  }

  /** The numbers, of one file, from `first` on and before `end` whose keys are there. */
  keysFrom(first: number, end: number): number[] {
    const opened = this.#opened(fileOf(first));
    if (opened === undefined) return [];
    const keys = Buffer.alloc((end - first) * DROP_KEY_BYTES);
    readSync(opened, keys, 0, keys.length, placeOf(first));
    return Array.from({ length: end - first }, (_, n) => n)
      .filter((n) => !keys.subarray(n * DROP_KEY_BYTES, (n + 1) * DROP_KEY_BYTES).equals(NO_KEY))
      .map((n) => first + n);
  }

  /** Writes zeros in the place of keys of one file. */
  async erase(file: number, numbers: readonly number[]): Promise<void> {
    await this.#change(file, (opened) => {
      for (const seq of numbers) writeSync(opened, NO_KEY, 0, DROP_KEY_BYTES, placeOf(seq));
    });
  }

  /** Nothing is left that could be read with what is in it. */
  async remove(file: number): Promise<void> {
    await this.#change(file, (opened) => {
      writeSync(opened, Buffer.alloc(FILE_BYTES), 0, FILE_BYTES, 0);
    });
    rmSync(this.path(file), { force: true });
  }

  // On disk when it resolves.
  async #change(file: number, write: (opened: number) => void): Promise<void> {
    if (!existsSync(this.path(file))) return;
    const opened = await open(this.path(file), "r+");
    try {
      write(opened.fd);
      await opened.datasync();
    } finally {
      await opened.close();
    }
  }

  /** A file that is wanted soon. Undefined where the disk has no room for it, or it is there by now. */
  async make(file: number): Promise<Buffer | undefined> {
    const keys = randomFillSync(Buffer.alloc(FILE_BYTES));
    const soon = `${this.path(file)}.soon`;
    try {
      await writeFile(soon, keys, { mode: FILE_MODE, flush: true });
      if (existsSync(this.path(file))) return undefined;
      renameSync(soon, this.path(file));
      flushFolder(this.#folder);
      return keys;
    } catch (error) {
      if (isNoRoom(error)) return undefined;
      throw error;
    } finally {
      rmSync(soon, { force: true });
    }
  }

  /** Makes all keys from a number to the end of its file anew, at once, and answers those of the file. */
  renew(first: number): Buffer {
    const keys = randomFillSync(Buffer.alloc(FILE_BYTES));
    const file = fileOf(first);
    const opened = this.#opened(file);
    if (opened === undefined) {
      writeFileSync(`${this.path(file)}.new`, keys, { mode: FILE_MODE, flush: true });
      renameSync(`${this.path(file)}.new`, this.path(file));
    } else {
      readSync(opened, keys, 0, placeOf(first), 0);
      writeSync(opened, keys, placeOf(first), FILE_BYTES - placeOf(first), placeOf(first));
      fdatasyncSync(opened);
    }
    flushFolder(this.#folder);
    return keys;
  }

  close(): void {
    for (const opened of this.#open.values()) closeSync(opened);
    this.#open.clear();
  }

  #opened(file: number): number | undefined {
    const already = this.#open.get(file);
    if (already !== undefined) return already;
    const path = this.path(file);
    if (!existsSync(path)) return undefined;
    const [oldest] = this.#open;
    if (oldest !== undefined && this.#open.size >= MOST_OPEN) {
      closeSync(oldest[1]);
      this.#open.delete(oldest[0]);
    }
    const opened = openSync(path, this.#mode);
    this.#open.set(file, opened);
    return opened;
  }
}
