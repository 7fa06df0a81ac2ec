import type { Boxes } from "./boxes.ts";
import type { Header } from "./store.ts";

/**
 * How full a box is. Owned by the writer, which keeps it true as it puts and removes. `bytes` may be more than there are, unless it `isExact`; only then
 * is `nextExpiry` known.
 */
export type BoxUsage = { drops: number; bytes: number; nextExpiry: number; isExact: boolean };

// Boxes remembered at a time: about 20 MB. A box that is forgotten is counted again, 0.14 µs a drop.
const MAX_BOXES = 100_000;

/** The usage of boxes written to of late, counted from the keys of a box when first asked for: nothing is stored for it. */
export class Usage {
  readonly #boxes = new Map<string, BoxUsage>();
  readonly #index: Boxes;
  readonly #maxDropBytes: number;

  constructor(index: Boxes, maxDropBytes: number) {
    this.#index = index;
    this.#maxDropBytes = maxDropBytes;
  }

  /** A quick count: no drop is larger than the largest, so most boxes are far from full however large theirs are. */
  of(recipient: string): BoxUsage {
    const known = this.#boxes.get(recipient);
    if (known !== undefined) {
      // Last used, last in line.
      this.#boxes.delete(recipient);
      this.#boxes.set(recipient, known);
      return known;
    }
    const drops = this.#index.count(recipient);
    const bytes = drops * this.#maxDropBytes;
    return this.#remember(recipient, { drops, bytes, nextExpiry: Infinity, isExact: drops === 0 });
  }

  /** Looks at every drop in the box, a bounded number in each step. */
  *exactly(recipient: string): Generator<void, BoxUsage> {
    const usage: BoxUsage = { drops: 0, bytes: 0, nextExpiry: Infinity, isExact: true };
    for (const page of this.#index.pages(recipient)) {
      for (const held of page) {
        usage.drops += 1;
        usage.bytes += held.bytes;
        usage.nextExpiry = Math.min(usage.nextExpiry, held.expiry);
      }
      yield;
    }
    return this.#remember(recipient, usage);
  }

  #remember(recipient: string, usage: BoxUsage): BoxUsage {
    if (this.#boxes.size >= MAX_BOXES) {
      const [oldest] = this.#boxes.keys();
      if (oldest !== undefined) this.#boxes.delete(oldest);
    }
    this.#boxes.set(recipient, usage);
    return usage;
  }

  /** A drop left the box. */
  removed(held: Header): void {
    const usage = this.#boxes.get(held.recipient);
    if (usage === undefined) return;
    usage.drops -= 1;
    usage.bytes -= held.bytes;
    // An empty box has nothing worth remembering.
    if (usage.drops === 0) this.#boxes.delete(held.recipient);
  }

  /** A drop in the box got another expiry. */
  expires(held: Header, expiry: number): void {
    const usage = this.#boxes.get(held.recipient);
    if (usage !== undefined) usage.nextExpiry = Math.min(usage.nextExpiry, expiry);
  }

  /** Counts this box anew the next time; without one every box: after a transaction failed nothing remembered is certain. */
  forget(recipient?: string): void {
    if (recipient === undefined) this.#boxes.clear();
    else this.#boxes.delete(recipient);
  }
}
