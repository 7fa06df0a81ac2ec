// A pool's thread for the tests. Its answers say who gave them. The texts "throw" and "exit" are orders; so are files of that name in its folder when it
// starts. It keeps a diary there.

import { appendFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { parentPort, threadId, workerData } from "node:worker_threads";

import { serveBatches } from "../../src/verify/batches.ts";

export type Answered = {
  readonly text: string;
  readonly thread: number;
  /** How many texts came together. */
  readonly batch: number;
  /** What the thread was told last. */
  readonly heard?: unknown;
};

const { folder } = workerData as { readonly folder: string };
if (parentPort === null) throw new Error("answering.ts runs as a worker thread only");

if (existsSync(join(folder, "throw"))) throw new Error("cannot start");
if (existsSync(join(folder, "exit"))) process.exit(3);

let heard: unknown;
note("started");
serveBatches<Answered>(
  parentPort,
  (texts) => {
    if (texts.includes("throw")) throw new Error("told to");
    if (texts.includes("exit")) process.exit(3);
    return texts.map((text) => ({ text, thread: threadId, batch: texts.length, heard }));
  },
  async () => note("closed"),
  (news) => {
    heard = news;
  },
);

function note(what: string): void {
  appendFileSync(join(folder, "diary"), `${what} ${threadId}\n`);
}
