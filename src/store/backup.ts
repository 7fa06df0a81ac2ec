// A copy of a store, made while a relay writes to it: all that was on disk at one moment, with the keys of what was held then and of nothing else. What was
// acknowledged before is in it as tombstones alone.
//
// The keys are read before the file, so that whatever the file holds has its key there: keys are erased only of what is gone from the file already, and those of
// files of keys that were made in between are read after it.

import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  createReadStream,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";

import { z } from "zod";

import { DROP_KEY_BYTES } from "./drop-cipher.ts";
import { isOfBefore } from "./convert.ts";
import { flushFolder } from "./flush-folder.ts";
import { FORMAT_BEFORE, isNew } from "./history.ts";
import { FILE_BYTES, isKeyFile, placeOf, rangeOf } from "./key-files.ts";
import { mustBeOpenable } from "./openable.ts";
import { FILE_MODE, FOLDER_MODE, KEY_FOLDER } from "./privacy.ts";
import { SECRET_FILE } from "./secret.ts";
import { type Databases, entries, MAP_BYTES, mustRead, openDatabases } from "./tables.ts";

const MANIFEST_FILE = "backup.json";
export const STORE_FILE = "data.mdb";

const manifestSchema = z.strictObject({
  /** The layout of the store. */
  format: z.string(),
  /** When it was as it is here, seconds. */
  at: z.int(),
  held: z.int(),
  tombstones: z.int(),
  /** By their paths in the folder. */
  files: z.record(
    z.string().regex(/^(data\.mdb|secret|keys\/\d{8,})$/),
    z.strictObject({ bytes: z.int(), sha256: z.string() }),
  ),
});

/** What a backup says of itself: written last, so that one which broke off has none. */
export type Manifest = z.infer<typeof manifestSchema>;

/** Whether what is in it can be read with the store's secret alone; else it is of the format before. */
export function isSealed({ format }: Manifest): boolean {
  return format !== FORMAT_BEFORE;
}

/**
 * Copies the store in `folder`, also one of the format before as it is, whether a relay has it open or not, into `target`, which must be empty or not be there. `withSecret`: also the secret that lies in
 * the folder. Throws, with what to do, when it cannot, and leaves nothing in `target` then.
 */
export async function backUp(
  folder: string,
  target: string,
  { now, withSecret }: { readonly now: () => number; readonly withSecret: boolean },
): Promise<Manifest> {
  if (!existsSync(join(folder, STORE_FILE))) throw new Error(`there is no store in ${folder}`);
  mustBeOpenable(folder, MAP_BYTES);
  mustBeElsewhere(folder, target);
  mkdirSync(target, { recursive: true, mode: FOLDER_MODE });
  if (readdirSync(target).length > 0) throw new Error(`${target} is not empty`);
  try {
    return await fill(folder, target, now, withSecret);
  } catch (error) {
    for (const name of readdirSync(target)) rmSync(join(target, name), { recursive: true });
    throw error;
  }
}

async function fill(
  folder: string,
  target: string,
  now: () => number,
  withSecret: boolean,
): Promise<Manifest> {
  mkdirSync(join(target, KEY_FOLDER), { mode: FOLDER_MODE });
  const { root, databases } = openDatabases(folder, true);
  let at: number;
  let isBefore: boolean;
  try {
    isBefore = isOfBefore(databases);
    if (!isBefore && isNew(folder, databases)) throw new Error(`there is no store in ${folder}`);
    // One of before has none; what lies there is of a conversion that came to nothing.
    if (!isBefore) copyKeys(folder, target);
    at = now();
    // Without the pages that are in no use: of what is gone nothing is copied.
    await root.backup(target, true);
    if (!isBefore) copyKeys(folder, target);
  } finally {
    await root.close();
  }
  keep(join(target, STORE_FILE));
  if (withSecret && !isBefore) {
    const secret = readFileSync(join(folder, SECRET_FILE));
    writeFileSync(join(target, SECRET_FILE), secret, { mode: FILE_MODE, flush: true });
  }
  const counts = await withoutForeignKeys(target);
  const files: Manifest["files"] = {};
  for (const path of filesIn(target)) files[path] = await digestOf(join(target, path));
  const manifest = { ...counts, at, files };
  const file = join(target, MANIFEST_FILE);
  const text = `${JSON.stringify(manifest, undefined, 2)}\n`;
  writeFileSync(`${file}.new`, text, { mode: FILE_MODE, flush: true });
  for (const path of [join(target, KEY_FOLDER), target]) flushFolder(path);
  renameSync(`${file}.new`, file);
  flushFolder(target);
  flushFolder(dirname(resolve(target)));
  return manifest;
}

