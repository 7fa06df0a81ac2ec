import { setTimeout as sleep } from "node:timers/promises";

import { now, stranger } from "./harness/events.ts";
import { fillExpiring } from "./harness/filled.ts";
import { connectAll, giftWraps, percentile, publish, type Published } from "./harness/load.ts";
import type { Scenario } from "./harness/scenario.ts";
import { Wire } from "./harness/wire.ts";
import { freePort, HOST } from "./peers/server.ts";

/** The first drops expire while nothing else happens, as many more under load. Seconds from the start of filling, and from there. */
const FULL = { drops: 100_000, boxes: 1_000, firstIn: 35, secondIn: 45, events: 90_000 };
const QUICK = { drops: 10_000, boxes: 100, firstIn: 3, secondIn: 7, events: 4_500 };
const BEFORE_MS = 3_000;
const QUICK_BEFORE_MS = 300;
/** So much of the events goes to the warm-up at most. */
const WARM_UP_SHARE = 1 / 4;
const SENDERS = 64;
const PING_MS = 1;
const POLL_MS = 100;
const SOON_MS = 10;
const WINDOW_MS = 250;
const QUICK_WINDOW_MS = 50;

export const scenario: Scenario = {
  name: "sweep",
  title: "Deleting 100,000 drops that expired in the same second",
  columns: [
    { key: "heldMs", head: "longest ping during it, ms", digits: 1, better: "lower" },
    { key: "pingP99Ms", head: "p99, ms", digits: 1, better: "lower" },
    { key: "beforeHeldMs", head: "longest before, ms", digits: 1, better: "context" },
    { key: "rateShare", head: "drops/s during one, % of before", digits: 0, better: "higher" },
    { key: "rateBefore", head: "drops/s before", digits: 0, better: "context" },
    { key: "loadedHeldMs", head: "longest ping under both, ms", digits: 1, better: "context" },
    { key: "loadedBeforeMs", head: "under drops alone, ms", digits: 1, better: "context" },
    { key: "sweepMs", head: "it took, ms", digits: 0, better: "context" },
    { key: "loadedSweepMs", head: "under drops, ms", digits: 0, better: "context" },
  ],
  target: "the event loop never held over 20 ms; drops go on at ≥ 70 % of their rate",
  note: "A WebSocket ping every ms, which the relay's event loop answers. Two sweeps: one while nothing else happens, and one while 64 connections publish.",
  peers: false,
  async measure(subject, run) {
    const { drops, boxes, firstIn, secondIn, events: count } = run.quick ? QUICK : FULL;
    const events = giftWraps(count, stranger);
    const first = now() + firstIn;
    const second = first + secondIn;
    const folder = run.folder();
    await fillExpiring(
      folder,
      [
        { drops, at: first },
        { drops, at: second },
      ],
      boxes,
    );
    const metrics = `${HOST}:${await freePort()}`;
    const relay = await subject.start(folder, {
      DEADDROP_SWEEP_SECONDS: "1",
      DEADDROP_METRICS: metrics,
      // As it is, and at once; an earlier relay knows nothing else.
      ...(subject.isEarlier !== true && { DEADDROP_METRICS_STEP: "1" }),
    });
    const expired = () => expiredAt(`http://${metrics}/metrics`);
    const wires = await connectAll(relay.url, SENDERS);
    const pinger = await Wire.connect(relay.url);
    const beforeMs = run.quick ? QUICK_BEFORE_MS : BEFORE_MS;
    let next = 0;
    const load = async (ms: number, most = events.length): Promise<Window> => {
      const some = events.slice(next, next + most);
      if (some.length === 0) return undefined;
      const sent = await publish(wires, some, 1, relay.pid, ms);
      if (sent.refusal !== undefined) throw new Error(sent.refusal);
      next += sent.answered;
      return sent;
    };
    // Until all but the sweep was done as often as it takes to be compiled.
    await load(beforeMs, count * WARM_UP_SHARE);
    await expired();
    checkTime(first - beforeMs / 1_000, "filling");

    // Nothing but pings: before, and during the first sweep.
    let pings = ping(pinger);
    while (msUntil(first) > 0) {
      await expired();
      await sleep(Math.min(POLL_MS, Math.max(0, msUntil(first))));
    }
    const before = pings();
    pings = ping(pinger);
    const sweepMs = await until(expired, drops, POLL_MS);
    const during = pings();
    checkTime(second - (2 * beforeMs) / 1_000, "the first sweep");

    // The same with drops.
    pings = ping(pinger);
    const windowMs = run.quick ? QUICK_WINDOW_MS : WINDOW_MS;
    const unswept: Window[] = [];
    // Half of what is left is for the second sweep.
    const most = (events.length - next) / 2 / Math.ceil(beforeMs / windowMs);
    for (let passed = 0; passed < beforeMs; passed += windowMs) {
      unswept.push(await load(windowMs, most));
    }
    const loadedBefore = pings();
    await sleep(msUntil(second));
    while ((await expired()) === drops) await sleep(SOON_MS);
    const began = performance.now();
    pings = ping(pinger);
    const swept: Window[] = [];
    while ((await expired()) < 2 * drops) {
      const sent = await load(windowMs);
      // Without events left it only waits for the end.
      if (sent === undefined) await sleep(SOON_MS);
      swept.push(sent);
    }
    const loadedSweepMs = performance.now() - began;
    const loadedDuring = pings();
    // In the last one the sweep ended.
    const rateDuring = rate(swept.slice(0, Math.max(1, swept.length - 1)));
    const rateBefore = rate(unswept);

    await Promise.all([pinger, ...wires].map((wire) => wire.close()));
    await relay.stop();
    return {
      heldMs: during.at(-1) ?? Number.NaN,
      pingP99Ms: percentile(during, 0.99),
      beforeHeldMs: before.at(-1) ?? Number.NaN,
      rateShare: (rateDuring / rateBefore) * 100,
      rateBefore,
      loadedHeldMs: loadedDuring.at(-1) ?? Number.NaN,
      loadedBeforeMs: loadedBefore.at(-1) ?? Number.NaN,
      sweepMs,
      loadedSweepMs,
    };
  },
};

