// Reads what recorded-writes.c wrote down: everything by which a relay changed its folder, flushed it, and said OK, in one order.

import { readFileSync } from "node:fs";

/** One record. Paths are below the folder that was recorded and begin with a slash; "" is that folder. */
export type Recorded =
  | {
      readonly what: "made";
      readonly path: string;
      readonly inode: bigint;
      readonly isFolder: boolean;
    }
  | {
      readonly what: "written";
      readonly inode: bigint;
      readonly offset: number;
      readonly bytes: Buffer;
    }
  | { readonly what: "sized"; readonly inode: bigint; readonly size: number }
  | { readonly what: "renamed" | "linked"; readonly path: string; readonly to: string }
  | { readonly what: "removed"; readonly path: string }
  | { readonly what: "flushing"; readonly inode: bigint; readonly flush: bigint }
  | { readonly what: "flushed"; readonly flush: bigint; readonly isFailed: boolean }
  /** A write that is a flush of what it writes (O_DSYNC). It has begun; `flushed` is its end. */
  | {
      readonly what: "writing";
      readonly inode: bigint;
      readonly offset: number;
      readonly bytes: Buffer;
      readonly flush: bigint;
    }
  /** Into a map, of which nothing more is recorded. */
  | { readonly what: "mapped"; readonly inode: bigint }
  | { readonly what: "said"; readonly text: string };

const KINDS = [
  "made",
  "written",
  "sized",
  "renamed",
  "removed",
  "linked",
  "flushing",
  "flushed",
  "writing",
  "mapped",
  "said",
] as const;
const HEAD_BYTES = 40;

export type Log = {
  readonly records: readonly Recorded[];
  /** Where in the file each of them ends. */
  readonly ends: readonly number[];
  /** The ids that were answered OK, each with the number of records before that was said for the first time. */
  readonly answers: ReadonlyMap<string, number>;
};

export function readLog(file: string): Log {
  const log = readFileSync(file);
  const records: Recorded[] = [];
  const ends: number[] = [];
  for (let at = 0; at + HEAD_BYTES <= log.length;) {
    const pathBytes = log.readUInt32LE(at + 4);
    const end = at + HEAD_BYTES + pathBytes + Number(log.readBigUInt64LE(at + 32));
    // The last one of a process that was killed.
    if (end > log.length) break;
    records.push(recordIn(log.subarray(at, end), pathBytes));
    ends.push(end);
    at = end;
  }
  return { records, ends, answers: answersIn(records) };
}

/** How many records there were when the file was so long. */
export function recordsUpTo({ ends }: Log, bytes: number): number {
  let [least, most] = [0, ends.length];
  while (least < most) {
    const middle = (least + most) >> 1;
    if (ends[middle]! <= bytes) least = middle + 1;
    else most = middle;
  }
  return least;
}

function recordIn(record: Buffer, pathBytes: number): Recorded {
  const what = KINDS[record.readUInt32LE(0) - 1];
  const inode = record.readBigUInt64LE(8);
  const offset = Number(record.readBigUInt64LE(16));
  const flush = record.readBigUInt64LE(24);
  const bytes = record.subarray(HEAD_BYTES + pathBytes);
  const paths = record.toString("utf8", HEAD_BYTES, HEAD_BYTES + pathBytes).split("\0");
  const [path = "", to = ""] = paths;
  if (what === undefined) throw new Error("the log of recorded writes is spoiled");
  switch (what) {
    case "made":
      return { what, path, inode, isFolder: flush === 1n };
    case "written":
      return { what, inode, offset, bytes };
    case "sized":
      return { what, inode, size: offset };
    case "renamed":
    case "linked":
      return { what, path, to };
    case "removed":
      return { what, path };
    case "flushing":
      return { what, inode, flush };
    case "flushed":
      return { what, flush, isFailed: offset !== 0 };
    case "writing":
      return { what, inode, offset, bytes, flush };
    case "mapped":
      return { what, inode };
    case "said":
      return { what, text: bytes.toString("latin1") };
  }
}

function answersIn(records: readonly Recorded[]): Map<string, number> {
  const answers = new Map<string, number>();
  for (const [at, record] of records.entries()) {
    if (record.what !== "said") continue;
    for (const [, id = ""] of record.text.matchAll(/\["OK","([0-9a-f]{64})",true/g)) {
      if (!answers.has(id)) answers.set(id, at);
    }
  }
  return answers;
}
