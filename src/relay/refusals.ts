import type { Reason } from "../nostr/reason.ts";
import type { Log } from "./observer.ts";

// Kinds of refusal that are told apart. There are about forty; a reason that quotes a peer must not make more.
const MAX_KINDS = 100;

/** Gathers refusals, so that the log has one line for each kind in a minute and not one for each event. */
export class Refusals {
  readonly #counts = new Map<string, number>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  add(reason: Reason): void {
    // Sizes, counts and quoted words would make each refusal a kind of its own.
    const kind = reason.replace(/\d+/g, "N").replace(/".*"/g, '"…"');
    if (this.#counts.size >= MAX_KINDS && !this.#counts.has(kind)) return;
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
  }

  /** Writes what was gathered. Called once a minute. */
  flush(): void {
    for (const [reason, times] of this.#counts) this.#log.info({ reason, times }, "refused");
    this.#counts.clear();
  }
}
