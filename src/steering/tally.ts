import type { Counted, Observer } from "../relay/observer.ts";

/** Counts what is told to another observer, for `stats`: by name, since the relay started. */
export class Tally implements Observer {
  readonly #counts = new Map<Counted, number>();
  readonly #next: Observer;

  constructor(next: Observer) {
    this.#next = next;
  }

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  count(what: Counted, times = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + times);
    this.#next.count(what, times);
  }
}
