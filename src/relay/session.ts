// What one client has proved and asked for: its keys and its subscriptions. Answers each of its messages; the inbox says when.

import type { ClientMessage } from "../nostr/message.ts";
import type { Filter } from "../nostr/filter.ts";
import { isReason, type Reason } from "../nostr/reason.ts";
import type { Store } from "../store/store.ts";
import { UNREADABLE } from "./answer.ts";
import type { Challenge } from "./challenge.ts";
import { SocketFraming } from "./framing.ts";
import { isAboutNothing, scope } from "./gate.ts";
import { bytesOf, type Holding, TOO_MUCH } from "./holdings.ts";
import type { ConnectionHost } from "./host.ts";
import type { Answering } from "./inbox.ts";
import { reportFailure } from "./observer.ts";
import type { Outbox } from "./outbox.ts";
import { type ReconciliationLimits, Reconciliations } from "./reconciliations.ts";
import { sayCount, sayOk } from "./replies.ts";
import { countMatches } from "./scan.ts";
import { type Subscriber, Subscription, type SubscriptionLimits } from "./subscription.ts";
import type { Turn } from "./turns.ts";
import { Subscriptions } from "./subscriptions.ts";

export type SessionLimits = SubscriptionLimits &
  ReconciliationLimits & {
    readonly subscriptions: number;
    readonly authKeys: number;
    readonly filterBytes: number;
  };

// A key, and its place in the set.
const KEY_BYTES = 256;

export type SessionParts = {
  readonly host: ConnectionHost;
  readonly outbox: Outbox;
  readonly holding: Holding;
  readonly address: string;
  readonly challenge: Challenge;
};

export class Session implements Subscriber, Answering {
  readonly keys = new Set<string>();
  readonly limits: SessionLimits;
  readonly outbox: Outbox;
  readonly holding: Holding;
  readonly #host: ConnectionHost;
  readonly #address: string;
  readonly #challenge: Challenge;
  readonly #subscriptions: Subscriptions;
  // Made for those who reconcile.
  #reconciliations: Reconciliations | undefined;

  constructor(parts: SessionParts, limits: SessionLimits) {
    // One by one: an object to hold them would be one more for every idle connection.
    const { host, outbox, holding, address } = parts;
    this.#host = host;
    this.outbox = outbox;
    this.holding = holding;
    this.#address = address;
    this.#challenge = parts.challenge;
    this.limits = limits;
    this.#subscriptions = new Subscriptions(host, outbox, holding, limits.filterBytes);
  }

  get isOpen(): boolean {
    return this.outbox.isOpen;
  }

  awaitsKey(message: ClientMessage): boolean {
    if (this.keys.size > 0 || filtersIn(message).every(isAboutNothing)) return false;
    this.#challenge.sendOnce();
    return true;
  }

  answer(message: ClientMessage, text: string): Promise<void> | undefined {
    switch (message.verb) {
      case "EVENT":
        return this.#guarded(this.#publish(text));
      case "AUTH":
        return this.#guarded(this.#authenticate(text));
      case "COUNT":
        return this.#guarded(this.#count(message.subscription, message.filters));
      case "REQ":
        this.#subscribe(message.subscription, message.filters, text.length);
        return undefined;
      case "NEG-OPEN":
        return this.#guarded(this.#reconcile(message.subscription, message.filter, message.hex));
      case "NEG-MSG":
        return this.#guarded(this.#reconciling().answer(message.subscription, message.hex));
      case "CLOSE":
      case "NEG-CLOSE":
        this.letGo(message.verb, message.subscription);
        return undefined;
    }
  }

  /** Ends a subscription or a reconciliation, as its client wishes. */
  letGo(verb: "CLOSE" | "NEG-CLOSE", id: string): void {
    if (verb === "CLOSE") this.#subscriptions.close(id);
    else this.#reconciliations?.close(id);
  }

