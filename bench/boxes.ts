import { boxOf, fill } from "./harness/filled.ts";
import { connectAll, giftWraps, publish } from "./harness/load.ts";
import type { Scenario } from "./harness/scenario.ts";

const FULL = { held: 1_000_000, warmUp: 5_000, drops: 20_000 };
const QUICK = { held: 10_000, warmUp: 500, drops: 1_000 };
const SENDERS = 64;
/** One box may hold it all here. */
const NO_QUOTA = {
  DEADDROP_LIMITS_BOX_DROPS: "1000000000",
  DEADDROP_LIMITS_BOX_BYTES: "1024GiB",
};

export const scenario: Scenario = {
  name: "boxes",
  title: "A drop as boxes grow in number, with as many drops held in all",
  columns: [
    { key: "serverMicros", head: "server CPU, µs per drop", digits: 1, better: "lower" },
    { key: "p50Ms", head: "p50, ms", digits: 2, better: "lower" },
    { key: "p99Ms", head: "p99, ms", digits: 2, better: "lower" },
    { key: "perSecond", head: "drops/s", digits: 0, better: "higher" },
    { key: "held", head: "held", digits: 0, better: "context" },
  ],
  target: "flat or logarithmic from 1 to 10⁶ boxes",
  points: (quick) =>
    (quick ? [1, 10_000] : [1, 1_000, 1_000_000]).map((x) => ({
      label: x.toLocaleString("en-US"),
      x,
    })),
  plot: { x: "boxes", y: ["serverMicros", "p50Ms"], logX: true },
  note: `${SENDERS} connections, one in flight on each, each drop for any of the boxes. The quota of a box is lifted.`,
  peers: false,
  async measure(subject, run, { x: boxes }) {
    const { held, warmUp, drops } = run.quick ? QUICK : FULL;
    const folder = run.folder();
    await fill(folder, { held, boxes });
    const events = giftWraps(warmUp + drops, () => boxOf(Math.floor(Math.random() * boxes)));
    const relay = await subject.start(folder, NO_QUOTA);
    const wires = await connectAll(relay.url, SENDERS);
    await publish(wires, events.slice(0, warmUp), 1, relay.pid);
    const { refusal, serverMicros, p50Ms, p99Ms, perSecond } = await publish(
      wires,
      events.slice(warmUp),
      1,
      relay.pid,
    );
    if (refusal !== undefined) throw new Error(refusal);
    await Promise.all(wires.map((wire) => wire.close()));
    await relay.stop();
    return { serverMicros, p50Ms, p99Ms, perSecond, held };
  },
};
