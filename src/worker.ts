// One of several event loops: names the implementations, serves its share of the connections, and asks the main thread for what is written.

import { type MessagePort, parentPort, workerData } from "node:worker_threads";

import pino from "pino";

import { type FrontSettings, startFront } from "./cli/front.ts";
import type { Counted } from "./relay/observer.ts";
import { remoteStore } from "./store/remote.ts";

export type WorkerData = {
  readonly settings: FrontSettings;
  /** The other end of `shareStore`. */
  readonly store: MessagePort;
  readonly watermark: number;
};

/** What an event loop tells the main thread: that it listens; what it counted since, and how many connections it has; that it has stopped. */
export type WorkerNews =
  | { readonly listening: number }
  | { readonly counts: ReadonlyMap<Counted, number>; readonly connections: number }
  | { readonly stopped: true };

const REPORT_MS = 1_000;

const main = parentPort;
if (main === null) throw new Error("worker.ts runs as a worker thread only");
const { settings, store: port, watermark } = workerData as WorkerData;

let counts = new Map<Counted, number>();
const store = remoteStore(port, settings.config.data, watermark);
const log = pino({ level: settings.config.log, base: null });
const front = await startFront(
  {
    store,
    observer: {
      count(what, times = 1) {
        counts.set(what, (counts.get(what) ?? 0) + times);
      },
    },
    log,
  },
  settings,
  // A thread that cannot start ends, and with it what it had open.
  () => {},
);
const tell = (news: WorkerNews): void => main.postMessage(news);

function report(): void {
  tell({ counts, connections: front.connections });
  counts = new Map();
}
const timer = setInterval(report, REPORT_MS);

async function stop(): Promise<void> {
  clearInterval(timer);
  await front.stop();
  await store.close();
  report();
  tell({ stopped: true });
  main?.close();
}
main.once("message", () => void stop());
tell({ listening: front.port });
