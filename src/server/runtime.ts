import { randomBytes } from "node:crypto";

import type { Runtime } from "../relay/runtime.ts";

/** The machine's clocks and random numbers. */
export const systemRuntime: Runtime = {
  now: () => Math.floor(Date.now() / 1_000),
  monotonic: () => performance.now() / 1_000,
  randomHex: (bytes) => randomBytes(bytes).toString("hex"),
};
