import { boxOf, fill, owner } from "./harness/filled.ts";
import { connectAll, giftWraps, percentile, publish } from "./harness/load.ts";
import { cpuMs } from "./harness/process.ts";
import type { Scenario } from "./harness/scenario.ts";
import { pickup, signInAll } from "./harness/session.ts";

const BOX_DROPS = 20;
const DROPS_A_BOX = 100;
const SENDERS = 64;
const FULL = { boxes: 200, rounds: 5, warmUp: 4_000, drops: 10_000 };
const QUICK = { boxes: 50, rounds: 2, warmUp: 500, drops: 1_000 };

export const scenario: Scenario = {
  name: "held",
  title: `A pickup of a box of ${BOX_DROPS}, one after the other, and a drop, as the relay holds more`,
  columns: [
    { key: "pickupMicros", head: "server CPU, µs per pickup", digits: 0, better: "lower" },
    { key: "pickupMs", head: "pickup p50, ms", digits: 2, better: "lower" },
    { key: "pickupP99Ms", head: "p99, ms", digits: 2, better: "lower" },
    { key: "dropMicros", head: "server CPU, µs per drop", digits: 1, better: "lower" },
    { key: "dropMs", head: "drop p50, ms", digits: 2, better: "lower" },
    { key: "dropP99Ms", head: "p99, ms", digits: 2, better: "lower" },
    { key: "dropsPerSecond", head: "drops/s", digits: 0, better: "higher" },
  ],
  target: "cost independent of how much the relay holds, at 10⁴, 10⁵ and 10⁶",
  points: (quick) =>
    (quick ? [10_000] : [10_000, 100_000, 1_000_000]).map((x) => ({
      label: x.toLocaleString("en-US"),
      x,
    })),
  plot: { x: "drops held", y: ["pickupMicros", "dropMicros"], logX: true },
  note: `Drops: ${SENDERS} connections, one in flight on each, for boxes that hold ${DROPS_A_BOX}. The boxes picked up lie scattered among all that is held.`,
  peers: false,
  async measure(subject, run, { x: held }) {
    const { boxes, rounds, warmUp, drops } = run.quick ? QUICK : FULL;
    const others = held - boxes * BOX_DROPS;
    const strangers = Math.round(others / DROPS_A_BOX);
    const folder = run.folder();
    await fill(folder, {
      held: others,
      boxes: strangers,
      owned: { boxes, drops: BOX_DROPS },
    });
    const events = giftWraps(warmUp + drops, () => boxOf(Math.floor(Math.random() * strangers)));
    const relay = await subject.start(folder);

    const owners = Array.from({ length: boxes }, (_, at) => owner(at));
    const sessions = await signInAll(subject, relay.url, owners);
    const pickups = sessions.map((session) => pickup(session, subject));
    // The first round is the warm-up.
    const pickupMs = new Float64Array(boxes * rounds);
    let serverBefore = 0;
    for (let round = 0; round <= rounds; round += 1) {
      if (round === 1) serverBefore = cpuMs(relay.pid);
      for (const [at, pickUp] of pickups.entries()) {
        const began = performance.now();
        const picked = await pickUp();
        if (picked !== BOX_DROPS) throw new Error(`${picked} drops in a box of ${BOX_DROPS}`);
        if (round > 0) pickupMs[(round - 1) * boxes + at] = performance.now() - began;
      }
    }
    const server = cpuMs(relay.pid) - serverBefore;
    pickupMs.sort();

    const wires = await connectAll(relay.url, SENDERS);
    await publish(wires, events.slice(0, warmUp), 1, relay.pid);
    const published = await publish(wires, events.slice(warmUp), 1, relay.pid);
    if (published.refusal !== undefined) throw new Error(published.refusal);
    await Promise.all([...wires, ...sessions.map(({ wire }) => wire)].map((wire) => wire.close()));
    await relay.stop();
    return {
      pickupMicros: (server * 1_000) / pickupMs.length,
      pickupMs: percentile(pickupMs, 0.5),
      pickupP99Ms: percentile(pickupMs, 0.99),
      dropMicros: published.serverMicros,
      dropMs: published.p50Ms,
      dropP99Ms: published.p99Ms,
      dropsPerSecond: published.perSecond,
    };
  },
};
