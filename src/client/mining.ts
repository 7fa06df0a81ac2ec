// Proof of work (NIP-13), off the main thread: a worker looks for the nonce, and the page or the process goes on.

import type { NostrEvent } from "../nostr/event.ts";
import { writeEvent } from "../nostr/event.ts";
import type { MiningJob, MiningNews } from "./mining-worker.ts";
import type { EventTemplate, Signer } from "./signer.ts";
import type { UnsignedWrap } from "./wrap.ts";

export type MiningOptions = {
  readonly signal?: AbortSignal | undefined;
  /** Told now and then how many nonces were tried. */
  readonly progress?: ((tried: number) => void) | undefined;
};

/** Finds the nonce for which `head + nonce + tail` has a hash with so many leading zero bits. Rejects when it is aborted or cannot go on. */
export type Miner = (job: MiningJob, options: MiningOptions) => Promise<string>;

/** Signs a wrap, after finding an id with `bits` leading zero bits when there are any to find. */
export async function signed(
  { template, signer }: UnsignedWrap,
  bits: number,
  miner: Miner,
  options: MiningOptions,
): Promise<NostrEvent> {
  if (bits === 0) return signer.sign(template);
  const nonce = await miner(jobOf(template, signer, bits), options);
  return signer.sign(withNonce(template, nonce, bits));
}

function withNonce(template: EventTemplate, nonce: string, bits: number): EventTemplate {
  return { ...template, tags: [...template.tags, ["nonce", nonce, String(bits)]] };
}

// No nonce has this character, and nothing in a wrap's tags, which come before the nonce.
const MARK = "?";

function jobOf(template: EventTemplate, { key }: Signer, bits: number): MiningJob {
  const unsigned = { ...withNonce(template, MARK, bits), pubkey: key, id: "", sig: "" };
  const [head = "", ...tail] = writeEvent(unsigned).preimage.split(MARK);
  return { head, tail: tail.join(MARK), bits };
}

/** The miner of browsers and of Node: one worker for each job. */
export const workerMiner: Miner = async (job, { signal, progress }) => {
  signal?.throwIfAborted();
  const worker = startWorker();
  let aborted: (() => void) | undefined;
  return new Promise<string>((resolve, reject) => {
    aborted = () => reject(signal?.reason as Error);
    signal?.addEventListener("abort", aborted);
    worker.listen(
      (news) => {
        if ("nonce" in news) resolve(news.nonce);
        else progress?.(news.tried);
      },
      (error) => reject(error),
    );
    worker.tell(job);
  }).finally(() => {
    if (aborted !== undefined) signal?.removeEventListener("abort", aborted);
    worker.end();
  });
};

type MiningWorker = {
  listen(heard: (news: MiningNews) => void, failed: (error: Error) => void): void;
  tell(job: MiningJob): void;
  end(): void;
};

// What is used of node:worker_threads. Named here because the library compiles without Node's types.
type WorkerThreads = {
  readonly Worker: new (module: URL) => {
    on(event: "message", heard: (news: MiningNews) => void): void;
    on(event: "error", failed: (error: Error) => void): void;
    postMessage(job: MiningJob): void;
    terminate(): unknown;
  };
};

// The browser's own. Named here because the relay, which is compiled with the library, has no browser's types.
declare const Worker: new (
  module: URL,
  options: { type: "module" },
) => {
  addEventListener(event: "message", heard: (message: { data: unknown }) => void): void;
  addEventListener(event: "error", failed: (error: { message: string }) => void): void;
  postMessage(job: MiningJob): void;
  terminate(): void;
};

function startWorker(): MiningWorker {
  const threads = builtin("node:worker_threads") as WorkerThreads | undefined;
  if (threads !== undefined) {
    // The sources run as they are; what was built has the other ending.
    const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const name = `mining-worker.${ending}`;
    const worker = new threads.Worker(new URL(name, import.meta.url));
    return {
      listen(heard, failed) {
        worker.on("message", heard);
        worker.on("error", failed);
      },
      tell: (job) => worker.postMessage(job),
      end: () => void worker.terminate(),
    };
  }
  // Written out like this so that bundlers see it.
  const worker = new Worker(new URL("./mining-worker.js", import.meta.url), { type: "module" });
  return {
    listen(heard, failed) {
      worker.addEventListener("message", ({ data }) => heard(data as MiningNews));
      worker.addEventListener("error", ({ message }) => failed(new Error(message)));
    },
    tell: (job) => worker.postMessage(job),
    end: () => worker.terminate(),
  };
}

/** One of Node's own modules, without an import that a browser or a bundler would stumble over; undefined where there is no Node. */
export function builtin(name: string): unknown {
  const { process } = globalThis as {
    process?: { getBuiltinModule?: (name: string) => unknown };
  };
  return process?.getBuiltinModule?.(name);
}
