import type { Reason } from "../nostr/reason.ts";
import type { Answer } from "./answer.ts";
import type { Log, Observer, Refused, TurnedAway } from "./observer.ts";
import { classOf } from "./refusal-class.ts";

// Kinds of refusal that are told apart. There are about forty; a reason that quotes a peer must not make more.
const MAX_KINDS = 100;
// Reasons are counted as they are, which costs little, and put together when there are so many.
const MAX_REASONS = 1_000;

/** Counts refusals, and gathers them so that the log has one line for each kind in a minute and not one for each event. */
export class Refusals {
  readonly #reasons = new Map<Reason, number>();
  readonly #kinds = new Map<string, number>();
  readonly #turnedAway = new Map<TurnedAway, number>();
  readonly #log: Log;
  readonly #observer: Observer;

  constructor(parts: { readonly log: Log; readonly observer: Observer }) {
    this.#log = parts.log;
    this.#observer = parts.observer;
  }

  add(reason: Reason, as: Refused): void {
    this.#observer.count(`${as} refused: ${classOf(reason)}`);
    this.note(reason);
  }

  /** For the log alone: it is counted elsewhere. */
  note(reason: Reason): void {
    this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
    if (this.#reasons.size >= MAX_REASONS) this.#gather();
  }

  /** The answer that refuses, counted. */
  answer(id: string | undefined, reason: Reason, as: Refused): Answer {
    this.add(reason, as);
    return { id, accepted: false, message: reason };
  }

  /** A connection, or a request over HTTP, was not let in. */
  turnedAway(why: TurnedAway): void {
    this.#observer.count(`connection refused: ${why}`);
    this.#turnedAway.set(why, (this.#turnedAway.get(why) ?? 0) + 1);
  }

  /** Writes what was gathered. Called once a minute. */
  flush(): void {
    this.#gather();
    for (const [reason, times] of this.#kinds) this.#log.info({ reason, times }, "refused");
    this.#kinds.clear();
    for (const [why, times] of this.#turnedAway) {
      this.#log.info({ why, times }, "connections refused");
    }
    this.#turnedAway.clear();
  }

  #gather(): void {
    for (const [reason, times] of this.#reasons) {
      const kind = kindOf(reason);
      if (this.#kinds.size >= MAX_KINDS && !this.#kinds.has(kind)) continue;
      this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + times);
    }
    this.#reasons.clear();
  }
}

/** A reason as others of its kind have it, too: without sizes, counts and quoted words. */
export function kindOf(reason: string): string {
  return reason.replace(/\d+/g, "N").replace(/".*"/g, '"…"');
}
