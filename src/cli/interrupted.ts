import { isatty } from "node:tty";

import { FAILED } from "./failure.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
// npm passes on the SIGINT that a terminal has sent to all of its programs already.
const SAME_MS = 1_000;

type Signal = (typeof SIGNALS)[number];

/** The part of `process` that signals come through. */
export type Signalled = {
  on(signal: Signal, heard: () => void): unknown;
  exit(code: number): unknown;
};

/**
 * Aborted by the first signal that asks this process to end, so that it can finish what it has begun. What comes within a second of it is the same wish, said
 * twice; after that it is impatience, and ends the process at once. `now` in milliseconds, monotonic; `signals` are those that ask for it.
 */
export function interrupted(
  signalled: Signalled = process,
  now: () => number = monotonic,
  signals: readonly Signal[] = SIGNALS,
): AbortSignal {
  const controller = new AbortController();
  let firstAt: number | undefined;
  for (const signal of signals) {
    signalled.on(signal, () => {
      firstAt ??= now();
      controller.abort();
      if (now() - firstAt > SAME_MS) signalled.exit(FAILED);
    });
  }
  return controller.signal;
}

function monotonic(): number {
  return performance.now();
}

/** How a relay is asked to end, and to read its configuration again. */
export type Wishes = {
  readonly stopping: AbortSignal;
  /** Calls for each SIGHUP, also for one that came before. */
  readonly onReload: (asked: () => void) => void;
};

/**
 * What signals ask of a relay: SIGHUP reads its configuration again, as it does with other servers, and the rest end it. On a terminal SIGHUP says that the
 * terminal is gone, and ends it too, or a relay that somebody tried out would run on unseen.
 */
export function wishes(signalled: Signalled = process, isOnTerminal: boolean = isatty(0)): Wishes {
  if (isOnTerminal) return { stopping: interrupted(signalled), onReload: () => {} };
  let wasAsked = false;
  let heard = (): void => {
    wasAsked = true;
  };
  signalled.on("SIGHUP", () => heard());
  return {
    stopping: interrupted(signalled, monotonic, ["SIGINT", "SIGTERM"]),
    onReload(asked) {
      heard = asked;
      if (wasAsked) asked();
    },
  };
}
