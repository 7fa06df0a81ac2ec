import { DROP_COLUMNS, DURABILITY, measureDrops } from "./harness/drops.ts";
import type { Scenario } from "./harness/scenario.ts";

export const scenario: Scenario = {
  name: "drops-saturated",
  title: "Drops, as fast as the relay can: 64 connections, 16 in flight on each",
  columns: DROP_COLUMNS,
  note: DURABILITY,
  peers: true,
  measure: (subject, run) => measureDrops(subject, run, { connections: 64, inFlight: 16 }),
};
