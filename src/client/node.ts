// What `deaddrop-client/node` offers beside `deaddrop-client`: an outbox in a folder, and Node's own ways to connect.

import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";

import { codeOf, readJson, removeLeftovers, replaceFile, setAside } from "./durable-file.ts";
import { type OutboxRecord, type OutboxStore, readRecord } from "./outbox-store.ts";

export { nodeNetwork, throughSocks } from "./node-network.ts";

const ENDING = ".json";
// A process has a thousand file descriptors, often.
const FILES_AT_ONCE = 32;

/** A file of an outbox that cannot be read as a record. Nothing else is held up by it. */
export type LostRecord = {
  /** Where it is, or was. */
  readonly path: string;
  readonly why: string;
  /** Where it is now; undefined when it is where it was: what cannot be read today may be read tomorrow. */
  readonly keptAs: string | undefined;
};

export type FileOutboxOptions = {
  /** Told of each file that cannot be read as a record: what it was to tell a relay is not told. Default: a warning of the process. */
  readonly lost?: (record: LostRecord) => void;
};

/**
 * An outbox in a folder of its own, made when there is none, readable by its owner alone. A file for each record, put into place whole: several processes may use it
 * side by side. A damaged file is set aside, as `….json.damaged`; a record of a type that is not known here is left to whoever knows it.
 */
export function fileOutbox(folder: string, { lost = warn }: FileOutboxOptions = {}): OutboxStore {
  const fileOf = (id: string): string => join(folder, `${encodeURIComponent(id)}${ENDING}`);
  return {
    async load() {
      await removeLeftovers(folder);
      const names = (await namesIn(folder)).filter((name) => name.endsWith(ENDING));
      const records: OutboxRecord[] = [];
      for (let next = 0; next < names.length; next += FILES_AT_ONCE) {
        const some = names.slice(next, next + FILES_AT_ONCE);
        const read = await Promise.all(some.map((name) => recordIn(join(folder, name), lost)));
        records.push(...read.filter((record) => record !== undefined));
      }
      return records;
    },
    put: (record) => replaceFile(fileOf(record.id), JSON.stringify(record)),
    async remove(id) {
      await rm(fileOf(id), { force: true });
    },
  };
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

async function recordIn(
  path: string,
  lost: (record: LostRecord) => void,
): Promise<OutboxRecord | undefined> {
  let value: unknown;
  try {
    value = await readJson(path);
  } catch (error) {
    // Another process has removed it.
    if (codeOf(error) === "ENOENT") return undefined;
    lost({ path, why: (error as Error).message, keptAs: undefined });
    return undefined;
  }
  const { record, why } = readRecord(value);
  if (why === undefined) return record;
  const aside = await setAside(path);
  // Or another process was faster, and tells of it.
  if (aside !== undefined) lost({ path, why, ...aside });
  return undefined;
}

function warn({ path, why, keptAs }: LostRecord): void {
  const where = keptAs === undefined ? "" : `; it is kept as ${keptAs}`;
  process.emitWarning(`${path} is no record of an outbox: ${why}${where}`, "DeadDropWarning");
}
