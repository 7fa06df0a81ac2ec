import type { Store, SweepCursor } from "../store/store.ts";
import type { Log, Observer } from "./observer.ts";
import type { Runtime } from "./runtime.ts";

export type SweeperParts = {
  readonly store: Store;
  readonly runtime: Runtime;
  readonly observer: Observer;
  readonly log: Log;
};

// A tombstone may outlive its drop by this much: no promise depends on when it goes.
const TOMBSTONE_SWEEP_SECONDS = 6 * 60 * 60;
// After each piece the sweep rests for so many times as long as that took: what others write goes on at three quarters of its rate.
const REST = 2;
const MOST_REST_MS = 100;

/**
 * Deletes what is past, a piece at a time, so that drops and pickups go on in between. What expired is not shown from that second on; this takes it
 * off the disk.
 */
export class Sweeper {
  readonly #parts: SweeperParts;
  readonly #timer: NodeJS.Timeout;
  #sweeping: Promise<void> | undefined;
  #tombstonesAt = -Infinity;
  #closed = false;
  #sweptAt: number;

  constructor(parts: SweeperParts, sweepSeconds: number) {
    this.#parts = parts;
    this.#sweptAt = parts.runtime.now();
    this.#timer = setInterval(() => this.#start(), sweepSeconds * 1_000);
    this.#start();
  }

  /** How long ago the last sweep began that came to the end of the drops, or this sweeper, seconds: what expired before that was looked at. */
  get age(): number {
    return Math.max(0, this.#parts.runtime.now() - this.#sweptAt);
  }

  /** Resolves when the piece that is being swept is done. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#sweeping;
  }

  #start(): void {
    // One at a time: a sweep that takes longer than the interval is simply gone on with.
    this.#sweeping ??= this.#sweep()
      .catch((error: unknown) => this.#parts.log.error({ err: error }, "sweep failed"))
      .finally(() => {
        this.#sweeping = undefined;
      });
  }

  async #sweep(): Promise<void> {
    const { runtime, observer } = this.#parts;
    const began = runtime.now();
    await this.#through("drops", (removed) => observer.count("drop expired", removed));
    if (!this.#closed) this.#sweptAt = began;
    if (runtime.monotonic() - this.#tombstonesAt >= TOMBSTONE_SWEEP_SECONDS) {
      this.#tombstonesAt = runtime.monotonic();
      await this.#through("tombstones", (removed) => observer.count("tombstone expired", removed));
    }
    if (!this.#closed) observer.count("sweep");
  }

  async #through(of: "drops" | "tombstones", removed: (count: number) => void): Promise<void> {
    const { store, runtime } = this.#parts;
    let cursor: SweepCursor | undefined;
    do {
      if (this.#closed) return;
      const began = runtime.monotonic();
      const swept = await store.sweep(of, runtime.now(), cursor);
      removed(swept.removed);
      cursor = swept.next;
      if (cursor !== undefined) await rest((runtime.monotonic() - began) * 1_000 * REST);
    } while (cursor !== undefined);
  }
}

function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.min(ms, MOST_REST_MS)));
}
