// One client. Owns its socket, its keys, its subscriptions, and the order of its messages.
//
// - EVENT and AUTH are worked on side by side; REQ, COUNT and CLOSE wait until everything before them was answered. So an AUTH and a REQ may arrive in
//   one flight, and a REQ after an acknowledgement does not show what was acknowledged.
// - At most `inbox` messages, of `inboxBytes` together, wait for their answer; one more is refused, by name. Of the open subscriptions one at a time is
//   scanned for.
// - What is sent but not read is bounded by `outboxBytes`. Stored drops wait for the reader; live ones cut a reader off that does not read.

import {
  type ClientMessage,
  type MessageLimits,
  type Misspoken,
  parseMessage,
} from "../nostr/message.ts";
import { peekId } from "../nostr/event.ts";
import type { Filter } from "../nostr/filter.ts";
import { isReason, type Reason } from "../nostr/reason.ts";
import type { Store } from "../store/store.ts";
import type { Socket, SocketHandlers } from "../transport/transport.ts";
import { type Answer, SLOW_DOWN } from "./answer.ts";
import { scope } from "./gate.ts";
import type { LiveIndex } from "./live.ts";
import type { Observer } from "./observer.ts";
import { countMatches } from "./scan.ts";
import { Outbox } from "./outbox.ts";
import { type Subscriber, Subscription } from "./subscription.ts";
import { SocketWording } from "./wording.ts";

export type ConnectionLimits = MessageLimits & {
  readonly subscriptions: number;
  readonly authKeys: number;
  readonly limit: number;
  readonly outboxBytes: number;
  readonly inbox: number;
  readonly inboxBytes: number;
};

/** What a connection asks of the relay it belongs to. */
export type Desk = {
  readonly observer: Observer;
  /** Unix seconds. */
  now(): number;
  /** Seconds since whenever, never set back. */
  monotonic(): number;
  publish(text: string, address: string): Promise<Answer>;
  authenticate(text: string, challenge: string): Promise<{ answer: Answer; key?: string }>;
  mayAsk(address: string): boolean;
  /** This address had a few milliseconds of the event loop for itself. */
  chargeTurn(address: string): void;
  refused(reason: Reason): void;
  failed(error: unknown): void;
  disconnected(connection: Connection): void;
};

const UNREADABLE: Reason = "error: the box could not be read";
const BINARY: Reason = "unsupported: binary messages are not understood";
const BUSY: Reason = "rate-limited: too many messages are waiting for an answer";

type Waiting = { readonly message: ClientMessage; readonly text: string };

export class Connection implements SocketHandlers, Subscriber {
  readonly keys = new Set<string>();
  readonly outbox: Outbox;
  readonly store: Store;
  readonly limits: ConnectionLimits;
  readonly #socket: Socket;
  readonly #relay: Desk;
  readonly #live: LiveIndex;
  readonly #challenge: string;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #inbox: Waiting[] = [];
  #inboxBytes = 0;
  // What waits for its scan, while another one is scanned for.
  #unscanned: [id: string, Subscription][] | undefined;
  #working = 0;
  #idle: (() => void) | undefined;
  #heardAt: number;
  #pingedAt: number;

