// The files of the keys of drops: see drop-keys.ts.

import { randomFillSync } from "node:crypto";
import {
  closeSync,
  existsSync,
  fdatasyncSync,
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
import { isNoRoomOnDisk } from "./incidents.ts";
import { FILE_MODE, KEY_FOLDER } from "./privacy.ts";
import { StoreLost } from "./same-file.ts";

/** Keys in a file, half a megabyte. */
export const KEYS_A_FILE = 32_768;
/** Of a whole one. */
export const FILE_BYTES = KEYS_A_FILE * DROP_KEY_BYTES;
// Files that a thread keeps open.
const MOST_OPEN = 64;
const NO_KEY = Buffer.alloc(DROP_KEY_BYTES);

/** Reads and writes the files, which stay open. */
export class KeyFiles implements DropKeys {
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
      .filter(isKeyFile)
      .filter((name) => statSync(join(this.#folder, name)).size === FILE_BYTES);
    return new Set(whole.map(Number));
  }

  copy(seq: number, target: Buffer): boolean {
    const opened = orLost(() => this.#opened(fileOf(seq)));
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
    this.#forget(file);
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
    // An earlier run made it.
    if (existsSync(this.path(file))) return this.renew(rangeOf(file)[0]);
    const keys = randomFillSync(Buffer.alloc(FILE_BYTES));
    const soon = `${this.path(file)}.soon`;
    try {
      await writeFile(soon, keys, { mode: FILE_MODE, flush: true });
      if (existsSync(this.path(file))) return undefined;
      renameSync(soon, this.path(file));
      flushFolder(this.#folder);
      return keys;
    } catch (error) {
      if (isNoRoomOnDisk(error)) return undefined;
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
    const [oldest] = this.#open.keys();
    if (oldest !== undefined && this.#open.size >= MOST_OPEN) this.#forget(oldest);
    const opened = openSync(path, this.#mode);
    this.#open.set(file, opened);
    return opened;
  }

  #forget(file: number): void {
    const opened = this.#open.get(file);
    if (opened !== undefined) closeSync(opened);
    this.#open.delete(file);
  }
}

/** Whether a file with this name is one of them. */
export function isKeyFile(name: string): boolean {
  return /^\d{8,}$/.test(name);
}

/** The file in which the key of a drop is. */
export function fileOf(seq: number): number {
  return Math.floor(seq / KEYS_A_FILE);
}

/** Where in its file. */
export function placeOf(seq: number): number {
  return (seq % KEYS_A_FILE) * DROP_KEY_BYTES;
}

/** The numbers of the drops whose keys are in a file; the end is exclusive. */
export function rangeOf(file: number): [first: number, end: number] {
  return [file * KEYS_A_FILE, (file + 1) * KEYS_A_FILE];
}

// Keys that cannot be read are drops that cannot be.
function orLost<Answer>(read: () => Answer): Answer {
  try {
    return read();
  } catch (error) {
    throw new StoreLost("a key cannot be read", { cause: error });
  }
}
