import { DROP_COLUMNS, DURABILITY, measureDrops } from "./harness/drops.ts";
import type { Scenario } from "./harness/scenario.ts";

export const scenario: Scenario = {
  name: "drops-one-connection",
  title: "Drops, verified and durable: one connection, 64 in flight",
  columns: DROP_COLUMNS,
  target: "at least 2× the OK/s of the fastest peer",
  note: DURABILITY,
  peers: true,
  measure: (subject, run) => measureDrops(subject, run, { connections: 1, inFlight: 64 }),
};
