// What must hold before LMDB opens a store. Whatever else it meets there ends the process with a signal and without a word (lmdb 3.5.6), so it is asked
// beforehand, and said in a sentence that tells the operator what to do.

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { FILE_MODE } from "./privacy.ts";
import { type Flaw, flawOf } from "./whole-file.ts";

// No word of a backup: one would serve again what was acknowledged since.
const START_EMPTY = "move the folder away to start with an empty store";

const FLAWS: Readonly<Record<Flaw, string>> = {
  empty: "is empty where a store should be",
  foreign: "is not the file of a store: it is another file, or was overwritten",
  "cut short": "is cut short: a part of the store is missing",
  damaged: "is damaged",
};

// What a new store takes before anything is put, and some more.
const NEW_STORE_BYTES = 2 ** 18;

/** Throws, with what to do, when the store in `folder` cannot be opened. `mapBytes` is what is mapped of the address space. */
export function mustBeOpenable(folder: string, mapBytes: number): void {
  mustHaveAddresses(mapBytes);
  const store = join(folder, "data.mdb");
  const lock = join(folder, "lock.mdb");
  try {
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    for (const path of [store, lock]) {
      if (existsSync(path)) closeSync(openSync(path, "r+"));
    }
  } catch (error) {
    const { message } = error as Error;
    throw new Error(
      `the store cannot be opened (${message}); the user that runs the relay must be able to read and write the folder and everything in it`,
      { cause: error },
    );
  }
  if (!existsSync(store)) {
    if (existsSync(lock)) {
      throw new Error(
        `${store} is missing where a store was; see whether its volume is mounted, or remove ${lock} to start with an empty store`,
      );
    }
    return mustTakeNewStore(folder);
  }
  const flaw = flawIn(store);
  if (flaw !== undefined) throw new Error(`${store} ${FLAWS[flaw]}; ${START_EMPTY}`);
}

function flawIn(store: string): Flaw | undefined {
  try {
    return flawOf(store);
  } catch (error) {
    throw new Error(`${store} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

// By writing what a new store takes: a quota or a limit of the process, also on the size of files, is told by nothing else.
function mustTakeNewStore(folder: string): void {
  const file = join(folder, "data.mdb.try");
  try {
    writeFileSync(file, Buffer.alloc(NEW_STORE_BYTES), { mode: FILE_MODE, flush: true });
  } catch (error) {
    const { message } = error as Error;
    throw new Error(`no new store can be written in ${folder}: ${message}`, { cause: error });
  } finally {
    rmSync(file, { force: true });
  }
}

// Address space, of which a limit (`ulimit -v`) or the processor may give too little.
function mustHaveAddresses(mapBytes: number): void {
  const most = Math.min(
    limitOf("Max address space") - mappedBytes(),
    // The stack lies at the end of the space.
    lastAddress() ?? Infinity,
  );
  if (most >= mapBytes) return;
  throw new Error(
    `the store needs ${gib(mapBytes)} of address space (not of memory) and finds ${gib(Math.max(0, most))}; "ulimit -v unlimited" lifts the limit`,
  );
}

function gib(bytes: number): string {
  return `${Math.floor(bytes / 2 ** 30)} GiB`;
}

/** The soft limit of that name of this process, Infinity where there is none or the system does not tell. */
export function limitOf(name: string): number {
  const line = told("limits")?.find((text) => text.startsWith(name));
  const soft = line?.slice(name.length).trim().split(/\s+/)[0];
  return soft === undefined || soft === "unlimited" ? Infinity : Number(soft);
}

function mappedBytes(): number {
  const size = told("status")?.find((text) => text.startsWith("VmSize:"));
  return Number(/\d+/.exec(size ?? "0")?.[0] ?? 0) * 1_024;
}

function lastAddress(): number | undefined {
  const stack = told("maps")?.find((text) => text.endsWith("[stack]"));
  return stack === undefined ? undefined : Number.parseInt(stack.split(/[- ]/)[1] ?? "", 16);
}

// What Linux tells of this process.
function told(what: "limits" | "status" | "maps"): string[] | undefined {
  try {
    return readFileSync(`/proc/self/${what}`, "utf8").split("\n");
  } catch {
    return undefined;
  }
}
