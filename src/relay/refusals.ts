import type { Prefix, Reason } from "../nostr/reason.ts";
import type { Answer } from "./answer.ts";
import type { Log, Observer } from "./observer.ts";

// Kinds of refusal that are told apart. There are about forty; a reason that quotes a peer must not make more.
const MAX_KINDS = 100;

/** Counts refusals, and gathers them so that the log has one line for each kind in a minute and not one for each event. */
export class Refusals {
  readonly #counts = new Map<string, number>();
  readonly #log: Log;
  readonly #observer: Observer;

  constructor(parts: { readonly log: Log; readonly observer: Observer }) {
    this.#log = parts.log;
    this.#observer = parts.observer;
  }

  add(reason: Reason): void {
    this.#observer.count(`refused: ${reason.slice(0, reason.indexOf(":")) as Prefix}`);
    // Sizes, counts and quoted words would make each refusal a kind of its own.
    const kind = reason.replace(/\d+/g, "N").replace(/".*"/g, '"…"');
    if (this.#counts.size >= MAX_KINDS && !this.#counts.has(kind)) return;
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
  }

  /** The answer that refuses, counted. */
  answer(id: string | undefined, reason: Reason): Answer {
    this.add(reason);
    return { id, accepted: false, message: reason };
  }

  /** Writes what was gathered. Called once a minute. */
  flush(): void {
    for (const [reason, times] of this.#counts) this.#log.info({ reason, times }, "refused");
    this.#counts.clear();
  }
}
