import type { Drop } from "../nostr/drop.ts";
import type { NostrEvent } from "../nostr/event.ts";
import { matchFilter } from "../nostr/filter.ts";
import type { Header, Store } from "../store/store.ts";
import { mayRead, type ScopedFilter } from "./gate.ts";
import type { Outbox } from "./outbox.ts";
import { scan } from "./scan.ts";

export type SubscriptionSettings = {
  readonly now: () => number;
  readonly maxLimit: number;
  /** Drops that may wait while stored ones are still being sent. */
  readonly maxPending: number;
  /** The same for wraps that are not held, which wait with all they carry. */
  readonly maxPendingBytes: number;
  readonly pause: () => Promise<void>;
};

// Events handed to the socket in one go: under a millisecond, and few enough that a slow reader is noticed in time.
const EVENTS_A_TURN = 100;

/**
 * One REQ: the drops held, then `EOSE`, then those that come.
 *
 * The seam between the two: the subscription listens before the scan starts. The scan finds what was committed up to the watermark of that moment,
 * listening takes what comes after it; until EOSE that waits in `#pending`, by `seq` and not by value, so that what is acknowledged meanwhile is not sent.
 */
export class Subscription {
  readonly id: string;
  readonly recipients: ReadonlySet<string>;
  readonly #filters: readonly ScopedFilter[];
  readonly #keys: ReadonlySet<string>;
  readonly #outbox: Outbox;
  readonly #store: Store;
  readonly #settings: SubscriptionSettings;
  readonly #watermark: number;
  readonly #closing = new AbortController();
  readonly #head: string;
  #pending: (Header | Drop)[] | undefined = [];
  #pendingBytes = 0;

  constructor(
    id: string,
    filters: readonly ScopedFilter[],
    collaborators: { keys: ReadonlySet<string>; outbox: Outbox; store: Store },
    settings: SubscriptionSettings,
  ) {
    this.id = id;
    this.#filters = filters;
    this.recipients = new Set(filters.flatMap((scoped) => [...scoped.recipients]));
    this.#keys = collaborators.keys;
    this.#outbox = collaborators.outbox;
    this.#store = collaborators.store;
    this.#settings = settings;
    this.#watermark = collaborators.store.watermark;
    this.#head = `["EVENT",${JSON.stringify(id)},`;
  }

  /** Sends what is held, EOSE, and what came meanwhile. Answers how many stored drops were sent. */
  async sendStored(): Promise<number> {
    const { now, maxLimit, pause } = this.#settings;
    const found = await scan(this.#store, this.#filters, {
      now,
      maxLimit,
      watermark: this.#watermark,
      signal: this.#closing.signal,
      pause,
    });
    const sent = await this.#sendHeld(found.headers);
    if (this.#closed) return sent;
    const hint = found.more ? "more" : "finish";
    this.#outbox.send(`["EOSE",${JSON.stringify(this.id)},["${hint}"]]`);
    while (this.#pending !== undefined && this.#pending.length > 0 && !this.#closed) {
      const waiting = this.#pending;
      this.#pending = [];
      this.#pendingBytes = 0;
      await this.#sendHeld(waiting);
    }
    this.#pending = undefined;
    return sent;
  }

  /** A drop came. Takes it, now or after EOSE, when it is for this subscription. `seq` is undefined for one that is not held. */
  take(drop: Drop, seq: number | undefined, event: NostrEvent): boolean {
    if (this.#closed || !mayRead(this.#keys, drop.recipient)) return false;
    if (seq !== undefined && seq <= this.#watermark) return false;
    const wanted = this.#filters.some(
      ({ filter, recipients }) => recipients.has(drop.recipient) && matchFilter(filter, event),
    );
    if (!wanted) return false;
    if (this.#pending === undefined) return this.#outbox.send(this.#message(drop.json));
    if (seq === undefined) this.#pendingBytes += drop.json.length;
    const { maxPending, maxPendingBytes } = this.#settings;
    if (this.#pending.length >= maxPending || this.#pendingBytes > maxPendingBytes) {
      this.#outbox.cutOff();
      return false;
    }
    this.#pending.push(seq === undefined ? drop : headerOf(drop, seq));
    return true;
  }

  close(): void {
    this.#closing.abort();
    this.#pending = undefined;
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  // Reads each drop at the moment it is sent: what was acknowledged or expired since it was found is gone. Never sends more than the socket takes.
  async #sendHeld(found: readonly (Header | Drop)[]): Promise<number> {
    let sent = 0;
    let next = 0;
    while (next < found.length) {
      if (this.#closed || !(await this.#outbox.room()) || this.#closed) return sent;
      const now = this.#settings.now();
      const stop = Math.min(next + EVENTS_A_TURN, found.length);
      this.#outbox.cork(() => {
        while (next < stop && this.#outbox.hasRoom) {
          const drop = found[next++];
          if (drop === undefined || drop.expiry <= now) continue;
          if (!mayRead(this.#keys, drop.recipient)) continue;
          const json = "json" in drop ? drop.json : this.#store.read([drop])[0];
          if (json !== undefined && this.#outbox.send(this.#message(json))) sent += 1;
        }
      });
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return sent;
  }

  #message(json: string): string {
    return `${this.#head}${json}]`;
  }
}

function headerOf(drop: Drop, seq: number): Header {
  const { recipient, created_at, kind, expiry, id } = drop;
  return { seq, recipient, created_at, kind, expiry, idPrefix: id, bytes: drop.json.length };
}
