// What strangers have the relay keep in memory: filters, keys, messages that wait, what was found for them (in open reconciliations, too), and what is sent
// and not read.
//
// - Counted for each connection or request (a holding), for its address and in all, by estimates that err on the high side.
// - The first `FREE_BYTES` of each are not counted, so that who asks for little is served whatever the others hold.
// - What would be too much is not kept: who asks for it is refused, or cut off where nothing can be refused.
// - Whatever a holding has is given back when it ends.

import type { Filter } from "../nostr/filter.ts";
import type { Reason } from "../nostr/reason.ts";
import { peerOf } from "../policy/address.ts";

export const TOO_MUCH: Reason = "rate-limited: this address has too much kept in memory";

// Measured with the filters that cost most, beside the text they came in.
const FILTER_BYTES = 512;
const LIST_BYTES = 256;
const VALUE_BYTES = 48;

const FREE_BYTES = 16 * 1024;

/** What the relay notes of a drop that waits to be sent. */
export const HEADER_BYTES = 256;

/** What parsed filters take, beside the characters of their values. */
export function bytesOf(filters: readonly Filter[]): number {
  let bytes = 0;
  for (const { ids, authors, kinds, tags } of filters) {
    bytes += FILTER_BYTES;
    for (const list of [ids, authors, kinds, ...tags.values()]) {
      if (list !== undefined) bytes += LIST_BYTES + VALUE_BYTES * list.size;
    }
  }
  return bytes;
}

export type HoldingsLimits = {
  readonly memoryPerAddress: number;
  readonly memory: number;
};

/** What one address holds, and how many holdings it has. */
type Share = { readonly peer: string; bytes: number; holdings: number };

export class Holdings {
  readonly #limits: HoldingsLimits;
  readonly #shares = new Map<string, Share>();
  #bytes = 0;
  #slowReaders = 0;

  constructor(limits: HoldingsLimits) {
    this.#limits = limits;
  }

  /** What a connection or request of this address is going to hold. It has to be ended. */
  of(address: string): Holding {
    const peer = peerOf(address);
    let share = this.#shares.get(peer);
    if (share === undefined) this.#shares.set(peer, (share = { peer, bytes: 0, holdings: 0 }));
    share.holdings += 1;
    return new Holding(this, share);
  }

  /** Whether so many bytes more may be kept for an address. If so, they are counted. */
  take(share: Share, bytes: number): boolean {
    const { memory, memoryPerAddress } = this.#limits;
    if (share.bytes + bytes > memoryPerAddress || this.#bytes + bytes > memory) return false;
    this.give(share, -bytes);
    return true;
  }

  give(share: Share, bytes: number): void {
    share.bytes -= bytes;
    this.#bytes -= bytes;
  }

  /** What all that is counted takes together. */
  get bytes(): number {
    return this.#bytes;
  }

  /** For how many connections and requests something waits until what they were sent before is read. */
  get slowReaders(): number {
    return this.#slowReaders;
  }

  readerWaits(more: 1 | -1): void {
    this.#slowReaders += more;
  }

  ended(share: Share): void {
    share.holdings -= 1;
    if (share.holdings === 0) this.#shares.delete(share.peer);
  }
}

function countedOf(bytes: number): number {
  return Math.max(0, bytes - FREE_BYTES);
}

export class Holding {
  readonly #holdings: Holdings;
  readonly #share: Share;
  #bytes = 0;
  #isOver = false;

  constructor(holdings: Holdings, share: Share) {
    this.#holdings = holdings;
    this.#share = share;
  }

  /** Whether so many bytes more may be kept. If so, they are counted until they are given back, or the holding ends. */
  take(bytes: number): boolean {
    if (this.#isOver) return false;
    const more = countedOf(this.#bytes + bytes) - countedOf(this.#bytes);
    if (more > 0 && !this.#holdings.take(this.#share, more)) return false;
    this.#bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    if (this.#isOver) return;
    const less = countedOf(this.#bytes) - countedOf(this.#bytes - bytes);
    this.#bytes -= bytes;
    if (less > 0) this.#holdings.give(this.#share, less);
  }

  /** One more reader, or one less, waits until what it was sent before has left. */
  readerWaits(more: 1 | -1): void {
    this.#holdings.readerWaits(more);
  }

  end(): void {
    if (this.#isOver) return;
    this.give(this.#bytes);
    this.#isOver = true;
    this.#holdings.ended(this.#share);
  }
}
