// A pickup over HTTP: a subscriber whose outbox is the body of the answer. Passes the same gate, scan and seam as a REQ.
//
// - `find` looks for what is held and, told to wait, for what comes; it may be called once. Then `sendFound` sends that and ends, or `stream` goes on with
//   what comes, until the peer leaves or the relay drains.
// - It is over when `close` was called, or the body it sends is.
// - A peer that does not read its answer is cut off like one that does not read its socket.

import type { Filter } from "../nostr/filter.ts";
import { isReason, type Reason } from "../nostr/reason.ts";
import type { Place, Store } from "../store/store.ts";
import type { BodyHandlers, BodyStream, BodyWriter } from "../transport/transport.ts";
import type { OpenPickup } from "./connections.ts";
import { type Framing, KEEP_ALIVE, LINES, SERVER_SENT_EVENTS } from "./framing.ts";
import { scope, type ScopedFilter } from "./gate.ts";
import { HEADER_BYTES, type Holding, TOO_MUCH } from "./holdings.ts";
import type { ConnectionHost } from "./host.ts";
import { countPickup, type CutOff, reportFailure } from "./observer.ts";
import { Outbox } from "./outbox.ts";
import { countMatches, type Found } from "./scan.ts";
import type { Turn } from "./turns.ts";
import { type Subscriber, Subscription, type SubscriptionLimits } from "./subscription.ts";

/** What a request over HTTP asks of one box. */
export type PickupRequest = {
  readonly address: string;
  readonly recipient: string;
  /** The keys that the request proves. */
  readonly keys: ReadonlySet<string>;
  /** The most drops to answer; undefined: as many as the relay allows. */
  readonly limit: number | undefined;
  /** Only what comes behind this drop in NIP-01's order. */
  readonly after: Place | undefined;
  /** Aborted when the peer leaves. */
  readonly gone: AbortSignal;
};

/** Has a box read over HTTP, through the gate of a REQ; or answers why not. */
export function httpPickup(host: ConnectionHost, request: PickupRequest): HttpPickup | Reason {
  const { recipient, limit, keys, gone } = request;
  const filter: Filter = {
    tags: new Map([["p", new Set([recipient])]]),
    ...(limit !== undefined && { limit }),
  };
  const filters = scope([filter], keys);
  if (isReason(filters)) return filters;
  const pickup = new HttpPickup(host, request, filters);
  // A peer that left meanwhile has closed it already.
  if (!gone.aborted) host.connections.pickingUp(pickup);
  return pickup;
}

export class HttpPickup implements Subscriber, BodyHandlers, OpenPickup {
  readonly keys: ReadonlySet<string>;
  readonly store: Store;
  readonly limits: SubscriptionLimits;
  readonly outbox: Outbox;
  readonly holding: Holding;
  readonly #host: ConnectionHost;
  readonly #request: PickupRequest;
  readonly #filters: readonly ScopedFilter[];
  #subscription: Subscription | undefined;
  #stream: BodyStream | undefined;
  #isClosed = false;
  // Nobody waits any more for what may come.
  #isHurried = false;
  #hasArrived = false;
  #wake: (() => void) | undefined;
  #isEndless = false;
  #pingedAt: number;
  #unread: { bytes: number; since: number };