  constructor(
    collaborators: { socket: Socket; relay: Desk; store: Store; live: LiveIndex },
    limits: ConnectionLimits,
    challenge: string,
  ) {
    this.#socket = collaborators.socket;
    this.#relay = collaborators.relay;
    this.outbox = new Outbox(this.#socket, limits.outboxBytes, this.#relay.observer);
    this.store = collaborators.store;
    this.limits = limits;
    this.#live = collaborators.live;
    this.#challenge = challenge;
    this.#heardAt = this.#pingedAt = this.#relay.monotonic();
    // NIP-42: the challenge, before anybody asks for it, so that AUTH and REQ can come in one flight.
    this.#say(["AUTH", challenge]);
  }

  get address(): string {
    return this.#socket.address;
  }

  // --- what the socket tells

  received(text: string | undefined): void {
    if (text === undefined) {
      const reason = this.#relay.mayAsk(this.address) ? BINARY : SLOW_DOWN;
      this.#relay.refused(reason);
      this.#notice(reason);
      return;
    }
    const message = parseMessage(text, this.limits);
    const refusal = this.#refusal(message);
    if (refusal !== undefined) {
      this.#refuse(message, text, refusal);
    } else if ("verb" in message) {
      this.#inbox.push({ message, text });
      this.#inboxBytes += text.length;
      this.#work();
    }
  }

  heard(): void {
    this.#heardAt = this.#relay.monotonic();
  }

  drained(): void {
    this.outbox.drained();
  }

  closed(): void {
    for (const id of this.#subscriptions.keys()) this.#unsubscribe(id);
    this.#inbox.length = 0;
    this.outbox.closed();
    this.#relay.disconnected(this);
    if (this.#working === 0) this.#idle?.();
  }

  // --- what the relay asks

  /** Pings when it is time to, and ends a connection that was silent for too long. Seconds. */
  checkLife(pingSeconds: number, deadSeconds: number): void {
    const now = this.#relay.monotonic();
    if (now - this.#heardAt >= deadSeconds) {
      this.#socket.terminate();
      return;
    }
    this.outbox.checkStall(now, deadSeconds);
    if (now - this.#pingedAt >= pingSeconds) {
      this.#pingedAt = now;
      this.#socket.ping();
    }
  }

  /** Resolves when everything that was asked has its answer. */
  answered(): Promise<void> {
    if (this.#working === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }

  end(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  // --- the work

  #work(): void {
    for (;;) {
      const next = this.#inbox[0];
      if (next === undefined) break;
      const { message, text } = next;
      const sideBySide = message.verb === "EVENT" || message.verb === "AUTH";
      if (!sideBySide && this.#working > 0) break;
      this.#inbox.shift();
      switch (message.verb) {
        case "EVENT":
          this.#start(text, this.#publish(text));
          break;
        case "AUTH":
          this.#start(text, this.#authenticate(text));
          break;
        case "REQ":
          this.#inboxBytes -= text.length;
          this.#subscribe(message.subscription, message.filters);
          break;
        case "COUNT":
          this.#start(text, this.#count(message.subscription, message.filters));
          break;
        case "CLOSE":
          this.#inboxBytes -= text.length;
          this.#unsubscribe(message.subscription);
          break;
      }
    }
  }

  async #publish(text: string): Promise<void> {
    this.#ok(await this.#relay.publish(text, this.address));
  }

  #start(text: string, work: Promise<void>): void {
    this.#working += 1;
    void work
      .catch((error: unknown) => this.#relay.failed(error))
      .finally(() => {
        this.#working -= 1;
        this.#inboxBytes -= text.length;
        if (this.outbox.isOpen) this.#work();
        if (this.#working === 0) this.#idle?.();
      });
  }

  async #authenticate(text: string): Promise<void> {
    const { answer, key } = await this.#relay.authenticate(text, this.#challenge);
    if (key !== undefined && !this.keys.has(key)) {
      if (this.keys.size >= this.limits.authKeys) {
        const { authKeys } = this.limits;
        this.#ok({
          ...answer,
          accepted: false,
          message: `rate-limited: ${authKeys} keys are authenticated, the limit`,
        });
        return;
      }
      this.keys.add(key);
    }
    this.#ok(answer);
  }

  #subscribe(id: string, filters: readonly Filter[]): void {
    // NIP-01: a new REQ under the same id overwrites the subscription.
    this.#unsubscribe(id);
    const scoped = scope(filters, this.keys);
    if (isReason(scoped)) {
      this.#closeSubscription(id, scoped);
      return;
    }
    const { subscriptions } = this.limits;
    if (this.#subscriptions.size >= subscriptions) {
      this.#closeSubscription(
        id,
        `rate-limited: ${subscriptions} subscriptions are open, the limit`,
      );
      return;
    }
    const subscription = new Subscription(scoped, this, new SocketWording(id));
    this.#subscriptions.set(id, subscription);
    this.#live.add(subscription);
    // One scan at a time: they share the socket, and each holds a list of what it found while it waits for the reader.
    if (this.#unscanned === undefined) void this.#scan(id, subscription);
    else this.#unscanned.push([id, subscription]);
  }

  async #scan(id: string, subscription: Subscription): Promise<void> {
    this.#unscanned = [];
    let next: [string, Subscription] | undefined = [id, subscription];
    for (; next !== undefined; next = this.#unscanned.shift()) {
      await this.#sendStored(...next);
      if (this.#unscanned.length > 0) await this.pause();
    }
    this.#unscanned = undefined;
  }

  async #sendStored(id: string, subscription: Subscription): Promise<void> {
    try {
      const sent = await subscription.send(await subscription.find());
      this.#relay.observer.count("drop picked up", sent);
    } catch (error) {
      this.#relay.failed(error);
      if (this.#subscriptions.get(id) === subscription) this.#closeSubscription(id, UNREADABLE);
    }
  }

  async #count(id: string, filters: readonly Filter[]): Promise<void> {
    const scoped = scope(filters, this.keys);
    if (isReason(scoped)) {
      this.#closeSubscription(id, scoped);
      return;
    }
    try {
      const count = await countMatches(this.store, scoped, {
        now: () => this.now(),
        watermark: this.store.watermark,
        maxLimit: this.limits.limit,
        isGivenUp: () => !this.outbox.isOpen,
        pause: () => this.pause(),
      });
      this.#say(["COUNT", id, { count }]);
    } catch (error) {
      this.#relay.failed(error);
      this.#closeSubscription(id, UNREADABLE);
    }
  }

  // --- what subscriptions ask

  now(): number {
    return this.#relay.now();
  }

  /** Looking through boxes goes on in the next turn of the event loop, and costs tokens like any asking. */
  pause(): Promise<void> {
    this.#relay.chargeTurn(this.address);
    return new Promise((resolve) => setImmediate(resolve));
  }

  #unsubscribe(id: string): void {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) return;
    this.#subscriptions.delete(id);
    this.#live.remove(subscription);
    const waiting = this.#unscanned?.findIndex(([, other]) => other === subscription) ?? -1;
    if (waiting >= 0) this.#unscanned?.splice(waiting, 1);
    subscription.close();
  }

