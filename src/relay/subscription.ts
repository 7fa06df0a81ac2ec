import type { Drop } from "../nostr/drop.ts";
import type { NostrEvent } from "../nostr/event.ts";
import { matchFilter } from "../nostr/filter.ts";
import type { Header, Place, Store } from "../store/store.ts";
import { mayRead, type ScopedFilter } from "./gate.ts";
import { HEADER_BYTES, type Holding } from "./holdings.ts";
import type { Outbox } from "./outbox.ts";
import { type Found, scan } from "./scan.ts";
import type { Framing } from "./framing.ts";
import type { Turn } from "./turns.ts";

/** Whom a subscription belongs to: a connection, or a request over HTTP. */
export type Subscriber = {
  readonly keys: ReadonlySet<string>;
  readonly outbox: Outbox;
  readonly holding: Holding;
  readonly store: Store;
  readonly limits: SubscriptionLimits;
  /** Unix seconds. */
  now(): number;
  /** For work on its behalf. */
  turn(): Turn;
  /** Whether it may have a live drop that another subscription of its recipient had. */
  mayCopy(): boolean;
  /** A drop came for a subscription that only sends what is held. */
  readonly arrived?: () => void;
};

export type SubscriptionLimits = {
  /** Drops that one filter finds, and that may wait while stored ones are still being sent. */
  readonly limit: number;
  /** What wraps that are not held may wait with, and what may wait for a slow reader. */
  readonly outboxBytes: number;
};

// Events handed to the socket in one go: under a millisecond, and few enough that a slow reader is noticed in time.
const EVENTS_A_TURN = 100;
// And read in one go: some dozens of most drops.
const BYTES_AT_ONCE = 65_536;

/**
 * One REQ, or one pickup over HTTP: the drops held, then `EOSE`, then those that come.
 *
 * The seam between the two: the subscription listens before the scan starts. The scan finds what was committed up to the watermark of that moment,
 * listening takes what comes after it; until EOSE that waits in `#pending`, by `seq` and not by value, so that what is acknowledged meanwhile is not sent.
 */
export class Subscription {
  readonly recipients: ReadonlySet<string>;
  readonly #filters: readonly ScopedFilter[];
  readonly #subscriber: Subscriber;
  readonly #framing: Framing;
  readonly #watermark: number;
  readonly #turn: Turn;
  #isClosed = false;
  #pending: (Header | Drop)[] | undefined = [];
  #pendingBytes = 0;

  constructor(filters: readonly ScopedFilter[], subscriber: Subscriber, framing: Framing) {
    this.#filters = filters;
    const [first, second] = filters;
    this.recipients =
      first !== undefined && second === undefined
        ? first.recipients
        : new Set(filters.flatMap((scoped) => [...scoped.recipients]));
    this.#subscriber = subscriber;
    this.#turn = subscriber.turn();
    this.#watermark = subscriber.store.watermark;
    this.#framing = framing;
  }

  /** Finds the drops held, of one box only those behind `after`. */
  find(after?: Place): Promise<Found> {
    const subscriber = this.#subscriber;
    return scan(subscriber.store, this.#filters, {
      now: () => subscriber.now(),
      maxLimit: subscriber.limits.limit,
      watermark: this.#watermark,
      after,
      isGivenUp: () => this.#isClosed,
      turn: this.#turn,
    });
  }

  /** Sends what was found, EOSE, and what came meanwhile; only the first where the framing has no EOSE. Answers how many stored drops were sent. */
  async send(found: Found): Promise<number> {
    const sent = await this.#sendHeld(found.headers);
    if (this.#isClosed || this.#framing.end === undefined) return sent;
    this.#subscriber.outbox.send(this.#framing.end(found.more ? "more" : "finish"));
    while (this.#pending !== undefined && this.#pending.length > 0 && !this.#isClosed) {
      const [waiting, bytes] = [this.#pending, this.#pendingBytes];
      this.#pending = [];
      this.#pendingBytes = 0;
      await this.#sendHeld(waiting);
      this.#subscriber.holding.give(bytes);
    }
    this.#pending = undefined;
    return sent;
  }

  /**
   * A drop came. Takes it, now or after EOSE, when it is for this subscription. `seq` is undefined for one that is not held; `isCopy` tells that another
   * subscription took it.
   */
  take(drop: Drop, seq: number | undefined, event: NostrEvent, isCopy: boolean): boolean {
    const { keys, outbox, holding, limits } = this.#subscriber;
    if (this.#isClosed || !mayRead(keys, drop.recipient)) return false;
    if (seq !== undefined && seq <= this.#watermark) return false;
    const wanted = this.#filters.some(
      ({ filter, recipients }) => recipients.has(drop.recipient) && matchFilter(filter, event),
    );
    if (!wanted) return false;
    if (isCopy && !this.#subscriber.mayCopy()) {
      outbox.cutOff("has too much sent to it twice");
      return false;
    }
    if (this.#framing.end === undefined) {
      // It ends with what is held, and looks again for what came: nothing is kept for it.
      this.#subscriber.arrived?.();
      return false;
    }
    if (this.#pending === undefined) return outbox.send(this.#framing.drop(drop.json));
    const bytes = HEADER_BYTES + (seq === undefined ? drop.json.length : 0);
    const isFull = this.#pending.length >= limits.limit || this.#pendingBytes > limits.outboxBytes;
    if (isFull || !holding.take(bytes)) {
      outbox.cutOff("does not read");
      return false;
    }
    this.#pendingBytes += bytes;
    this.#pending.push(seq === undefined ? drop : headerOf(drop, seq));
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.#subscriber.holding.give(this.#pendingBytes);
    this.#pendingBytes = 0;
    this.#pending = undefined;
  }

  // Reads each drop at the moment it is sent: what was acknowledged or expired since it was found is gone. Never sends more than the socket takes.
  async #sendHeld(found: readonly (Header | Drop)[]): Promise<number> {
    const { keys, outbox, store } = this.#subscriber;
    let sent = 0;
    let next = 0;
    while (next < found.length) {
      if (this.#isClosed || !(await outbox.room()) || this.#isClosed) return sent;
      await this.#turn.begin();
      const now = this.#subscriber.now();
      const stop = Math.min(next + EVENTS_A_TURN, found.length);
      outbox.cork(() => {
        while (next < stop && outbox.hasRoom) {
          const some = atOnce(found, next, stop);
          const jsons = store.read(some.filter((drop): drop is Header => !("json" in drop)));
          for (const drop of some) {
            // What was read for nothing is read again.
            if (!outbox.hasRoom) break;
            next += 1;
            const json = "json" in drop ? drop.json : jsons.shift();
            if (drop.expiry <= now || !mayRead(keys, drop.recipient)) continue;
            if (json !== undefined && outbox.send(this.#framing.drop(json))) sent += 1;
          }
        }
      });
      this.#turn.pause();
      // What follows a short box, EOSE, leaves with it.
      if (next < found.length) await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return sent;
  }
}

// Those from one on that are read in one go: a store opens several for less than each by itself.
function atOnce(found: readonly (Header | Drop)[], first: number, end: number): (Header | Drop)[] {
  let bytes = 0;
  let next = first;
  while (next < end && bytes < BYTES_AT_ONCE) {
    const drop = found[next++];
    if (drop !== undefined && "bytes" in drop) bytes += drop.bytes;
  }
  return found.slice(first, next);
}

function headerOf(drop: Drop, seq: number): Header {
  const { recipient, created_at, kind, expiry, id } = drop;
  return { seq, recipient, created_at, kind, expiry, idPrefix: id, bytes: drop.json.length };
}