  /** `filters` is what is asked for, as the gate let it through: one box. */
  constructor(host: ConnectionHost, request: PickupRequest, filters: readonly ScopedFilter[]) {
    this.#host = host;
    this.#request = request;
    this.#filters = filters;
    this.limits = host.limits;
    this.store = host.store;
    this.keys = request.keys;
    this.#pingedAt = host.runtime.monotonic();
    this.#unread = { bytes: 0, since: this.#pingedAt };
    this.holding = host.holdings.of(request.address);
    this.outbox = new Outbox(
      bodyOf(() => this.#stream),
      this.holding,
      host.limits.outboxBytes,
      this.#host.observer,
    );
    if (request.gone.aborted) this.#close();
    else request.gone.addEventListener("abort", this.#close);
  }

  /** How many drops the box holds. */
  count(): Promise<number> {
    return countMatches(this.store, this.#filters, {
      now: () => this.now(),
      watermark: this.store.watermark,
      maxLimit: this.limits.limit,
      isGivenUp: () => this.#isClosed,
      turn: this.turn(),
    });
  }

  /** Finds what is held, and when that is nothing waits so many seconds for something to come. Answers why not when it is too much to be kept until it is sent. */
  async find(waitSeconds: number): Promise<Found | Reason> {
    const timer =
      waitSeconds > 0 ? setTimeout(() => this.stopWaiting(), waitSeconds * 1_000) : undefined;
    try {
      for (;;) {
        // It listens before it looks: what is committed while it looks wakes it.
        const subscription = this.#subscribe(LINES);
        if (timer !== undefined) this.#host.live.add(subscription);
        const found = await subscription.find(this.#request.after);
        if (found.headers.length === 0 && timer !== undefined && !this.#isOver) {
          await this.#something();
          continue;
        }
        this.#host.live.remove(subscription);
        return this.#keep(found) ? found : TOO_MUCH;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends what was found, a line each, and no more. */
  sendFound(found: Found): BodyWriter {
    return this.#writer(async (stream) => {
      const subscription = this.#subscription ?? this.#subscribe(LINES);
      countPickup(this.#host.observer, await subscription.send(found));
      stream.end();
    });
  }

  /** Sends what is held and what comes, as server-sent events. */
  stream(): BodyWriter {
    this.#isEndless = true;
    return this.#writer(async () => {
      // Some transports send the head with the first piece only, and a box may be empty for days.
      this.outbox.send(KEEP_ALIVE);
      const subscription = this.#subscribe(SERVER_SENT_EVENTS);
      this.#host.live.add(subscription);
      const found = await subscription.find(this.#request.after);
      if (!this.#keep(found)) return this.#stream?.terminate();
      countPickup(this.#host.observer, await subscription.send(found));
      if (this.#isHurried) this.#stream?.end();
    });
  }

  /** Ends a pickup whose body is not sent by it. */
  close(): void {
    this.#close();
  }

  // --- what the relay asks

  get address(): string {
    return this.#request.address;
  }

  cutOff(why: CutOff): void {
    this.outbox.cutOff(why);
    // Before there is a body there is nothing to cut.
    this.stopWaiting();
  }

  /** Ends what would go on for ever: a relay that is shutting down waits for nobody. */
  stopWaiting(): void {
    this.#isHurried = true;
    this.arrived();
    if (this.#isEndless) this.#stream?.end();
  }

  /** Keeps a silent stream open, and ends one that is not read. Seconds. */
  checkLife(pingSeconds: number, deadSeconds: number): void {
    const now = this.#host.runtime.monotonic();
    if (this.#stream === undefined) return;
    const { bufferedBytes } = this.#stream;
    if (bufferedBytes === 0 || bufferedBytes < this.#unread.bytes) {
      this.#unread = { bytes: bufferedBytes, since: now };
    } else if (now - this.#unread.since >= deadSeconds) {
      this.outbox.cutOff("does not read");
      return;
    }
    if (this.#isEndless && now - this.#pingedAt >= pingSeconds) {
      this.#pingedAt = now;
      this.outbox.send(KEEP_ALIVE);
    }
  }

  excuse(seconds: number, now: number): void {
    this.#unread = { ...this.#unread, since: Math.min(now, this.#unread.since + seconds) };
  }

  // --- what the body tells

  drained(): void {
    this.#unread = { bytes: Infinity, since: this.#host.runtime.monotonic() };
    this.outbox.drained();
  }

  closed(): void {
    this.#close();
  }

  // --- what the subscription asks

  now(): number {
    return this.#host.runtime.now();
  }

  turn(): Turn {
    return this.#host.turns.of(this.#request.address);
  }

  mayCopy(): boolean {
    return this.#host.rates.mayCopy(this.#request.address);
  }

  readonly arrived = (): void => {
    this.#hasArrived = true;
    this.#wake?.();
  };

  // ---

  get #isOver(): boolean {
    return this.#isHurried || this.#isClosed;
  }

  #keep({ headers }: Found): boolean {
    return this.holding.take(HEADER_BYTES * headers.length);
  }

  #something(): Promise<void> {
    if (this.#hasArrived) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #subscribe(framing: Framing): Subscription {
    this.#unsubscribe();
    this.#hasArrived = false;
    this.#subscription = new Subscription(this.#filters, this, framing);
    return this.#subscription;
  }

  #unsubscribe(): void {
    if (this.#subscription === undefined) return;
    this.#host.live.remove(this.#subscription);
    this.#subscription.close();
    this.#subscription = undefined;
  }

  #writer(work: (stream: BodyStream) => Promise<void>): BodyWriter {
    return (stream) => {
      this.#stream = stream;
      if (this.#isClosed) stream.terminate();
      else
        void work(stream).catch((error: unknown) => {
          reportFailure(this.#host.log, error);
          // The peer can tell that this is not all.
          stream.terminate();
        });
      return this;
    };
  }

  readonly #close = (): void => {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#request.gone.removeEventListener("abort", this.#close);
    this.#unsubscribe();
    this.outbox.closed();
    this.holding.end();
    this.arrived();
    this.#host.connections.pickedUp(this);
  };
}

// The body as an outbox sees it. There is none before the head is sent, and nothing is sent before then.
function bodyOf(
  stream: () => BodyStream | undefined,
): Pick<BodyStream, "bufferedBytes" | "send" | "cork" | "terminate"> {
  return {
    get bufferedBytes() {
      return stream()?.bufferedBytes ?? 0;
    },
    send: (text) => stream()?.send(text),
    cork: (work) => (stream() === undefined ? work() : stream()?.cork(work)),
    terminate: () => stream()?.terminate(),
  };
}
