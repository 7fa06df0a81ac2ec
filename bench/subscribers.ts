import { DELIVERY_COLUMNS, measureDelivery } from "./harness/delivery.ts";
import type { Scenario } from "./harness/scenario.ts";

const DROPS_PER_SECOND = 500;

export const scenario: Scenario = {
  name: "subscribers",
  title: `Live delivery as subscribers grow, at ${DROPS_PER_SECOND} drops/s`,
  columns: DELIVERY_COLUMNS,
  target: "flat from 10² to 2·10⁴ subscribers",
  points: (quick) =>
    (quick ? [100] : [100, 1_000, 10_000, 20_000]).map((x) => ({
      label: x.toLocaleString("en-US"),
      x,
    })),
  plot: { x: "subscribers", y: ["serverMicros", "p50Ms", "p99Ms"], logX: true },
  peers: false,
  measure: (subject, run, { x }) =>
    measureDelivery(subject, run, { subscribers: x, perSecond: DROPS_PER_SECOND }),
};
