// The one clock by which the store deletes (see belief.ts). Whatever time a caller names, nothing is past that this clock does not believe to be past:
//
//   what `now` decides                                   a clock that is ahead                     a clock that is behind
//   sweeping drops and tombstones, room in a full box    deletes up to the last sweep, no further  deletes nothing new
//   the end of a grace                                   hides the drop, deletes it later          keeps it longer
//   whether a request to vanish is too old to matter     carries it out                            carries it out
//   how long an early tombstone lives                    longer                                    as if it were the time of the last sweep
//   up to when an old retention applies                  longer                                    as if it were the time of the last sweep
//   when an old retention is forgotten                   later                                     later
//   whether a drop has expired, when it comes            refuses it                                refuses what had expired at the last sweep
//
// The last row because its tombstone may be gone.

import { beliefAfter, type Belief, beliefAtStart, type Doubt, JUMP_SECONDS } from "./belief.ts";
import { numberIn, type Tables } from "./tables.ts";

/** The machine's clocks. */
export type Clock = {
  /** Unix seconds, whole. */
  now(): number;
  /** Seconds since whenever, never set back. */
  monotonic(): number;
};

// Name in `meta` of the time up to which was swept, Unix seconds.
const LAST_SWEEP = "swept";

export class StoreClock {
  readonly #clock: Clock;
  readonly #tables: Tables;
  readonly #lastSweep: BigInt64Array;
  #belief: Belief;

  /** `lastSweep`, 8 bytes, is where other threads see the time of the last sweep. */
  constructor(
    clock: Clock,
    tables: Tables,
    retentionSeconds: number,
    lastSweep: SharedArrayBuffer,
  ) {
    this.#clock = clock;
    this.#tables = tables;
    this.#lastSweep = new BigInt64Array(lastSweep);
    this.#publish(this.#stored());
    const reading = { wall: clock.now(), monotonic: clock.monotonic() };
    this.#belief = beliefAtStart(reading, this.lastSweep, retentionSeconds);
  }

  /** The time up to which was swept; 0 if nothing ever was. */
  get lastSweep(): number {
    return Number(Atomics.load(this.#lastSweep, 0));
  }

  /** Why the clock is not believed now, undefined if it is. */
  get doubt(): Doubt | undefined {
    const wall = this.#read();
    if (this.#belief.doubt !== undefined) return this.#belief.doubt;
    return wall < this.lastSweep - JUMP_SECONDS ? "behind" : undefined;
  }

  /** What may be deleted when it is said to be `now`: all up to the second that is answered. */
  past(now: number): number {
    const wall = this.#read();
    return Math.min(now, this.#belief.doubt === undefined ? wall : this.lastSweep);
  }

  /** The same for whoever deletes it, in a transaction with which is remembered how far that went. */
  sweeping(now: number): number {
    const past = this.past(now);
    // Asked of the table: a transaction that came to nothing took it back.
    if (past > this.#stored()) this.#remember(past);
    return past;
  }

  /** The time from which on something must be remembered: a clock that was set back must not shorten it. */
  latest(now: number): number {
    return Math.max(now, this.lastSweep);
  }

  /** Somebody who knows says that the clock is right. Inside a transaction. */
  confirm(): void {
    const wall = this.#clock.now();
    const monotonic = this.#clock.monotonic();
    this.#belief = { apart: wall - monotonic, since: monotonic, doubt: undefined };
    this.#remember(wall);
  }

  #read(): number {
    const wall = this.#clock.now();
    this.#belief = beliefAfter(this.#belief, { wall, monotonic: this.#clock.monotonic() });
    return wall;
  }

  #stored(): number {
    return numberIn(this.#tables, LAST_SWEEP) ?? 0;
  }

  #remember(time: number): void {
    this.#tables.meta.putSync(LAST_SWEEP, String(time));
    this.#publish(time);
  }

  #publish(time: number): void {
    Atomics.store(this.#lastSweep, 0, BigInt(time));
  }
}
