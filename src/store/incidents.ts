// What goes wrong in a store, apart from what it answers. Three things that must not be mixed up: a full disk, which passes; a damaged record, which is one; and
// a store that is lost to this process.

import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";

import type { Exposed } from "./privacy.ts";
import { StoreLost } from "./same-file.ts";
import { TOLD } from "./store.ts";

/** Hears of them. None of it says anything of a recipient or of what is held. */
export type Incidents = {
  /** The disk took no more: what the commit was to write was refused, and the store goes on. */
  readonly diskFull: (cause: Error) => void;
  /** A record cannot be read. It is skipped, as if it were not there, until a sweep can remove it. */
  readonly damaged: (record: DamagedRecord) => void;
  /** Nothing can be read or written any more, whatever was done about it. The process must end; what was answered is on disk. Said once. */
  readonly lost: (cause: Error) => void;
  /** Other users of the machine can get at the store, and this process cannot change that. */
  readonly exposed: (what: Exposed) => void;
  /** The store was one of an earlier format, and is one of today's now; its file of before is gone. */
  readonly converted: () => void;
};

/** Its table, and the number of the drop that it belongs to. Nothing of what stands in it. */
export type DamagedRecord = {
  readonly table: "drops" | "boxes" | "expiries" | "discarded" | "tombstones" | "early" | "authors";
  readonly seq?: number | undefined;
};

/** Nobody hears of them. */
export const UNHEARD: Incidents = {
  diskFull() {},
  damaged() {},
  lost() {},
  exposed() {},
  converted() {},
};

const MAP_FULL = -30_792;
const { ENOSPC, EFBIG, EIO } = constants.errno;
const NO_ROOM: ReadonlySet<unknown> = new Set([ENOSPC, EFBIG, constants.errno.EDQUOT, MAP_FULL]);

/** The error of LMDB behind a failed commit: lmdb hands it over as a promise of its own, which would end the process if nobody heard it. */
export async function causeOf(error: unknown): Promise<unknown> {
  try {
    await (error as { commitError?: Promise<never> }).commitError;
  } catch (cause) {
    return plain(cause as Error & { code?: unknown });
  }
  return error;
}

/** Whether this is what lmdb rejects all with that was in a failed commit. */
export function isCommitError(error: unknown): boolean {
  return typeof error === "object" && error !== null && "commitError" in error;
}

/** In the system's words: lmdb appends to them what it said last to whomever, however long ago. */
export function plain(cause: Error & { code?: unknown }): Error {
  const [name, message] = getSystemErrorMap().get(-Number(cause.code)) ?? [];
  return name === undefined
    ? cause
    : Object.assign(new Error(`${name}: ${message}`), { code: cause.code });
}

/** A write came to nothing because the disk is full. */
export class DiskFull extends Error {
  override readonly name = TOLD.diskFull;
}

/** Whether LMDB, or the file beneath it, said so; else it is a mistake in this program. */
export function isStoreError(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return error instanceof StoreLost || typeof (error as { code?: unknown }).code === "number";
}

const NO_ROOM_CODES: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** Whether an error of Node's own file system says that the disk, a quota or a limit of the process gives no more room. */
export function isNoRoomOnDisk(error: unknown): boolean {
  return NO_ROOM_CODES.has((error as NodeJS.ErrnoException).code);
}

/** Whether a write failed because the disk, a quota or a limit of the process gives no more room. `hasRoom` writes to the file to find out. */
export function isDiskFull(error: Error, hasRoom: () => boolean): boolean {
  const { code } = error as { code?: unknown };
  if (NO_ROOM.has(code)) return true;
  // LMDB says so too when the disk took a part of what it was given.
  return code === EIO && !hasRoom();
}
