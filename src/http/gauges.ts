// What is read when the metrics are asked for, and how exactly it is shown.
//
// What moves with a single pickup or acknowledgement is not shown as it is: it is read once a minute, or once an hour where an acknowledgement moves it by as
// much as it names drops, and rounded to one of the two multiples of the step next to it, the nearer one the likelier. The dice are thrown
// anew each time, so that nobody can bring a figure to where one more makes the difference.

import { randomInt } from "node:crypto";

import { type Labels, simple } from "./exposition.ts";

/** How it is rounded: not at all, to steps of so many things, to MiB, down to whole hours, or down to whole seconds. */
type Rounding = "exact" | "things" | "bytes" | "hours" | "seconds";

export type Gauge = {
  readonly name: string;
  readonly help: string;
  /** What Prometheus is told that it is. */
  readonly type?: "counter" | undefined;
  /** How old it may be when it is shown. */
  readonly seconds: 0 | 60 | 3_600;
  readonly rounding: Rounding;
  /** Undefined: it is not known, and shown as NaN. */
  readonly read: () => number | readonly (readonly [Labels, number])[] | undefined;
};

const MIB = 2 ** 20;
const CHANCES = 2 ** 32;

export type GaugesSettings = {
  /** 1: everything is shown as it is. */
  readonly step: number;
  /** Monotonic, seconds. */
  readonly now: () => number;
  /** A whole number from 0 on, below what it is given. */
  readonly random?: (below: number) => number;
};

/** Gauges as they may be shown. */
export class Gauges {
  readonly #gauges: readonly Gauge[];
  readonly #settings: GaugesSettings;
  readonly #shown = new Map<Gauge, { readonly text: string; readonly until: number }>();

  constructor(gauges: readonly Gauge[], settings: GaugesSettings) {
    this.#gauges = gauges;
    this.#settings = settings;
  }

  text(): string {
    return this.#gauges.map((gauge) => this.#textOf(gauge)).join("");
  }

  #textOf(gauge: Gauge): string {
    const now = this.#settings.now();
    const shown = this.#shown.get(gauge);
    if (shown !== undefined && now < shown.until) return shown.text;
    const { name, help, seconds } = gauge;
    const value = gauge.read();
    const samples = typeof value === "object" ? value : [[{}, value ?? Number.NaN] as const];
    const text = simple(
      gauge.type ?? "gauge",
      name,
      help,
      samples.map(([labels, each]) => [labels, this.#rounded(each, gauge.rounding)]),
    );
    // What is not known may be in a moment.
    if (seconds > 0 && this.#settings.step > 1 && value !== undefined) {
      this.#shown.set(gauge, { text, until: now + seconds });
    }
    return text;
  }

  #rounded(value: number, rounding: Rounding): number {
    const { step } = this.#settings;
    if (step === 1) return value;
    switch (rounding) {
      case "exact":
        return value;
      case "things":
        return this.#toStep(value, step);
      case "bytes":
        return this.#toStep(value, MIB);
      case "hours":
        return value - (value % 3_600);
      case "seconds":
        return Math.floor(value);
    }
  }

  #toStep(value: number, step: number): number {
    const { random = randomInt } = this.#settings;
    const below = Math.floor(value / step);
    const isUp = random(CHANCES) < ((value - below * step) / step) * CHANCES;
    return (below + (isUp ? 1 : 0)) * step;
  }
}
