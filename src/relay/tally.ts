// What one thread counted and measured, in one array of numbers, so that counting takes no memory and the arrays of several threads can be added up.
//
// - What somebody who picks up moves, and nobody else, is counted in steps: each time it happens, with a chance of one in `step`, it counts for `step` times
//   as much. On average that is right; and since what was counted before does not matter, one pickup shows in one case of `step`, whatever
//   was done to the counter before by who watches it. A step of 1 counts everything as it is.
// - The others are exact.

import { randomInt } from "node:crypto";

import type { Counted, Measured, Observer } from "./observer.ts";
import { REFUSAL_CLASSES } from "./refusal-class.ts";

const EXACT: readonly Counted[] = [
  "drop stored",
  "drop known",
  "drop passed on",
  ...REFUSAL_CLASSES.map((of): Counted => `drop refused: ${of}`),
  "connection refused: too many in all",
  "connection refused: too many from its address",
  "connection refused: does not slow down",
  "connection refused: is blocked",
  "record damaged",
  "commit failed",
  "verification thread lost",
  "sweep",
];

const IN_STEPS: readonly Counted[] = [
  ...REFUSAL_CLASSES.map((of): Counted => `request refused: ${of}`),
  "pickup",
  "drop picked up",
  "drop delivered live",
  "acknowledgement: done",
  "acknowledgement: too many early",
  "acknowledgement: storage full",
  "acknowledgement: failed",
  "vanish: done",
  "vanish: storage full",
  "vanish: failed",
  "key authenticated",
  "connection opened",
  "connection cut off: does not read",
  "connection cut off: does not slow down",
  "connection cut off: has too much sent to it twice",
  "connection cut off: is blocked",
  // Whether a drop that somebody waits to see expire did, or was acknowledged before.
  "drop expired",
  "tombstone expired",
];

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The upper bounds of the buckets that what is measured is counted in. Past the last there is one more. */
export const BUCKETS: Readonly<Record<Measured, readonly number[]>> = {
  verification: SECONDS,
  commit: SECONDS,
  "commit drops": [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024],
  // What a single request holds the loop for stays below the first of them.
  "event loop delay": SECONDS.filter((bound) => bound >= 0.01),
};

const COUNTS = new Map([...EXACT, ...IN_STEPS].map((what, place) => [what, place]));
// Of each: one for every bucket, then the sum.
const MEASURES = new Map<Measured, number>();
let size = COUNTS.size;
for (const [what, bounds] of Object.entries(BUCKETS)) {
  MEASURES.set(what as Measured, size);
  size += bounds.length + 2;
}

// More than `randomInt` takes would be as good as never.
const MOST_STEP = 2 ** 47;

export class Tally implements Observer {
  readonly values: Float64Array = new Float64Array(size);
  readonly #step: number;
  readonly #random: (below: number) => number;

  /** `random` answers a whole number from 0 on. */
  constructor(step: number, random: (below: number) => number = randomInt) {
    this.#step = Math.min(step, MOST_STEP);
    this.#random = random;
  }

  count(what: Counted, times = 1): void {
    if (times === 0) return;
    const place = COUNTS.get(what) ?? 0;
    if (place < EXACT.length || this.#step === 1) this.#add(place, times);
    else if (this.#random(this.#step) === 0) this.#add(place, times * this.#step);
  }

  measure(what: Measured, value: number): void {
    const bounds = BUCKETS[what];
    const first = MEASURES.get(what) ?? 0;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket += 1;
    this.#add(first + bucket, 1);
    this.#add(first + bounds.length + 1, value);
  }

  #add(place: number, value: number): void {
    this.values[place] = (this.values[place] ?? 0) + value;
  }
}

/** The sum of what several threads counted. */
export class Tallies {
  readonly #sum = new Float64Array(size);

  constructor(tallies: Iterable<Float64Array>) {
    for (const values of tallies) {
      for (const [place, value] of values.entries()) {
        this.#sum[place] = (this.#sum[place] ?? 0) + value;
      }
    }
  }

  /** What happened at all, and how often. */
  get all(): Readonly<Partial<Record<Counted, number>>> {
    const met = [...COUNTS.keys()].filter((what) => this.counted(what) > 0);
    return Object.fromEntries(met.map((what) => [what, this.counted(what)]));
  }

  counted(what: Counted): number {
    return this.#sum[COUNTS.get(what) ?? -1] ?? 0;
  }

  /** How often each bucket was met, and the sum of all that was measured. */
  measured(what: Measured): { readonly times: readonly number[]; readonly sum: number } {
    const first = MEASURES.get(what) ?? 0;
    const last = first + BUCKETS[what].length + 1;
    return { times: [...this.#sum.subarray(first, last)], sum: this.#sum[last] ?? 0 };
  }
}