  // --- answers

  #refusal(message: ClientMessage | Misspoken): Reason | undefined {
    if (!("verb" in message && message.verb === "EVENT") && !this.#relay.mayAsk(this.address)) {
      return SLOW_DOWN;
    }
    if ("reason" in message) return message.reason;
    const { inbox, inboxBytes } = this.limits;
    const isFull = this.#inbox.length + this.#working >= inbox || this.#inboxBytes > inboxBytes;
    return isFull ? BUSY : undefined;
  }

  #refuse(message: ClientMessage | Misspoken, text: string, reason: Reason): void {
    this.#relay.refused(reason);
    if (!("verb" in message)) {
      const id = message.subscription === undefined ? peekId(text) : undefined;
      if (message.subscription !== undefined) this.#closeSubscription(message.subscription, reason);
      else if (id !== undefined && /"EVENT"/.test(text.slice(0, 64)))
        this.#say(["OK", id, false, reason]);
      else this.#notice(reason);
    } else if (message.verb === "EVENT" || message.verb === "AUTH") {
      this.#ok({ id: peekId(text), accepted: false, message: reason });
    } else if (message.verb === "CLOSE") {
      // Letting go needs no answer and makes room, so it is done all the same.
      this.#unsubscribe(message.subscription);
    } else {
      this.#closeSubscription(message.subscription, reason);
    }
  }

  #ok({ id, accepted, message }: Answer): void {
    if (id === undefined) this.#notice(message);
    else this.#say(["OK", id, accepted, message]);
  }

  #closeSubscription(id: string, reason: Reason): void {
    // What the client is told is closed is closed: a REQ that is refused ends the one it was to replace.
    this.#unsubscribe(id);
    this.#say(["CLOSED", id, reason]);
  }

  #notice(message: string): void {
    this.#say(["NOTICE", message]);
  }

  #say(message: readonly unknown[]): void {
    this.outbox.send(JSON.stringify(message));
  }
}
