import { ANNOUNCED_AFTER_MS, type Held } from "./store.ts";

type Listener = (committed: readonly Held[]) => void;

/**
 * Which drops are told to listeners, and when: every one that was committed and is still held, once, in the order of `seq`, a moment after its `put` was answered.
 * The writer says how its transactions end; `add` and `remove` are called inside one.
 */
export class Announcements {
  readonly #listeners = new Map<Listener, (recipient: string) => boolean>();
  readonly #unannounced = new Map<number, Held>();
  #added: Held[] = [];
  #removed: number[] = [];

  /** Has `listener` hear of every drop committed from now on whose recipient it `wants`, asked at that moment. Answers how to stop. */
  subscribe(listener: Listener, wants: (recipient: string) => boolean = () => true): () => void {
    this.#listeners.set(listener, wants);
    return () => this.#listeners.delete(listener);
  }

  add(drop: Held): void {
    this.#added.push(drop);
  }

  remove(seq: number): void {
    this.#removed.push(seq);
  }

  /** To be called before the promises of those who put resolve. */
  committed(): void {
    const last = this.#added.at(-1)?.seq;
    for (const drop of this.#added) this.#unannounced.set(drop.seq, drop);
    // What was acknowledged in the same commit, or before it was announced, is not.
    for (const seq of this.#removed) this.#unannounced.delete(seq);
    this.aborted();
    if (last !== undefined) setTimeout(() => this.announce(last), ANNOUNCED_AFTER_MS);
  }

  aborted(): void {
    this.#added = [];
    this.#removed = [];
  }

  /** Tells of what has not been told yet, up to this `seq`. */
  announce(last = Infinity): void {
    const committed: Held[] = [];
    for (const drop of this.#unannounced.values()) {
      if (drop.seq > last) break;
      committed.push(drop);
    }
    for (const { seq } of committed) this.#unannounced.delete(seq);
    for (const [listener, wants] of this.#listeners) {
      const wanted = committed.filter(({ recipient }) => wants(recipient));
      if (wanted.length > 0) listener(wanted);
    }
  }
}
