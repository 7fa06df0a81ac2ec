// What the worker of `mining.ts` runs, in browsers and in Node.

import { sha256 } from "@noble/hashes/sha2.js";

/** Looks for a nonce between the two. */
export type MiningJob = { readonly head: string; readonly tail: string; readonly bits: number };

export type MiningNews = { readonly nonce: string } | { readonly tried: number };

const REPORT_AFTER = 50_000;

type Port = {
  postMessage(news: MiningNews): void;
  on?(event: "message", heard: (job: MiningJob) => void): void;
  addEventListener?(event: "message", heard: (message: { data: MiningJob }) => void): void;
};

// Node gives its port by name, a browser is it.
const { process } = globalThis as {
  process?: { getBuiltinModule?: (name: string) => unknown };
};
const threads = process?.getBuiltinModule?.("node:worker_threads") as
  | { parentPort: Port | null }
  | undefined;
const port: Port = threads?.parentPort ?? (globalThis as unknown as Port);
if (port.on !== undefined) port.on("message", (job) => mine(job));
else port.addEventListener?.("message", ({ data }) => mine(data));

function mine({ head, tail, bits }: MiningJob): void {
  const encoder = new TextEncoder();
  // What comes before the nonce is hashed once.
  const begun = sha256.create().update(encoder.encode(head));
  const end = encoder.encode(tail);
  for (let tried = 0; ; tried++) {
    const nonce = String(tried);
    const hash = begun.clone().update(encoder.encode(nonce)).update(end).digest();
    if (hasZeroBits(hash, bits)) {
      port.postMessage({ nonce });
      return;
    }
    if (tried % REPORT_AFTER === REPORT_AFTER - 1) port.postMessage({ tried: tried + 1 });
  }
}

function hasZeroBits(hash: Uint8Array, bits: number): boolean {
  const whole = bits >> 3;
  for (let index = 0; index < whole; index++) if (hash[index] !== 0) return false;
  const rest = bits & 7;
  return rest === 0 || (hash[whole] ?? 0) >> (8 - rest) === 0;
}
