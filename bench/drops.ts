import { DROP_COLUMNS, DURABILITY, measureDrops } from "./harness/drops.ts";
import type { Scenario } from "./harness/scenario.ts";

export const scenario: Scenario = {
  name: "drops",
  title: "Drops, verified and durable: 64 connections, one in flight on each",
  columns: DROP_COLUMNS,
  target:
    "at least 2× the OK/s of the fastest peer; server CPU ≤ 100 µs per event with 1,000,000 drops held; p99 at most half of that peer's",
  points: (quick) => [
    { label: "nothing held", x: 0 },
    ...(quick ? [] : [{ label: "1,000,000 held", x: 1_000_000 }]),
  ],
  // To fill a peer with as many takes it up to an hour.
  peerPoints: [0],
  note: DURABILITY,
  peers: true,
  measure: (subject, run, point) =>
    measureDrops(subject, run, { connections: 64, inFlight: 1, held: point.x }),
};