  /** Answers a NEG-OPEN or NEG-MSG that cannot be obeyed. */
  refuseReconciliation(id: string, reason: Reason): void {
    this.#reconciling().refuse(id, reason);
  }

  /** Answers a REQ or COUNT that cannot be obeyed. */
  refuseSubscription(id: string, reason: Reason): void {
    this.#subscriptions.refuse(id, reason);
  }

  close(): void {
    this.#subscriptions.closeAll();
    this.#reconciliations?.closeAll();
  }

  // --- what subscriptions ask

  get store(): Store {
    return this.#host.store;
  }

  now(): number {
    return this.#host.runtime.now();
  }

  turn(): Turn {
    return this.#host.turns.of(this.#address);
  }

  mayCopy(): boolean {
    return this.#host.rates.mayCopy(this.#address);
  }

  // --- the messages

  async #publish(text: string): Promise<void> {
    sayOk(this.outbox, await this.#host.publisher.publish(text, this.#address));
  }

  async #authenticate(text: string): Promise<void> {
    const { authKeys } = this.limits;
    const { answer, key } = await this.#host.authenticator.authenticate(text, this.#challenge.text);
    if (key !== undefined && !this.keys.has(key)) {
      if (this.keys.size >= authKeys) {
        const message: Reason = `rate-limited: ${authKeys} keys are authenticated, the limit`;
        sayOk(this.outbox, { ...answer, accepted: false, message });
        return;
      }
      if (!this.holding.take(KEY_BYTES)) {
        sayOk(this.outbox, { ...answer, accepted: false, message: TOO_MUCH });
        return;
      }
      this.keys.add(key);
    }
    sayOk(this.outbox, answer);
  }

  #subscribe(id: string, filters: readonly Filter[], textBytes: number): void {
    // NIP-01: a new REQ under the same id overwrites the subscription.
    this.#subscriptions.close(id);
    const scoped = scope(filters, this.keys);
    if (isReason(scoped)) {
      this.#refuseScope(id, scoped);
      return;
    }
    const { subscriptions } = this.limits;
    if (this.#subscriptions.size >= subscriptions) {
      const reason: Reason = `rate-limited: ${subscriptions} subscriptions are open, the limit`;
      this.refuseSubscription(id, reason);
      return;
    }
    const subscription = new Subscription(scoped, this, new SocketFraming(id));
    this.#subscriptions.open(id, subscription, textBytes + bytesOf(filters));
  }

  async #count(id: string, filters: readonly Filter[]): Promise<void> {
    const scoped = scope(filters, this.keys);
    if (isReason(scoped)) {
      this.#refuseScope(id, scoped);
      return;
    }
    try {
      const count = await countMatches(this.#host.store, scoped, {
        now: () => this.now(),
        watermark: this.#host.store.watermark,
        maxLimit: this.limits.limit,
        isGivenUp: () => !this.isOpen,
        turn: this.turn(),
      });
      sayCount(this.outbox, id, count);
    } catch (error) {
      reportFailure(this.#host.log, error);
      this.refuseSubscription(id, UNREADABLE);
    }
  }

  async #reconcile(id: string, filter: Filter, hex: string): Promise<void> {
    const scoped = scope([filter], this.keys);
    if (!isReason(scoped)) return this.#reconciling().open(id, scoped, hex);
    this.#challenge.send();
    this.refuseReconciliation(id, scoped);
  }

  #reconciling(): Reconciliations {
    return (this.#reconciliations ??= new Reconciliations(this.#host, this));
  }

  // Another key would be answered.
  #refuseScope(id: string, reason: Reason): void {
    this.#challenge.send();
    this.refuseSubscription(id, reason);
  }

  async #guarded(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      reportFailure(this.#host.log, error);
    }
  }
}

// What a message asks for; nothing if it does not ask.
function filtersIn(message: ClientMessage): readonly Filter[] {
  if ("filters" in message) return message.filters;
  return "filter" in message ? [message.filter] : [];
}
