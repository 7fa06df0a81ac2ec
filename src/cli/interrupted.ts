import { FAILED } from "./failure.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
// npm passes on the SIGINT that a terminal has sent to all of its programs already.
const SAME_MS = 1_000;

/** The part of `process` that signals come through. */
export type Signalled = {
  on(signal: (typeof SIGNALS)[number], heard: () => void): unknown;
  exit(code: number): unknown;
};

/**
 * Aborted by the first signal that asks this process to end, so that it can finish what it has begun. What comes within a second of it is the same wish, said
 * twice; after that it is impatience, and ends the process at once. `now` in milliseconds, monotonic.
 */
export function interrupted(
  signalled: Signalled = process,
  now: () => number = () => performance.now(),
): AbortSignal {
  const controller = new AbortController();
  let firstAt: number | undefined;
  for (const signal of SIGNALS) {
    signalled.on(signal, () => {
      firstAt ??= now();
      controller.abort();
      if (now() - firstAt > SAME_MS) signalled.exit(FAILED);
    });
  }
  return controller.signal;
}
