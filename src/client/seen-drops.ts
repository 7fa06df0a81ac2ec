/** What is remembered of a drop from its pickup to its acknowledgement. */
export type SeenDrop = {
  readonly created_at: number;
  /** Unix seconds, if its sender set one. */
  readonly expiration: number | undefined;
  /** The key it was addressed to. */
  readonly address: string;
  /** The message inside and who wrote it; undefined when it could not be opened. */
  readonly message: SeenMessage | undefined;
};

export type SeenMessage = {
  readonly id: string;
  readonly from: string;
  readonly isReceipt: boolean;
};

/** How many drops: what is forgotten can still be acknowledged, by whoever says to which key it was addressed. */
export const MAX_SEEN = 200_000;

/** The drops that were picked up, and which of them hold the same message: a sender may wrap it for each relay anew (NIP-DD, Privacy). */
export class SeenDrops {
  readonly #drops = new Map<string, SeenDrop>();
  readonly #copies = new Map<string, Set<string>>();

  get(id: string): SeenDrop | undefined {
    return this.#drops.get(id);
  }

  add(id: string, drop: SeenDrop): void {
    if (this.#drops.size >= MAX_SEEN) this.#forgetOldest();
    this.#drops.set(id, drop);
    if (drop.message === undefined) return;
    const copies = this.#copies.get(drop.message.id) ?? new Set();
    this.#copies.set(drop.message.id, copies.add(id));
  }

  /** All drops with the same message as this one; itself alone when it is not remembered. */
  copiesOf(id: string): Iterable<string> {
    const message = this.#drops.get(id)?.message;
    return (message && this.#copies.get(message.id)) ?? [id];
  }

  #forgetOldest(): void {
    const [oldest] = this.#drops;
    if (oldest === undefined) return;
    const [id, { message }] = oldest;
    this.#drops.delete(id);
    const copies = message && this.#copies.get(message.id);
    if (message !== undefined && copies?.delete(id) === true && copies.size === 0) {
      this.#copies.delete(message.id);
    }
  }
}
