// A store comes into being whole, and under its name for good. LMDB makes its files under their names at once and fills them afterwards, and flushes no folder: a
// power cut in the first start left what no later start takes for a store, and one after it may take the name, and all that was answered OK with it.

import { randomBytes } from "node:crypto";
import { existsSync, linkSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

import { flushFolder } from "./flush-folder.ts";
import { openDatabasesAt } from "./tables.ts";

const PART = "data.mdb.new-";
const LOCK = "-lock";
/** Where a smaller file is made, in the store's folder: see compact.ts. */
export const COMPACT_FOLDER = "compacting";

/** Makes an empty store in `folder` if there is none. */
export async function makeStore(folder: string): Promise<void> {
  const store = join(folder, "data.mdb");
  if (existsSync(store)) return;
  const part = join(folder, `${PART}${randomBytes(6).toString("hex")}`);
  try {
    // Its tables are made and flushed with it.
    await openDatabasesAt(part, { noSubdir: true, readOnly: false }).root.close();
    giveName(part, store);
  } finally {
    forget(part);
  }
}

/** Removes what first starts, and a compaction, left that came to no end. To be called by who has the store locked. */
export function forgetParts(folder: string): void {
  const parts = readdirSync(folder).filter((name) => name.startsWith(PART));
  for (const name of parts) rmSync(join(folder, name), { force: true });
  rmSync(join(folder, COMPACT_FOLDER), { recursive: true, force: true });
}

/** Has the disk keep the names in a folder, and those of the folders on the way to it that were made with it, from `made` on. */
export function keepNames(folder: string, made: string | undefined): void {
  flushFolder(folder);
  if (made === undefined) return;
  const [first, last] = [resolve(made), resolve(folder)];
  for (let each = last; each.length >= first.length; each = dirname(each)) {
    flushFolder(dirname(each));
  }
}

// Never that of another process's store, which is in use.
function giveName(part: string, store: string): void {
  try {
    linkSync(part, store);
  } catch (error) {
    if (codeOf(error) === "EEXIST") return;
    // Some file systems have no hard links.
    renameSync(part, store);
  }
}

function forget(part: string): void {
  for (const path of [part, `${part}${LOCK}`]) rmSync(path, { force: true });
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
