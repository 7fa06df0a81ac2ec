// Several event loops: threads that share one port and the store that this one has open.

import { MessageChannel, Worker } from "node:worker_threads";

import type { Observer } from "../relay/observer.ts";
import { shareStore } from "../store/remote.ts";
import type { Store } from "../store/store.ts";
import type { WorkerData, WorkerNews } from "../worker.ts";
import { type Front, type FrontSettings, type OnFailure, threadModule } from "./front.ts";

export type LoopsParts = {
  readonly store: Store;
  readonly observer: Observer;
  /** A loop ended though nobody asked it to, and its connections with it. */
  readonly lost: (error: Error) => void;
};

/** Starts so many event loops, and answers them as one. Rejects when one cannot start. */
export async function startLoops(
  loops: number,
  parts: LoopsParts,
  settings: FrontSettings,
  onFailure: OnFailure,
): Promise<Front> {
  // The first one finds the port, if any will do.
  const first = await startLoop(parts, { ...settings, sharesPort: true });
  onFailure(() => first.stop());
  const { port } = first;
  const others = await Promise.all(
    Array.from({ length: loops - 1 }, async () => {
      const other = await startLoop(parts, { ...settings, port, sharesPort: true });
      onFailure(() => other.stop());
      return other;
    }),
  );
  const all = [first, ...others];
  return {
    port,
    get connections() {
      return all.reduce((sum, { connections }) => sum + connections, 0);
    },
    async stop() {
      await Promise.all(all.map((loop) => loop.stop()));
    },
  };
}

function startLoop({ store, observer, lost }: LoopsParts, settings: FrontSettings): Promise<Front> {
  const { port1, port2 } = new MessageChannel();
  const unshare = shareStore(store, port1);
  const data: WorkerData = { settings, store: port2, watermark: store.watermark };
  const worker = new Worker(threadModule("worker"), { workerData: data, transferList: [port2] });
  const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  let connections = 0;
  let isStopping = false;
  let cause = new Error("an event loop ended");
  worker.on("error", (error: Error) => {
    cause = error;
  });

  return new Promise((ready, failed) => {
    void ended.then(() => {
      unshare();
      failed(cause);
      if (!isStopping) lost(cause);
    });
    worker.on("message", (news: WorkerNews) => {
      if ("counts" in news) {
        ({ connections } = news);
        for (const [what, times] of news.counts) observer.count(what, times);
      } else if ("listening" in news) {
        ready({
          port: news.listening,
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
