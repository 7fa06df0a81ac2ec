// Several event loops: threads that share one port and the store that this one has open.

import { randomInt, randomUUID } from "node:crypto";
import { createServer } from "node:net";
import { MessageChannel, Worker } from "node:worker_threads";

import type { Config } from "../config/schema.ts";
import { shareStore } from "../store/shared.ts";
import type { Store } from "../store/store.ts";
import type { Answered, Asked } from "../steering/steering.ts";
import { duplicated } from "./duplicated.ts";
import type { EventLoop, EventLoopLoad, EventLoopSettings } from "./event-loop.ts";
import type { EventLoopData, EventLoopOrder, EventLoopReport } from "./event-loop-thread.ts";
import type { Listening } from "./listen-at.ts";
import { Numbered } from "./numbered.ts";
import { threadModule } from "./threads.ts";

export type EventLoopsParts = {
  readonly store: Store;
  /** Takes all that a loop has counted so far, each time it says so. */
  readonly counted: (loop: object, tally: Float64Array) => void;
  /** A loop ended though nobody asked it to, and its connections with it; or it hangs. */
  readonly lost: (error: Error) => void;
  readonly steer: (asked: Asked) => Promise<Answered>;
};

// A loop says every second that it goes round (event-loop-thread.ts). One that was silent for so many seconds of this thread's hangs, and with it its connections.
const LOOK_MS = 1_000;
const MOST_SILENT_LOOKS = 10;

const FIRST_CHOSEN_PORT = 10_000;
// Linux gives away those from here on, other systems higher ones.
const FIRST_SYSTEM_PORT = 32_768;
const MOST_PORTS_TRIED = 100;

/** Starts so many event loops, and answers them as one. Rejects when one cannot start, and leaves none running then. */
export async function startEventLoops(
  loops: number,
  parts: EventLoopsParts,
  given: EventLoopSettings,
): Promise<EventLoop> {
  const wanted: Listening[] = [];
  for (const address of given.addresses) {
    wanted.push({ ...address, port: await portFor(address, given.config.transport) });
  }
  const channel = `deaddrop ${randomUUID()}`;
  const config = shareOf(given.config, loops);
  const settings = { ...given, config, channel };

  // The first one finds the ports, where any will do.
  const first = await startThread(parts, { ...settings, addresses: wanted });
  const started = await Promise.allSettled(
    Array.from({ length: loops - 1 }, async () => {
      const addresses = first.addresses.map((address, index) => ({
        ...address,
        ...another(wanted[index]?.descriptor),
      }));
      return startThread(parts, { ...settings, addresses });
    }),
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
    addresses: first.addresses,
    get load() {
      return all.map(({ load }) => load).reduce(together);
    },
    async apply(changed) {
      const share = shareOf(changed, loops);
      await Promise.all(all.map((loop) => loop.apply(share)));
    },
    stop,
  };
}

function together(one: EventLoopLoad, other: EventLoopLoad): EventLoopLoad {
  return {
    connections: one.connections + other.connections,
    verifying: one.verifying + other.verifying,
    verifiers: one.verifiers + other.verifiers,
    memoryBytes: one.memoryBytes + other.memoryBytes,
    slowReaders: one.slowReaders + other.slowReaders,
  };
}

const NOTHING_YET: EventLoopLoad = {
  connections: 0,
  verifying: 0,
  verifiers: 0,
  memoryBytes: 0,
  slowReaders: 0,
};

// What each of so many loops has of the limits of all.
function shareOf(config: Config, loops: number): Config {
  const share = (limit: number): number => Math.ceil(limit / loops);
  const { connections, verifying, memory } = config.limits;
  const limits = {
    ...config.limits,
    connections: share(connections),
    verifying: share(verifying),
    memory: share(memory),
  };
  return { ...config, limits };
}

// Sockets that share a port would share it with those of another relay too, and each would get some of the other's clients. Where any port will do (0), the first
// loop takes one that the system gives to nobody else. uWebSockets.js shares none of those, so for that one is chosen here, from below what the system gives away.
async function portFor(
  { host, port, descriptor }: Listening,
  transport: Config["transport"],
): Promise<number> {
  if (descriptor !== undefined) return port;
  if (port !== 0) {
    await assertFree(host, port);
    return port;
  }
  if (transport !== "uws") return 0;
  for (let tries = 0; ; tries += 1) {
    const chosen = randomInt(FIRST_CHOSEN_PORT, FIRST_SYSTEM_PORT);
    try {
      await assertFree(host, chosen);
      return chosen;
    } catch (error) {
      if (tries === MOST_PORTS_TRIED) throw error;
    }
  }
}

// An open socket is listened on by all loops: each closes its own descriptor of it, so each needs one.
function another(descriptor: number | undefined): { readonly descriptor?: number } {
  return descriptor === undefined ? {} : { descriptor: duplicated(descriptor) };
}

async function assertFree(host: string, port: number): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, resolve);
  });
  await new Promise((resolve) => server.close(resolve));
}

function startThread(
  { store, counted, lost, steer }: EventLoopsParts,
  settings: EventLoopSettings,
): Promise<EventLoop> {
  const { port1, port2 } = new MessageChannel();
  const unshare = shareStore(store, port1);
  const data: EventLoopData = { settings, store: port2 };
  const module = threadModule("event-loop-thread");
  const worker = new Worker(module, { workerData: data, transferList: [port2] });
  const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  const order = (message: EventLoopOrder): void => worker.postMessage(message);
  const applying = new Numbered<void>();
  let load = NOTHING_YET;
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
      if ("tally" in report) {
        ({ load } = report);
        counted(worker, report.tally);
      } else if ("taken" in report) {
        applying.close(report.taken, undefined);
      } else if ("asked" in report) {
        const { number, asked } = report;
        void steer(asked).then((answered) => order({ number, answered }));
      } else {
        isReady = true;
        ready({
          addresses: report.listening,
          get load() {
            return load;
          },
          apply(config) {
            const { number, answer } = applying.open();
            order({ number, inForce: config });
            return answer;
          },
          async stop() {
            isStopping = true;
            order("stop");
            await ended;
          },
        });
      }
    });
  });
}
