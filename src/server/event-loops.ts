// Several event loops: threads that share one port and the store that this one has open.

import { randomUUID } from "node:crypto";
import { type AddressInfo, createServer } from "node:net";
import { MessageChannel, Worker } from "node:worker_threads";

import type { Observer } from "../relay/observer.ts";
import { shareStore } from "../store/shared.ts";
import type { Store } from "../store/store.ts";
import type { EventLoop, EventLoopSettings } from "./event-loop.ts";
import type { EventLoopData, EventLoopReport } from "./event-loop-thread.ts";
import { threadModule } from "./threads.ts";

export type EventLoopsParts = {
  readonly store: Store;
  readonly observer: Observer;
  /** A loop ended though nobody asked it to, and its connections with it; or it hangs. */
  readonly lost: (error: Error) => void;
};

// A loop says every second that it goes round (event-loop-thread.ts). One that was silent for so many seconds of this thread's hangs, and with it its connections.
const LOOK_MS = 1_000;
const MOST_SILENT_LOOKS = 10;

/** Starts so many event loops, and answers them as one. Rejects when one cannot start, and leaves none running then. */
export async function startEventLoops(
  loops: number,
  parts: EventLoopsParts,
  given: EventLoopSettings,
): Promise<EventLoop> {
  const { config } = given;
  const port = await freePort(config.listen.host, given.port);
  const share = (limit: number): number => Math.ceil(limit / loops);
  const { connections, verifying, memory } = config.limits;
  const limits = {
    ...config.limits,
    connections: share(connections),
    verifying: share(verifying),
    memory: share(memory),
  };
  const channel = `deaddrop ${randomUUID()}`;
  const settings = { ...given, config: { ...config, limits }, channel, port };

  const started = await Promise.allSettled(
    Array.from({ length: loops }, () => startThread(parts, settings)),
  );
  const all = started.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const failure = started.find(({ status }) => status === "rejected");
  const stop = async (): Promise<void> => {
    await Promise.all(all.map((loop) => loop.stop()));
  };
  if (failure?.status === "rejected") {
    await stop();
    throw failure.reason;
  }
  return {
    port,
    get connections() {
      return all.reduce((sum, one) => sum + one.connections, 0);
    },
    stop,
  };
}

// Sockets that share a port would share it with those of another relay too, and each would get some of the other's clients. Where any port will do (0), one is
// chosen here: uWebSockets.js shares none that the system chose for it.
async function freePort(host: string, port: number): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, resolve);
  });
  const { port: free } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return free;
}

function startThread(
  { store, observer, lost }: EventLoopsParts,
  settings: EventLoopSettings,
): Promise<EventLoop> {
  const { port1, port2 } = new MessageChannel();
  const unshare = shareStore(store, port1);
  const data: EventLoopData = { settings, store: port2 };
  const module = threadModule("event-loop-thread");
  const worker = new Worker(module, { workerData: data, transferList: [port2] });
  const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  let connections = 0;
  let isStopping = false;
  let cause = new Error("an event loop ended");
  worker.on("error", (error: Error) => {
    cause = error;
  });

  return new Promise((ready, failed) => {
    let isReady = false;
    let silent = 0;
    const looking = setInterval(() => {
      if (!isReady || isStopping || ++silent <= MOST_SILENT_LOOKS) return;
      clearInterval(looking);
      lost(new Error("an event loop hangs"));
    }, LOOK_MS).unref();
    void ended.then(() => {
      clearInterval(looking);
      unshare();
      failed(cause);
      if (isReady && !isStopping) lost(cause);
    });
    worker.on("message", (report: EventLoopReport) => {
      silent = 0;
      if ("counts" in report) {
        ({ connections } = report);
        for (const [what, times] of report.counts) observer.count(what, times);
      } else {
        isReady = true;
        ready({
          port: report.listening,
          get connections() {
            return connections;
          },
          async stop() {
            isStopping = true;
            worker.postMessage("stop");
            await ended;
          },
        });
      }
    });
  });
}
