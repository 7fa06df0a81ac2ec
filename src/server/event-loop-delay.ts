import type { Observer } from "../relay/observer.ts";

// Twenty times a second: whatever holds the loop for longer is seen, and an idle relay stays idle.
const TICK_MS = 50;
// Less is the timer's own doing, or a turn that somebody was given; what it is would tell of requests.
const NOTICED_SECONDS = 0.01;

/** Measures how much later than asked for this thread's event loop gets to something, until the timer is cleared. */
export function measureDelay(observer: Observer): NodeJS.Timeout {
  let due = performance.now() + TICK_MS;
  return setInterval(() => {
    const now = performance.now();
    const late = (now - due) / 1_000;
    due = now + TICK_MS;
    observer.measure("event loop delay", late < NOTICED_SECONDS ? 0 : late);
  }, TICK_MS).unref();
}
