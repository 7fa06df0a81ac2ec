// Several event loops: threads that share one port and the store that this one has open.

import { randomUUID } from "node:crypto";
import { createServer } from "node:net";
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
  /** A loop ended though nobody asked it to, and its connections with it. */
  readonly lost: (error: Error) => void;
};

/** Starts so many event loops, and answers them as one. Rejects when one cannot start, and leaves none running then. */
export async function startEventLoops(
  loops: number,
  parts: EventLoopsParts,
  given: EventLoopSettings,
): Promise<EventLoop> {
  const { config } = given;
  await assertFree(config.listen.host, given.port);
  const share = (limit: number): number => Math.ceil(limit / loops);
  const { connections, verifying, memory } = config.limits;
  const limits = {
    ...config.limits,
    connections: share(connections),
    verifying: share(verifying),
    memory: share(memory),
  };
  const channel = `deaddrop ${randomUUID()}`;
  const settings = { ...given, config: { ...config, limits }, channel };

  // The first one finds the port, if any will do.
  const first = await startThread(parts, settings);
  const { port } = first;
  const started = await Promise.allSettled(
    Array.from({ length: loops - 1 }, () => startThread(parts, { ...settings, port })),
  );
  const all = [first];
  for (const one of started) if (one.status === "fulfilled") all.push(one.value);
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

// Sockets that share a port would share it with those of another relay too, and each would get some of the other's clients.
async function assertFree(host: string, port: number): Promise<void> {
  if (port === 0) return;
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, resolve);
  });
  await new Promise((resolve) => server.close(resolve));
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
    void ended.then(() => {
      unshare();
      failed(cause);
      if (isReady && !isStopping) lost(cause);
    });
    worker.on("message", (report: EventLoopReport) => {
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
