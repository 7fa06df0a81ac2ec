import { type Database, open, type RootDatabase, type RootDatabaseOptionsWithPath } from "lmdb";

import { type NostrEvent, parseEvent } from "../nostr/event.ts";
import type { DamagedRecord } from "./incidents.ts";
import { FILE_MODE } from "./privacy.ts";
import type { Keys } from "./layout.ts";
import type { SealedDrops } from "./sealed-drops.ts";
import type { Header, Place } from "./store.ts";

export type Tables = {
  readonly keys: Keys;
  readonly drops: SealedDrops;
  readonly boxes: Database<Buffer, Buffer>;
  readonly expiries: Database<Buffer, Buffer>;
  readonly discarded: Database<Buffer, number>;
  readonly tombstones: Database<Buffer, Buffer>;
  readonly early: Database<Buffer, Buffer>;
  readonly authors: Database<Buffer, Buffer>;
  readonly meta: Database<string, string>;
};

// 1.4 KB events waste less of an 8 KB page than of a 4 KB one. Fixed when the file is made.
const PAGE_BYTES = 8_192;
// Address space, not memory or disk: the map never has to grow. The file grows as it is written, and the disk reserve is what stops it.
export const MAP_BYTES = 2 ** 40;

export type Databases = Omit<Tables, "keys" | "drops"> & {
  readonly drops: Database<Buffer, number>;
};

/** The file as it is. */
export type Opened = { readonly root: RootDatabase; readonly databases: Databases };
/** And what stands in it, for who has the secret. */
export type Environment = Opened & { readonly tables: Tables };

/** Opens, and makes if need be, the databases in a folder. */
export function openDatabases(folder: string, readOnly: boolean): Opened {
  // Or a folder with a dot in its name is taken for a file.
  return openDatabasesAt(folder, { noSubdir: false, readOnly });
}

/** The same in a folder, or, with `noSubdir`, in a file of that name. */
export function openDatabasesAt(
  path: string,
  { noSubdir, readOnly }: { readonly noSubdir: boolean; readonly readOnly: boolean },
): Opened {
  // `permissionsMode` is not among the options that lmdb declares.
  const options: RootDatabaseOptionsWithPath & { permissionsMode: number } = {
    path,
    noSubdir,
    readOnly,
    // Each commit is flushed before its promise resolves: OK means on disk.
    overlappingSync: false,
    // Not `noMemInit`: pages would carry what was in the process's memory before to the disk.
    pageSize: PAGE_BYTES,
    mapSize: MAP_BYTES,
    maxDbs: 9,
    maxReaders: 256,
    permissionsMode: FILE_MODE,
  };
  const root = open(options);
  const binary = { keyEncoding: "binary", encoding: "binary" } as const;
  const databases = {
    drops: root.openDB<Buffer, number>({ name: "drops", encoding: "binary" }),
    boxes: root.openDB<Buffer, Buffer>({ name: "boxes", ...binary }),
    expiries: root.openDB<Buffer, Buffer>({ name: "expiries", ...binary }),
    discarded: root.openDB<Buffer, number>({ name: "discarded", encoding: "binary" }),
    tombstones: root.openDB<Buffer, Buffer>({ name: "tombstones", ...binary }),
    early: root.openDB<Buffer, Buffer>({ name: "early", ...binary }),
    authors: root.openDB<Buffer, Buffer>({ name: "authors", ...binary }),
    meta: root.openDB<string, string>({ name: "meta", encoding: "string" }),
  };
  return { root, databases };
}

/**
 * Throws when nothing can be read: to be asked in the same turn before a range or statistics, which lmdb answers with nothing, or with whatever was in memory,
 * when it gets no read transaction. A key that it cannot look up makes it throw.
 */
export function mustRead({ meta }: Pick<Tables, "meta">): void {
  meta.doesExist(ANY);
}

const ANY = "any";

/** Hears of a record that cannot be read. */
export type Damaged = (record: DamagedRecord) => void;

/** A drop as it was listed. */
type Listed = Pick<Header, "seq" | keyof Place>;

const BEGINNING = '{"id":"';
const END = '"}';

/** The JSON of each drop, undefined where one is not held any more or what is there is not it. */
export function readDrops(
  tables: Tables,
  listed: readonly Listed[],
  damaged: Damaged,
): (string | undefined)[] {
  const { drops, discarded } = tables;
  const left = listed.filter(({ seq }) => !discarded.doesExist(seq));
  const jsons = drops.getAll(left.map(({ seq }) => seq));
  let next = 0;
  return listed.map((each) => {
    if (each !== left[next]) return undefined;
    return checked(tables, each, jsons[next++], damaged);
  });
}

function checked(
  tables: Tables,
  listed: Listed,
  json: string | undefined,
  damaged: Damaged,
): string | undefined {
  const { drops, boxes } = tables;
  const { seq, idPrefix } = listed;
  if (json === undefined) {
    // Its key is gone, and it is not; or its entry is there, which goes with it, or before it.
    const isThere = drops.has(seq) || boxes.doesExist(tables.keys.place(listed));
    if (isThere) damaged({ table: "drops", seq });
    return undefined;
  }
  // As the relay writes it, it is not parsed: what is spoiled in between spoils the signature too, which clients check.
  const isWhole = json.startsWith(BEGINNING) && json.endsWith(END);
  if (isWhole && json.startsWith(idPrefix, BEGINNING.length)) return json;
  if (eventIn(json)?.id.startsWith(idPrefix) === true) return json;
  damaged({ table: "drops", seq });
  return undefined;
}

/** One of them as an event. */
export function readEvent(
  tables: Tables,
  header: Listed,
  damaged: Damaged,
): NostrEvent | undefined {
  const [json] = readDrops(tables, [header], damaged);
  const event = json === undefined ? undefined : eventIn(json);
  if (json !== undefined && event === undefined) damaged({ table: "drops", seq: header.seq });
  return event;
}

/** The event of a drop, also of one that is not held any more and still on disk. */
export function eventUnder(
  { drops }: Tables,
  seq: number,
  damaged: Damaged,
): NostrEvent | undefined {
  const json = drops.get(seq);
  if (json === undefined) return undefined;
  const event = eventIn(json);
  if (event === undefined) damaged({ table: "drops", seq });
  return event;
}

/** What was stored, or undefined where it is damaged. Never says what stands there instead. */
export function eventIn(json: string): NostrEvent | undefined {
  try {
    const event = parseEvent(JSON.parse(json));
    return typeof event === "string" ? undefined : event;
  } catch {
    return undefined;
  }
}

/** The number of the newest drop, 0 if there is none. */
export function newestDrop({ drops, meta }: Databases): number {
  mustRead({ meta });
  const [newest = 0] = drops.getKeys({ reverse: true, limit: 1 });
  return newest;
}

/** How many keys a table has. To be asked where the store can be read: see `mustRead`. */
export function entries(table: { getStats(): object }): number {
  return (table.getStats() as { entryCount: number }).entryCount;
}

/** A number in `meta`, undefined where there is none. Throws when something else stands there: nothing is safe to assume then. */
export function numberIn({ meta }: Pick<Tables, "meta">, name: string): number | undefined {
  const text = meta.get(name);
  if (text === undefined || /^\d{1,15}$/.test(text))
    return text === undefined ? text : Number(text);
  throw damagedMeta(name);
}

export function damagedMeta(name: string): Error {
  return new Error(
    `the store is damaged: its record "${name}" cannot be read; move its folder away to start with an empty store`,
  );
}
