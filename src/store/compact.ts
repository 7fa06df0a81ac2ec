// Writes the file of a store that no relay has open anew, without the pages that are in no use: it never becomes smaller by itself.
//
// The new file is made beside the old one, looked through as verify-store does, and takes its name when it is on disk. The keys of drops and the secret stay as
// they are. A power cut leaves the one or the other, whole.

import { mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

import { keep, STORE_FILE } from "./backup.ts";
import { openDropKeys } from "./drop-keys.ts";
import { COMPACT_FOLDER } from "./new-store.ts";
import { FOLDER_MODE } from "./privacy.ts";
import { replaceStore } from "./replace.ts";
import type { StoreSecrets } from "./secret.ts";
import { openStopped, type StoppedStore } from "./stopped.ts";
import { openDatabases } from "./tables.ts";
import { unlocked } from "./unlocked.ts";
import { type Verified, verify } from "./verify.ts";

export type Compacted = Pick<Verified, "held" | "tombstones"> & {
  /** How big the file was, and is. */
  readonly bytesBefore: number;
  readonly bytes: number;
};

/** Does so with the store in `folder`. Throws, with what to do, when it cannot; the store is as it was then. */
export async function compact(folder: string, source: string): Promise<Compacted> {
  const stopped = await openStopped(folder, source);
  const store = join(folder, STORE_FILE);
  const part = join(folder, COMPACT_FOLDER);
  try {
    mustBeUnread(stopped);
    rmSync(part, { recursive: true, force: true });
    mkdirSync(part, { mode: FOLDER_MODE });
    await stopped.root.backup(part, true);
    keep(join(part, STORE_FILE));
    const { held, tombstones, findings } = await verifyPart(folder, part, stopped.secrets);
    if (findings.length > 0) {
      throw new Error("it is not whole; verify-store says what is wrong, --repair puts it right");
    }
    await stopped.closeFile();
    const bytesBefore = statSync(store).size;
    replaceStore(folder, part);
    return { held, tombstones, bytesBefore, bytes: statSync(store).size };
  } finally {
    rmSync(part, { recursive: true, force: true });
    await stopped.close();
  }
}

// Under whoever reads the old file zeros would be written.
function mustBeUnread({ root }: StoppedStore): void {
  root.readerCheck();
  const readers = [...root.readerList().matchAll(/^\s*(\d+) /gm)].map(([, pid]) => Number(pid));
  const other = readers.find((pid) => pid !== process.pid);
  if (other === undefined) return;
  throw new Error(`process ${other} is reading it, as a backup or an export does; wait for it`);
}

async function verifyPart(folder: string, part: string, secrets: StoreSecrets): Promise<Verified> {
  const { root, databases } = openDatabases(part, true);
  const keys = openDropKeys(folder);
  try {
    return verify({ root, databases, tables: unlocked(databases, secrets, keys) });
  } finally {
    keys.close();
    await root.close();
  }
}
