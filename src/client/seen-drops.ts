// What was picked up, from its pickup to its acknowledgement, and longer than the process: whoever acknowledges a message in another one means all of its
// copies, and what could not be opened once costs nothing the next time.
//
// - It is kept in the store of the outbox, many drops to a record. What cannot be kept, or was forgotten, is found out again by the next pickup.
// - `add` only remembers; `keep` writes what was added since.

import type { OutboxStore, SeenDrop, SeenRecord } from "./outbox-store.ts";
import type { Runtime } from "./runtime.ts";

export type SeenDropsParts = {
  readonly store: OutboxStore;
  readonly runtime: Runtime;
};

/** How many drops: what is forgotten can still be acknowledged, by whoever says to which key it was addressed. */
export const MAX_SEEN = 200_000;

// As long as dead drops hold by default, with the time by which a drop may be dated back. What is held for longer is looked at again.
const KEPT_SECONDS = 32 * 24 * 60 * 60;
const MAX_RECORD_DROPS = 1_000;
// A watch writes a record for each message that comes alone; a start makes one of so many.
const MAX_SMALL_RECORDS = 32;

/** The drops that were picked up, and which of them hold the same message: a sender may wrap it for each relay anew. */
export class SeenDrops {
  readonly #parts: SeenDropsParts;
  readonly #drops = new Map<string, SeenDrop>();
  // By the id of a message: the drops that hold it.
  readonly #copies = new Map<string, Set<string>>();
  #unkept: SeenDrop[] = [];

  constructor(parts: SeenDropsParts) {
    this.#parts = parts;
  }

  get(id: string): SeenDrop | undefined {
    return this.#drops.get(id);
  }

  /** All drops with the same message as this one; itself alone when it is not remembered. */
  copiesOf(id: string): Iterable<string> {
    const message = this.#drops.get(id)?.message;
    return (message && this.#copies.get(message.id)) ?? [id];
  }

  /** Remembers a drop. One that is known already is replaced, and not kept again. */
  add(drop: SeenDrop): void {
    if (!this.#drops.has(drop.id)) this.#unkept.push(drop);
    this.#remember(drop);
  }

  /** Keeps what was added since. Resolves to whether there was anything; never rejects. */
  async keep(): Promise<boolean> {
    const drops = this.#unkept;
    this.#unkept = [];
    if (drops.length === 0) return false;
    try {
      await this.#write(drops);
    } catch {
      // A full disk keeps nobody from reading: it is found out again.
    }
    return true;
  }

  /** Takes what the store has, and makes many small records one. What is not `isWanted` any more, by its id, is left out of that. */
  async restore(records: readonly SeenRecord[], isWanted: (id: string) => boolean): Promise<void> {
    const now = this.#parts.runtime.now();
    const valid = records.filter(({ until }) => until > now);
    for (const { drops } of valid) for (const drop of drops) this.#remember(drop);
    const small = valid.filter(({ drops }) => drops.length < MAX_RECORD_DROPS / 2);
    const isMany = small.length > MAX_SMALL_RECORDS;
    const over = records.filter(({ until }) => until <= now);
    if (isMany)
      await this.#write(small.flatMap(({ drops }) => drops).filter(({ id }) => isWanted(id)));
    for (const { id } of isMany ? [...over, ...small] : over) await this.#parts.store.remove(id);
  }

  async #write(all: readonly SeenDrop[]): Promise<void> {
    const { store, runtime } = this.#parts;
    const last = runtime.now() + KEPT_SECONDS;
    for (let next = 0; next < all.length; next += MAX_RECORD_DROPS) {
      const drops = all.slice(next, next + MAX_RECORD_DROPS);
      const until = Math.min(last, Math.max(...drops.map(({ expiration = last }) => expiration)));
      // Another process may keep the same drops.
      const id = `seen-${drops[0]?.id}-${Math.floor(runtime.random() * 2 ** 32)}`;
      await store.put({ type: "seen", id, drops, until });
    }
  }

  #remember(drop: SeenDrop): void {
    if (this.#drops.size >= MAX_SEEN) this.#forgetOldest();
    this.#drops.set(drop.id, drop);
    if (drop.message === undefined) return;
    const copies = this.#copies.get(drop.message.id) ?? new Set();
    this.#copies.set(drop.message.id, copies.add(drop.id));
  }

  #forgetOldest(): void {
    const [oldest] = this.#drops.values();
    if (oldest === undefined) return;
    const { id, message } = oldest;
    this.#drops.delete(id);
    const copies = message && this.#copies.get(message.id);
    if (message !== undefined && copies?.delete(id) === true && copies.size === 0) {
      this.#copies.delete(message.id);
    }
  }
}
