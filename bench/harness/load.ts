// Publishing as fast as a relay answers, and reading what it sends.

import { giftWrap, type Size } from "./events.ts";
import { cpuMs } from "./process.ts";
import { frame, type Wire, Wire as Connection } from "./wire.ts";

export type Published = {
  readonly perSecond: number;
  /** Server, over all threads, and generator, per event. */
  readonly serverMicros: number;
  readonly generatorMicros: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly refused: number;
  /** What the relay said to the first it refused. */
  readonly refusal: string | undefined;
  /** Events that were answered: all, unless the time was up before. */
  readonly answered: number;
};

/** How long the last answers may take before the relay counts as stuck. */
const STUCK_MS = 60_000;
const OK_HEAD = '["OK","'.length;
const ID_DIGITS = 64;
const T = "t".charCodeAt(0);

/** The id an event frame was made of, with the frame: what an answer is recognised by. */
export type Prepared = { readonly id: string; readonly frame: Buffer };

/** Signed gift wraps, each for who `to` says by its number. */
export function giftWraps(count: number, to: (number: number) => string, size?: Size): Prepared[] {
  return Array.from({ length: count }, (_, number) => {
    const event = giftWrap(to(number), size);
    return { id: event.id, frame: frame(JSON.stringify(["EVENT", event])) };
  });
}

/**
 * Sends every event over `wires` in turn, `inFlight` at a time on each, and waits for each OK. After `limitMs` it sends no more, so that a slow relay
 * is measured on what it did in that time.
 */
export async function publish(
  wires: readonly Wire[],
  events: readonly Prepared[],
  inFlight: number,
  pid: number,
  limitMs = Number.POSITIVE_INFINITY,
): Promise<Published> {
  const sentAt = new Map<string, number>();
  const latencies = new Float64Array(events.length);
  let next = 0;
  let answered = 0;
  let refused = 0;
  let refusal: string | undefined;
  const serverBefore = cpuMs(pid);
  const generatorBefore = process.cpuUsage();
  const began = performance.now();
  await new Promise<void>((resolve, reject) => {
    let before = -1;
    const watch = setInterval(() => {
      if (answered === before) {
        clearInterval(watch);
        reject(new Error(`${sentAt.size} events were never answered`));
      }
      before = answered;
    }, STUCK_MS);
    const done = (): void => {
      clearInterval(watch);
      resolve();
    };
    for (const wire of wires) {
      const send = (): void => {
        const at = performance.now();
        if (next >= events.length || at - began > limitMs) return;
        const event = events[next++];
        if (event === undefined) return;
        sentAt.set(event.id, at);
        wire.send(event.frame);
      };
      wire.onMessage = (buffer, start, end) => {
        if (buffer[start + 2] !== 0x4f) return;
        const id = buffer.toString("latin1", start + OK_HEAD, start + OK_HEAD + ID_DIGITS);
        const at = sentAt.get(id);
        if (at === undefined) return;
        sentAt.delete(id);
        latencies[answered] = performance.now() - at;
        answered += 1;
        if (buffer[start + OK_HEAD + ID_DIGITS + 2] !== T) {
          refused += 1;
          refusal ??= buffer.toString("utf8", start, end);
        }
        send();
        if (sentAt.size === 0) done();
      };
      wire.cork();
      for (let sent = 0; sent < inFlight; sent += 1) send();
      wire.uncork();
    }
  });
  const ms = performance.now() - began;
  const server = cpuMs(pid) - serverBefore;
  const generator = process.cpuUsage(generatorBefore);
  const sorted = latencies.subarray(0, answered).sort();
  return {
    perSecond: (answered / ms) * 1_000,
    serverMicros: (server * 1_000) / answered,
    generatorMicros: (generator.user + generator.system) / answered,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    refused,
    refusal,
    answered,
  };
}

/** Of numbers in ascending order. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
}

/** From `address` where one is given. */
export function connectAll(url: string, count: number, address?: string): Promise<Wire[]> {
  const connect = (): Promise<Wire> => Connection.connect(url, undefined, address);
  return Promise.all(Array.from({ length: count }, connect));
}
