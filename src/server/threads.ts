import { availableParallelism } from "node:os";

import type { Config } from "../config/schema.ts";

/** The threads that check signatures for one event loop. */
export function verifiersEach({ workers, verifiers }: Config): number {
  return Math.max(1, Math.floor((verifiers || availableParallelism()) / workers));
}

/** The module that a thread runs. The sources run as they are in development; what was built has the other ending. */
export function threadModule(name: "event-loop-thread" | "verification-thread"): URL {
  const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return new URL(`./${name}.${ending}`, import.meta.url);
}
