// A day in a second: timers and clocks are vitest's, and time goes from one timer to the next as soon as all that the last one set off is done.

import { setImmediate as turn } from "node:timers/promises";

import { onTestFinished, vi } from "vitest";

// What a timer sets off takes promises, and at most a message between ports or a stream; nothing that waits for a disk or a network.
const TURNS = 2;

export class VirtualTime {
  readonly #started: number;

  private constructor(now: number) {
    this.#started = now;
  }

  /** Begins at `now`, Unix seconds, and ends with the test, or whenever `atEnd` does it. */
  static from(now: number, atEnd: (clean: () => void) => void = onTestFinished): VirtualTime {
    const timeout = Object.getOwnPropertyDescriptor(AbortSignal, "timeout");
    vi.useFakeTimers({
      now: now * 1_000,
      toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"],
    });
    // It would go by the machine's clock.
    AbortSignal.timeout = (ms) => {
      const controller = new AbortController();
      const reason = new DOMException("The operation was aborted due to timeout", "TimeoutError");
      setTimeout(() => controller.abort(reason), ms);
      return controller.signal;
    };
    atEnd(() => {
      if (timeout !== undefined) Object.defineProperty(AbortSignal, "timeout", timeout);
      vi.useRealTimers();
    });
    return new VirtualTime(now);
  }

  /** Unix seconds. */
  readonly now = (): number => Math.floor(Date.now() / 1_000);

  /** Since it began, with fractions. */
  get seconds(): number {
    return Date.now() / 1_000 - this.#started;
  }

  /** How many timers are set. */
  get timers(): number {
    return vi.getTimerCount();
  }

  async passes(seconds: number): Promise<void> {
    const passed = new Promise<void>((resolve) => {
      setTimeout(resolve, seconds * 1_000);
    });
    await this.until(passed, seconds);
  }

  /** Passes until the promise is settled, and answers what it became. Throws when that takes longer than so many seconds. */
  async until<T>(promise: Promise<T>, seconds: number): Promise<T> {
    const state = { isSettled: false };
    const settled = (): void => void (state.isSettled = true);
    promise.then(settled, settled);
    const end = Date.now() + seconds * 1_000;
    for (await this.settles(); !state.isSettled; await this.settles()) {
      if (this.timers === 0) throw new Error("never settled: no timer is set");
      if (Date.now() > end) throw new Error(`not settled within ${seconds} s`);
      vi.advanceTimersToNextTimer();
    }
    return promise;
  }

  /** All that is under way without waiting for time comes to its end. */
  async settles(): Promise<void> {
    for (let turns = 0; turns < TURNS; turns++) await turn();
  }
}
