// Puts another file in the place of a store's, and writes zeros over the one that was there: what it says of the past is to be gone from the disk.
//
// The file of before keeps a second name until it is overwritten, so that a start finds what a power cut left of it. At every moment there is one whole store
// under the store's name: before the renaming the old one, after it the new one.

import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

import { flushFolder } from "./flush-folder.ts";

const STORE_FILE = "data.mdb";
const OLD_FILE = "data.mdb.before";
const ZEROS = Buffer.alloc(2 ** 20);
// Of file systems without hard links.
const NO_LINKS: ReadonlySet<unknown> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);

/**
 * Gives the file in `part`, a folder in the store's own, which is whole and on disk, the store's name, removes `part`, and wipes the file of before. Nobody may
 * have that one open.
 */
export function replaceStore(folder: string, part: string): void {
  wipeBefore(folder);
  const store = join(folder, STORE_FILE);
  const before = openSync(store, "r+");
  try {
    keepName(store, join(folder, OLD_FILE));
    flushFolder(folder);
    renameSync(join(part, STORE_FILE), store);
    rmSync(part, { recursive: true });
    flushFolder(folder);
    wipe(before);
  } finally {
    closeSync(before);
  }
  rmSync(join(folder, OLD_FILE), { force: true });
}

/** Writes zeros over what is left of a store that was replaced, and removes it. To be called when the one in its place is known to be one of today's. */
export function wipeBefore(folder: string): void {
  const old = join(folder, OLD_FILE);
  if (!existsSync(old)) return;
  // A power cut came before the renaming: both are names of the store itself.
  if (!isSame(old, join(folder, STORE_FILE))) {
    const file = openSync(old, "r+");
    wipe(file);
    closeSync(file);
  }
  rmSync(old);
}

function keepName(store: string, old: string): void {
  try {
    linkSync(store, old);
  } catch (error) {
    // Then a power cut in the next moment leaves what was there in blocks that belong to no file.
    if (!NO_LINKS.has((error as NodeJS.ErrnoException).code)) throw error;
  }
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => statSync(path, { bigint: true }));
  return a!.ino === b!.ino && a!.dev === b!.dev;
}

function wipe(file: number): void {
  const { size } = fstatSync(file);
  for (let at = 0; at < size; at += ZEROS.length) {
    writeSync(file, ZEROS, 0, Math.min(ZEROS.length, size - at), at);
  }
  fdatasyncSync(file);
}