/** What a backup says of itself, and that it is all there, byte by byte. Throws with what is wrong. */
export async function readBackup(folder: string): Promise<Manifest> {
  const manifest = manifestIn(folder);
  for (const [path, { bytes, sha256 }] of Object.entries(manifest.files)) {
    const file = join(folder, path);
    if (!existsSync(file)) throw new Error(`${file} is missing`);
    const found = await digestOf(file);
    if (found.bytes !== bytes || found.sha256 !== sha256) {
      throw new Error(`${file} is not what was written: it is damaged, or was changed`);
    }
  }
  return manifest;
}

function manifestIn(folder: string): Manifest {
  const file = join(folder, MANIFEST_FILE);
  if (!existsSync(file)) {
    throw new Error(`there is no whole backup in ${folder}: ${MANIFEST_FILE} is missing`);
  }
  try {
    return manifestSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    throw new Error(`${file} is damaged`, { cause: error });
  }
}

/** Copies the file, so that it is on disk under its name once its folder is flushed. */
export function copy(from: string, to: string): void {
  copyFileSync(from, to);
  keep(to);
}

/** Has a file be its owner's alone, and on the disk. */
export function keep(path: string): void {
  chmodSync(path, FILE_MODE);
  const file = openSync(path, "r");
  fsyncSync(file);
  closeSync(file);
}

function mustBeElsewhere(folder: string, target: string): void {
  const path = relative(resolve(folder), resolve(target));
  if (path.split(sep)[0] === "..") return;
  throw new Error(`${target} lies in the store's own folder; choose another one`);
}

// Those that are not there yet. One that is removed meanwhile had no keys any more.
function copyKeys(folder: string, target: string): void {
  for (const name of readdirSync(join(folder, KEY_FOLDER)).filter(isKeyFile)) {
    const to = join(target, KEY_FOLDER, name);
    if (existsSync(to)) continue;
    const keys = ifThere(() => readFileSync(join(folder, KEY_FOLDER, name)));
    if (keys?.length === FILE_BYTES) writeFileSync(to, keys, { mode: FILE_MODE });
  }
}

function ifThere<Answer>(read: () => Answer): Answer | undefined {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

// Writes zeros over the keys of what is not held in the copy, and counts what is.
async function withoutForeignKeys(
  target: string,
): Promise<Pick<Manifest, "format" | "held" | "tombstones">> {
  const { root, databases } = openDatabases(target, true);
  try {
    mustRead(databases);
    // Without keys it is one of before, where nothing is sealed.
    let held = isOfBefore(databases) ? entries(databases.drops) - entries(databases.discarded) : 0;
    for (const name of readdirSync(join(target, KEY_FOLDER))) {
      const file = join(target, KEY_FOLDER, name);
      const all = readFileSync(file);
      const kept = Buffer.alloc(FILE_BYTES);
      const ofHeld = heldIn(databases, Number(name));
      for (const seq of ofHeld) {
        all.copy(kept, placeOf(seq), placeOf(seq), placeOf(seq) + DROP_KEY_BYTES);
      }
      held += ofHeld.length;
      writeFileSync(file, kept, { flag: "r+", flush: true });
      if (ofHeld.length === 0) rmSync(file);
    }
    const format = databases.meta.get("format") ?? "";
    return { format, held, tombstones: entries(databases.tombstones) };
  } finally {
    await root.close();
    rmSync(join(target, "lock.mdb"), { force: true });
  }
}

function heldIn({ drops, discarded }: Databases, file: number): number[] {
  const [start, end] = rangeOf(file);
  const gone = new Set(discarded.getKeys({ start, end }));
  return [...drops.getKeys({ start, end })].filter((seq) => !gone.has(seq));
}

function filesIn(target: string): string[] {
  const keys = readdirSync(join(target, KEY_FOLDER)).map((name) => `${KEY_FOLDER}/${name}`);
  return [STORE_FILE, SECRET_FILE, ...keys].filter((path) => existsSync(join(target, path)));
}

async function digestOf(file: string): Promise<Manifest["files"][string]> {
  const hash = createHash("sha256");
  for await (const part of createReadStream(file)) hash.update(part as Buffer);
  return { bytes: statSync(file).size, sha256: hash.digest("hex") };
}
