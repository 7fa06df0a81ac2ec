// One of several event loops: names the implementations, serves its share of the connections, and asks the main thread for what is written.

import { type MessagePort, parentPort, workerData } from "node:worker_threads";

import type { Config } from "../config/schema.ts";
import type { ListenAddress } from "../config/values.ts";
import { Tally } from "../relay/tally.ts";
import { remoteStore } from "../store/remote.ts";
import type { Answered, Asked } from "../steering/steering.ts";
import { measureDelay } from "./event-loop-delay.ts";
import { type EventLoopLoad, type EventLoopSettings, startEventLoop } from "./event-loop.ts";
import { reportIncidents } from "./incidents.ts";
import { openLog } from "./log.ts";
import { Numbered } from "./numbered.ts";

export type EventLoopData = {
  readonly settings: EventLoopSettings;
  /** The other end of `shareStore`. */
  readonly store: MessagePort;
};

/** What the main thread tells an event loop: to stop; to have this in force; what a request of NIP-86 is answered. */
export type EventLoopOrder =
  | "stop"
  | { readonly number: number; readonly inForce: Config }
  | { readonly number: number; readonly answered: Answered };

/**
 * What an event loop tells the main thread: that it listens, and where; all that it counted so far, and what it has; that it works by what is in force now; what is
 * asked of NIP-86.
 */
export type EventLoopReport =
  | { readonly listening: readonly ListenAddress[] }
  | { readonly taken: number }
  | { readonly number: number; readonly asked: Asked }
  | { readonly tally: Float64Array; readonly load: EventLoopLoad };

const REPORT_MS = 1_000;
// A key that nobody has: it is not on the curve.
const NOBODY = "f".repeat(64);

const main = parentPort;
if (main === null) throw new Error("event-loop-thread.ts runs as a worker thread only");
const { settings, store: port } = workerData as EventLoopData;

const log = openLog(settings.config.log);
// As in the main thread.
process.on("unhandledRejection", (error) => log.error({ err: error }, "internal error"));
const observer = new Tally(settings.config.metricsStep);
const measuring = settings.config.metrics === "" ? undefined : measureDelay(observer);
// What ends this thread ends the process: see event-loops.ts.
function lost(cause: Error): void {
  setImmediate(() => {
    throw cause;
  });
}
const incidents = reportIncidents({ log, observer, lost });
const store = remoteStore(port, settings.config.data, settings.shared, incidents);
const steered = new Numbered<Answered>();
const eventLoop = await startEventLoop(
  {
    store,
    observer,
    log,
    lost,
    steer(asked) {
      const { number, answer } = steered.open();
      tell({ number, asked });
      return answer;
    },
  },
  settings,
  // A thread that cannot start ends, and with it what it had open.
  () => {},
);
function tell(message: EventLoopReport): void {
  main?.postMessage(message);
}

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
async function take(number: number, config: Config): Promise<void> {
  log.level = config.log;
  await eventLoop.apply(config);
  // What was examined before goes to the store through another port. An answer from there says that it has arrived.
  await store.list(NOBODY, {}, 1);
  tell({ taken: number });
}
main.on("message", (order: EventLoopOrder) => {
  if (order === "stop") void stop();
  else if ("inForce" in order) void take(order.number, order.inForce);
  else steered.close(order.number, order.answered);
});
report();
tell({ listening: eventLoop.addresses });
