// What `deaddrop-client/node` offers beside `deaddrop-client`: an outbox in a folder, and Node's own ways to connect.

import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";

import type { OutboxRecord, OutboxStore } from "./outbox-store.ts";

export { nodeNetwork, throughSocks } from "./node-network.ts";

const ENDING = ".json";
// A process has a thousand file descriptors, often.
const FILES_AT_ONCE = 32;

/**
 * An outbox in a folder of its own, made when there is none, readable by its owner alone. A file for each record, put into place whole: several processes may use it
 * side by side. What cannot be read as a record is left where it is and not loaded.
 */
export function fileOutbox(folder: string): OutboxStore {
  const fileOf = (id: string): string => join(folder, `${encodeURIComponent(id)}${ENDING}`);
  return {
    async load() {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const names = (await readdir(folder)).filter((name) => name.endsWith(ENDING));
      const records: OutboxRecord[] = [];
      for (let next = 0; next < names.length; next += FILES_AT_ONCE) {
        const some = names.slice(next, next + FILES_AT_ONCE);
        const read = await Promise.all(some.map((name) => readRecord(join(folder, name))));
        records.push(...read.filter((record) => record !== undefined));
      }
      return records;
    },
    async put(record) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const part = join(folder, `${randomUUID()}.part`);
      const file = await open(part, "wx", 0o600);
      try {
        await file.writeFile(JSON.stringify(record));
        await file.sync();
        await rename(part, fileOf(record.id));
      } catch (error) {
        await rm(part, { force: true });
        throw error;
      } finally {
        await file.close();
      }
      await syncFolder(folder);
    },
    async remove(id) {
      await rm(fileOf(id), { force: true });
    },
  };
}

async function readRecord(path: string): Promise<OutboxRecord | undefined> {
  try {
    const record = Object(JSON.parse(await readFile(path, "utf8"))) as OutboxRecord;
    return typeof record.id === "string" && typeof record.until === "number" ? record : undefined;
  } catch (error) {
    // Another process removed it, or it is not ours. Anything else may hide an acknowledgement.
    if (error instanceof SyntaxError || isGone(error)) return undefined;
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

// The new name is on disk when its folder is. Windows has no such thing and does not open folders.
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
