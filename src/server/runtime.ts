import { randomBytes } from "node:crypto";

import type { Runtime } from "../relay/runtime.ts";
import { lastSweep, type SharedState } from "../store/shared-state.ts";

/** The machine's clocks and random numbers. */
export const systemRuntime: Runtime = {
  now: () => Math.floor(Date.now() / 1_000),
  monotonic: () => performance.now() / 1_000,
  randomHex: (bytes) => randomBytes(bytes).toString("hex"),
};

/** Unix seconds, and never before the last sweep of the store: what had expired then stays expired when the clock is set back. */
export function nowOrSwept(shared: Pick<SharedState, "lastSweep">): number {
  return Math.max(systemRuntime.now(), lastSweep(shared));
}
