import type { OpenedStore } from "../store/lmdb.ts";
import type { Census } from "../store/census.ts";

const HOUR_MS = 60 * 60 * 1_000;
// Where metrics are shown as they are.
const SECOND_MS = 1_000;
// A census takes no more than so much of the time, however large the store is.
const REST = 20;

/** Has what is held counted once an hour, or every second where `isEager`, and remembers what came of it. */
export class CensusTaker {
  readonly #store: Pick<OpenedStore, "census">;
  readonly #everyMs: number;
  #latest: Census | undefined;
  #timer: NodeJS.Timeout | undefined;
  #counting: Promise<void> | undefined;
  #closed = false;

  constructor(store: Pick<OpenedStore, "census">, isEager: boolean) {
    this.#store = store;
    this.#everyMs = isEager ? SECOND_MS : HOUR_MS;
    this.#start();
  }

  /** Undefined before the first one is done. */
  get latest(): Census | undefined {
    return this.#latest;
  }

  /** Resolves when it reads nothing any more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#counting;
  }

  #start(): void {
    this.#counting = this.#count();
  }

  async #count(): Promise<void> {
    const began = performance.now();
    try {
      const census = await this.#store.census(() => this.#closed);
      if (!this.#closed) this.#latest = census;
    } catch {
      // A store that cannot be read has said so, and ends the relay.
    }
    if (this.#closed) return;
    const rest = Math.max(this.#everyMs, (performance.now() - began) * REST);
    this.#timer = setTimeout(() => this.#start(), rest).unref();
  }
}
