import { DELIVERY_COLUMNS, measureDelivery } from "./harness/delivery.ts";
import type { Scenario } from "./harness/scenario.ts";

const DROPS_PER_SECOND = 500;
const FEW = 500;
const MANY = 5_000;
const QUICK = 200;

export const scenario: Scenario = {
  name: "live",
  title: `Live delivery: ${DROPS_PER_SECOND} drops/s, each for one of the subscribers`,
  columns: DELIVERY_COLUMNS,
  target: "OK to the recipient's socket p50 ≤ 3 ms, p99 ≤ 15 ms with 5,000 subscribers",
  points: (quick) =>
    (quick ? [QUICK] : [FEW, MANY]).map((x) => ({
      label: `${x.toLocaleString("en-US")} subscribers`,
      x,
    })),
  peerPoints: [QUICK, FEW],
  note: "From the moment the generator read the sender's OK to the moment it read the event: below zero where the event was first.",
  peers: true,
  measure: (subject, run, { x }) =>
    measureDelivery(subject, run, { subscribers: x, perSecond: DROPS_PER_SECOND }),
};
