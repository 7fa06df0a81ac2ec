// One of several event loops: names the implementations, serves its share of the connections, and asks the main thread for what is written.

import { type MessagePort, parentPort, workerData } from "node:worker_threads";

import type { ListenAddress } from "../config/values.ts";
import { Tally } from "../relay/tally.ts";
import { remoteStore } from "../store/remote.ts";
import { measureDelay } from "./event-loop-delay.ts";
import { type EventLoopLoad, type EventLoopSettings, startEventLoop } from "./event-loop.ts";
import { reportIncidents } from "./incidents.ts";
import { openLog } from "./log.ts";

export type EventLoopData = {
  readonly settings: EventLoopSettings;
  /** The other end of `shareStore`. */
  readonly store: MessagePort;
};

/** What an event loop tells the main thread: that it listens, and where; all that it counted so far, and what it has. */
export type EventLoopReport =
  | { readonly listening: readonly ListenAddress[] }
  | { readonly tally: Float64Array; readonly load: EventLoopLoad };

const REPORT_MS = 1_000;

const main = parentPort;
if (main === null) throw new Error("event-loop-thread.ts runs as a worker thread only");
const { settings, store: port } = workerData as EventLoopData;

const log = openLog(settings.config.log);
// As in the main thread.
process.on("unhandledRejection", (error) => log.error({ err: error }, "internal error"));
const observer = new Tally(settings.config.metricsStep);
const measuring = measureDelay(observer);
// What ends this thread ends the process: see event-loops.ts.
function lost(cause: Error): void {
  setImmediate(() => {
    throw cause;
  });
}
const incidents = reportIncidents({ log, observer, lost });
const store = remoteStore(port, settings.config.data, settings.shared, incidents);
const eventLoop = await startEventLoop(
  {
    store,
    observer,
    log,
    lost,
  },
  settings,
  // A thread that cannot start ends, and with it what it had open.
  () => {},
);
const tell = (message: EventLoopReport): void => main.postMessage(message);

function report(): void {
  tell({ tally: observer.values, load: eventLoop.load });
}
const timer = setInterval(report, REPORT_MS);

async function stop(): Promise<void> {
  clearInterval(timer);
  clearInterval(measuring);
  await eventLoop.stop();
  await store.close();
  report();
  main?.close();
}
main.once("message", () => void stop());
report();
tell({ listening: eventLoop.addresses });