/** What was published in a short time; nothing when no events were left. */
type Window = Published | undefined;

function rate(windows: readonly Window[]): number {
  let answered = 0;
  let seconds = 0;
  for (const window of windows) {
    if (window === undefined) continue;
    answered += window.answered;
    seconds += window.answered / window.perSecond;
  }
  return answered / seconds;
}

const msUntil = (second: number): number => second * 1_000 - Date.now();

function checkTime(second: number, what: string): void {
  if (msUntil(second) < 0) throw new Error(`${what} took too long: the drops expire meanwhile`);
}

/** Pings from now on. Ends with how long each pong took, in ascending order, in ms. */
function ping(wire: Wire): () => number[] {
  const sentAt: number[] = [];
  const took: number[] = [];
  wire.onPong = () => {
    const at = sentAt[took.length];
    if (at !== undefined) took.push(performance.now() - at);
  };
  const ticks = setInterval(() => {
    sentAt.push(performance.now());
    wire.ping();
  }, PING_MS);
  return () => {
    clearInterval(ticks);
    wire.onPong = () => {};
    return took.toSorted((a, b) => a - b);
  };
}

/** How many ms pass until so many are reached, from when the first was. */
async function until(
  expired: () => Promise<number>,
  drops: number,
  pollMs: number,
): Promise<number> {
  let began = performance.now();
  for (;;) {
    const count = await expired();
    if (count >= drops) return performance.now() - began;
    if (count === 0) began = performance.now();
    await sleep(pollMs);
  }
}

async function expiredAt(url: string): Promise<number> {
  const text = await (await fetch(url)).text();
  return Number(
    /(?:what="drop expired"}|^deaddrop_drops_expired_total) (\d+)/m.exec(text)?.[1] ?? 0,
  );
}
