// Writes what a store holds as JSON lines, while a relay has it open or not: an event a line, as it came, in the order in which it came. Tombstones are not in it:
// a store knows them by names that lead back to no id.
//
// Where it got to is the number of the last drop that was looked at. It holds for this store alone, and for what is made of it: a backup, a smaller file.

import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";

import { z } from "zod";

import { heldIn, openToRead } from "./held.ts";
import { FILE_MODE } from "./privacy.ts";
import { newestDrop } from "./tables.ts";
import { writeWhole } from "./write-whole.ts";

export type ExportSettings = {
  readonly now: () => number;
  /** The one whose box it is; undefined: everybody's. */
  readonly recipient: string | undefined;
  /** What came after the drop with this number. */
  readonly after: number;
  /** Ends it early. */
  readonly stopping: AbortSignal;
  /** Takes the lines of a page, which may be none, and resolves when they are where they go. `last`: where it goes on after them. */
  readonly write: (lines: string, last: number) => Promise<void> | void;
  readonly progress: (exported: number, share: number) => void;
};

/** Writes what the store in a folder holds. Answers how many drops that were, and where it goes on. Throws, with what to do, when it cannot be read. */
export async function exportDrops(
  folder: string,
  source: string,
  { now, recipient, after, stopping, write, progress }: ExportSettings,
): Promise<{ readonly exported: number; readonly last: number }> {
  const store = await openToRead(folder, source);
  try {
    const newest = newestDrop(store.databases);
    let [exported, last] = [0, after];
    await turn();
    for (const page of heldIn(store, now, after)) {
      const drops = page.drops.filter((drop) => (recipient ?? drop.recipient) === drop.recipient);
      await write(drops.map(({ json }) => `${json}\n`).join(""), page.last);
      [exported, last] = [exported + drops.length, page.last];
      progress(exported, Math.min(1, last / newest));
      await turn();
      if (stopping.aborted) break;
    }
    return { exported, last };
  } finally {
    await store.close();
  }
}

// Whoever wants it to end is heard, and the next page is of a moment of its own.
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

// Written between two places to which it can be taken up again.
const FLUSHED_BYTES = 8 * 2 ** 20;

const cursorSchema = z.strictObject({
  after: z.int().min(0),
  bytes: z.int().min(0),
  recipient: z.string().optional(),
});

/** A file of lines that can be gone on with, whatever ended the one who wrote it: how far it is good stands in a file beside it while it is not whole. */
export class ExportFile {
  readonly #path: string;
  readonly #file: number;
  readonly recipient: string | undefined;
  #bytes: number;
  #flushedBytes: number;
  #after: number;

  private constructor(path: string, file: number, cursor: z.infer<typeof cursorSchema>) {
    this.#path = path;
    this.#file = file;
    this.#after = cursor.after;
    this.#bytes = cursor.bytes;
    this.#flushedBytes = cursor.bytes;
    this.recipient = cursor.recipient;
  }

  /** Makes a new one. Throws what the system says, EEXIST where a file is. */
  static make(path: string, after: number, recipient: string | undefined): ExportFile {
    const file = openSync(path, "wx", FILE_MODE);
    const made = new ExportFile(path, file, { after, bytes: 0, recipient });
    made.flush();
    return made;
  }

  /** Goes on with one that broke off. Throws, with what is wrong, when there is none. */
  static resume(path: string): ExportFile {
    if (!existsSync(cursorOf(path))) throw new Error(`${cursorOf(path)} is missing`);
    const cursor = cursorSchema.safeParse(jsonIn(cursorOf(path)));
    if (!cursor.success) throw new Error(`${cursorOf(path)} is damaged`);
    const file = openSync(path, "r+");
    if (fstatSync(file).size < cursor.data.bytes) {
      closeSync(file);
      throw new Error(`${path} was cut short`);
    }
    ftruncateSync(file, cursor.data.bytes);
    return new ExportFile(path, file, cursor.data);
  }

  /** Where it goes on. */
  get after(): number {
    return this.#after;
  }

  write(lines: string, last: number): void {
    const bytes = Buffer.from(lines);
    for (let at = 0; at < bytes.length;) {
      at += writeSync(this.#file, bytes, at, bytes.length - at, this.#bytes + at);
    }
    this.#bytes += bytes.length;
    this.#after = last;
    if (this.#bytes - this.#flushedBytes >= FLUSHED_BYTES) this.flush();
  }

  /** Has the disk keep what is written, and how far it is. */
  flush(): void {
    fdatasyncSync(this.#file);
    this.#flushedBytes = this.#bytes;
    const { recipient } = this;
    const cursor = { after: this.#after, bytes: this.#bytes, recipient };
    writeWhole(cursorOf(this.#path), `${JSON.stringify(cursor)}\n`);
  }

  /** It is whole. */
  finish(): void {
    fdatasyncSync(this.#file);
    rmSync(cursorOf(this.#path));
  }

  close(): void {
    closeSync(this.#file);
  }
}

function cursorOf(path: string): string {
  return `${path}.cursor`;
}

function jsonIn(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
