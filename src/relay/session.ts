// What one client has proved and asked for: its keys and its subscriptions. Answers each of its messages; the inbox says when.

import type { ClientMessage } from "../nostr/message.ts";
import type { Filter } from "../nostr/filter.ts";
import { isReason, type Reason } from "../nostr/reason.ts";
import type { Store } from "../store/store.ts";
import { UNREADABLE } from "./answer.ts";
import type { Challenge } from "./challenge.ts";
import { SocketFraming } from "./framing.ts";
import { scope } from "./gate.ts";
import type { ConnectionHost } from "./host.ts";
import type { Answering } from "./inbox.ts";
import { reportFailure } from "./observer.ts";
import type { Outbox } from "./outbox.ts";
import { type ReconciliationLimits, Reconciliations } from "./reconciliations.ts";
import { sayCount, sayOk } from "./replies.ts";
import { countMatches } from "./scan.ts";
import { type Subscriber, Subscription, type SubscriptionLimits } from "./subscription.ts";
import { Subscriptions } from "./subscriptions.ts";

export type SessionLimits = SubscriptionLimits &
  ReconciliationLimits & {
    readonly subscriptions: number;
    readonly authKeys: number;
  };

export type SessionParts = {
  readonly host: ConnectionHost;
  readonly outbox: Outbox;
  readonly address: string;
  readonly challenge: Challenge;
};

export class Session implements Subscriber, Answering {
  readonly keys = new Set<string>();
  readonly limits: SessionLimits;
  readonly outbox: Outbox;
  readonly #host: ConnectionHost;
  readonly #address: string;
  readonly #challenge: Challenge;
  readonly #subscriptions: Subscriptions;
  // Made for those who reconcile.
  #reconciliations: Reconciliations | undefined;

  constructor(parts: SessionParts, limits: SessionLimits) {
    // One by one: an object to hold them would be one more for every idle connection.
    const { host, outbox, address } = parts;
    this.#host = host;
    this.outbox = outbox;
    this.#address = address;
    this.#challenge = parts.challenge;
    this.limits = limits;
    this.#subscriptions = new Subscriptions(host, outbox, address);
  }

  get isOpen(): boolean {
    return this.outbox.isOpen;
  }

  awaitsKey({ verb }: ClientMessage): boolean {
    if (this.keys.size > 0 || !(verb === "REQ" || verb === "COUNT" || verb === "NEG-OPEN")) {
      return false;
    }
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
        this.#subscribe(message.subscription, message.filters);
        return undefined;
      case "CLOSE":
        this.unsubscribe(message.subscription);
        return undefined;
      case "NEG-OPEN":
        return this.#guarded(
          this.#reconcile(message.reconciliation, message.filter, message.message),
        );
      case "NEG-MSG":
        return this.#guarded(this.#open().answer(message.reconciliation, message.message));
      case "NEG-CLOSE":
        this.endReconciliation(message.reconciliation);
        return undefined;
    }
  }

  unsubscribe(id: string): void {
    this.#subscriptions.close(id);
  }

  endReconciliation(id: string): void {
    this.#reconciliations?.close(id);
  }

  /** Answers a NEG-OPEN or NEG-MSG that cannot be obeyed. */
  refuseReconciliation(id: string, reason: Reason): void {
    this.#open().refuse(id, reason);
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

  /** Looking through boxes goes on in the next turn of the event loop, and costs tokens like any asking. */
  pause(): Promise<void> {
    return this.#host.rates.endTurn(this.#address);
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
      this.keys.add(key);
    }
    sayOk(this.outbox, answer);
  }

  #subscribe(id: string, filters: readonly Filter[]): void {
    // NIP-01: a new REQ under the same id overwrites the subscription.
    this.unsubscribe(id);
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
    this.#subscriptions.open(id, new Subscription(scoped, this, new SocketFraming(id)));
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
        pause: () => this.pause(),
      });
      sayCount(this.outbox, id, count);
    } catch (error) {
      reportFailure(this.#host.log, error);
      this.refuseSubscription(id, UNREADABLE);
    }
  }

  async #reconcile(id: string, filter: Filter, message: string): Promise<void> {
    const scoped = scope([filter], this.keys);
    if (!isReason(scoped)) return this.#open().open(id, scoped[0], message);
    this.#challenge.send();
    this.refuseReconciliation(id, scoped);
  }

  #open(): Reconciliations {
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
