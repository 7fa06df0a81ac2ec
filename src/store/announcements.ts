import type { Held } from "./store.ts";

type Listener = (committed: readonly Held[]) => void;

/**
 * Which drops are told to listeners, and when: every one that was committed and is still held, once, in the order of `seq`, after its `put` was answered.
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

  committed(): void {
    for (const drop of this.#added) this.#unannounced.set(drop.seq, drop);
    // What was acknowledged in the same commit, or before it was announced, is not.
    for (const seq of this.#removed) this.#unannounced.delete(seq);
    this.aborted();
  }

  aborted(): void {
    this.#added = [];
    this.#removed = [];
  }

  /** Those who put have their answers. */
  answered(): void {
    if (this.#unannounced.size === 0) return;
    const committed = [...this.#unannounced.values()];
    this.#unannounced.clear();
    for (const [listener, wants] of this.#listeners) {
      const wanted = committed.filter(({ recipient }) => wants(recipient));
      if (wanted.length > 0) listener(wanted);
    }
  }
}
