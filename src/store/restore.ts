// Makes a store of a backup (backup.ts).

import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

import { copy, type Manifest, readBackup, STORE_FILE } from "./backup.ts";
import { convertStore, isOfBefore } from "./convert.ts";
import { flushFolder } from "./flush-folder.ts";
import { keepNames } from "./new-store.ts";
import { FOLDER_MODE, KEY_FOLDER } from "./privacy.ts";
import { SECRET_FILE } from "./secret.ts";
import { lastNumber } from "./settle.ts";
import { SETTLED } from "./settling.ts";
import { openDatabases } from "./tables.ts";
import { verifyStore } from "./verify.ts";

const PART = "restoring";
const OF_A_STORE = [STORE_FILE, "lock.mdb", KEY_FOLDER];

/**
 * Makes a store in `folder`, in which there must be none, of the backup in `from`, one of today also of a backup of the format before. `tombstonesOnly`: what was held is left out, so that nothing that was
 * acknowledged after the backup comes back. `secret` is where the store's secret is (`readSecret`). Throws, with what to do, when the backup is not whole or
 * cannot be read with that secret; there is no store in `folder` then.
 */
export async function restore(
  from: string,
  folder: string,
  { secret, tombstonesOnly }: { readonly secret: string; readonly tombstonesOnly: boolean },
): Promise<Manifest> {
  const manifest = await readBackup(from);
  const made = mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
  for (const name of OF_A_STORE) {
    if (!existsSync(join(folder, name))) continue;
    throw new Error(`${folder} holds a store, or a part of one; move it away first`);
  }
  const part = join(folder, PART);
  rmSync(part, { recursive: true, force: true });
  try {
    copyAll(from, part, manifest, secret);
    await prepare(part, secret, tombstonesOnly);
    const { findings } = await verifyStore(part, secret);
    if (findings.length > 0) throw new Error(`what is in ${from} does not fit together`);
    giveNames(part, folder);
    keepNames(folder, made);
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
  return manifest;
}

function copyAll(from: string, part: string, { files }: Manifest, secret: string): void {
  mkdirSync(join(part, KEY_FOLDER), { recursive: true, mode: FOLDER_MODE });
  for (const path of Object.keys(files)) {
    // Who keeps it elsewhere wants none beside the store.
    if (path === SECRET_FILE && secret !== "") continue;
    copy(join(from, path), join(part, path));
  }
  flushFolder(join(part, KEY_FOLDER));
}

async function prepare(part: string, secret: string, tombstonesOnly: boolean): Promise<void> {
  let { root, databases } = openDatabases(part, false);
  try {
    if (isOfBefore(databases)) {
      await convertStore(part, { root, databases }, secret, () => undefined);
      ({ root, databases } = openDatabases(part, false));
    }
    const { meta, drops, boxes, expiries, discarded, authors } = databases;
    root.transactionSync(() => {
      // Of the relay that had it open.
      meta.removeSync("owner");
      if (!tombstonesOnly) return;
      meta.putSync(SETTLED, String(lastNumber(databases)));
      for (const table of [drops, boxes, expiries, discarded, authors]) table.clearSync();
    });
  } finally {
    await root.close();
  }
  if (!tombstonesOnly) return;
  rmSync(join(part, KEY_FOLDER), { recursive: true });
  mkdirSync(join(part, KEY_FOLDER), { mode: FOLDER_MODE });
}

// The store itself last: without it there is none.
function giveNames(part: string, folder: string): void {
  const give = (name: string): void => renameSync(join(part, name), join(folder, name));
  if (existsSync(join(part, SECRET_FILE))) give(SECRET_FILE);
  give(KEY_FOLDER);
  flushFolder(folder);
  give(STORE_FILE);
}
