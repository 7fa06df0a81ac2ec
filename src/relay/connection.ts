// One client's connection. Owns its socket, and with it what goes in and out: a message is read here, waits in the inbox, is answered by the session; what
// is sent but not read is bounded by the outbox.
//
// - A message that cannot be read, or is one too many, is refused at once, by name where it has one.
// - A connection that was silent for too long is ended; so is one that lets too much wait in its outbox.
// - After `closed` it holds nothing.

import { peekId } from "../nostr/event.ts";
import {
  type Glimpse,
  glimpse,
  isEventMessage,
  type MessageLimits,
  parseMessage,
} from "../nostr/message.ts";
import type { Reason } from "../nostr/reason.ts";
import type { Socket, SocketHandlers } from "../transport/transport.ts";
import { SLOW_DOWN } from "./answer.ts";
import { Challenge } from "./challenge.ts";
import type { OpenConnection } from "./connections.ts";
import { type Holding, TOO_MUCH } from "./holdings.ts";
import type { ConnectionHost } from "./host.ts";
import { Inbox, type InboxLimits } from "./inbox.ts";
import type { CutOff } from "./observer.ts";
import { Outbox } from "./outbox.ts";
import { sayNotice, sayOk } from "./replies.ts";
import { Session, type SessionLimits } from "./session.ts";

export type ConnectionLimits = MessageLimits & InboxLimits & SessionLimits;

const BINARY: Reason = "unsupported: binary messages are not understood";
const BUSY: Reason = "rate-limited: too many messages are waiting for an answer";

export class Connection implements SocketHandlers, OpenConnection {
  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #limits: ConnectionLimits;
  readonly #holding: Holding;
  readonly #outbox: Outbox;
  readonly #challenge: Challenge;
  readonly #session: Session;
  readonly #inbox: Inbox;
  #heardAt: number;
  #pingedAt: number;
  #isPinged = false;

  /** `challenge` is what AUTH on this connection must answer. */
  constructor(socket: Socket, host: ConnectionHost, limits: ConnectionLimits, challenge: string) {
    this.#socket = socket;
    this.#host = host;
    this.#limits = limits;
    const { address } = socket;
    this.#holding = host.holdings.of(address);
    this.#outbox = new Outbox(socket, this.#holding, limits.outboxBytes, host.observer);
    this.#challenge = new Challenge(challenge, this.#outbox);
    const [outbox, holding] = [this.#outbox, this.#holding];
    const parts = { host, outbox, holding, address, challenge: this.#challenge };
    this.#session = new Session(parts, limits);
    this.#inbox = new Inbox(this.#session, holding, limits);
    this.#heardAt = this.#pingedAt = host.runtime.monotonic();
  }

  get address(): string {
    return this.#socket.address;
  }

  // --- what the socket tells

  received(text: string | undefined): void {
    const { rates, runtime } = this.#host;
    this.#heardAt = runtime.monotonic();
    this.#challenge.endSilence();
    // Events are counted when they are published.
    const isPublished = text !== undefined && isEventMessage(text);
    if (!isPublished && !rates.mayAsk(this.address, text?.length)) {
      this.#refuse(glimpse(text ?? ""), text, SLOW_DOWN);
    } else if (text === undefined) {
      this.#refuse({}, text, BINARY);
    } else {
      const message = parseMessage(text, this.#limits);
      if ("reason" in message) this.#refuse(message, text, message.reason);
      else if (this.#inbox.isFull) this.#refuse(message, text, BUSY);
      else if (!this.#inbox.add(message, text)) this.#refuse(message, text, TOO_MUCH);
    }
    if (rates.isDeaf(this.address)) this.#outbox.cutOff("does not slow down");
  }

  pinged(): void {
    // No sign of life: who is there answers the relay's own pings.
    this.#interrupted();
    this.#outbox.checkSize();
  }

  ponged(): void {
    if (!this.#isPinged) return this.#interrupted();
    this.#isPinged = false;
    this.#heardAt = this.#host.runtime.monotonic();
  }

  drained(): void {
    this.#outbox.drained();
  }

  closed(): void {
    this.#challenge.endSilence();
    this.#session.close();
    this.#outbox.closed();
    this.#host.connections.closed(this);
    this.#inbox.clear();
    this.#holding.end();
  }

  // --- what the relay asks

  checkLife(pingSeconds: number, deadSeconds: number): void {
    const now = this.#host.runtime.monotonic();
    if (now - this.#heardAt >= deadSeconds) {
      this.#socket.terminate();
      return;
    }
    this.#outbox.checkStall(now, deadSeconds);
    if (now - this.#pingedAt >= pingSeconds) {
      this.#pingedAt = now;
      this.#isPinged = true;
      this.#socket.ping();
    }
  }

  excuse(seconds: number, now: number): void {
    // What waited may have been read before this.
    this.#heardAt = Math.min(now, this.#heardAt + seconds);
    this.#outbox.excuse(seconds, now);
  }

  answered(): Promise<void> {
    return this.#inbox.answered();
  }

  end(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  cutOff(why: CutOff): void {
    this.#outbox.cutOff(why);
  }

  // --- refusals

  // By what needs no answer of the relay, and costs it something all the same.
  #interrupted(): void {
    const { rates } = this.#host;
    rates.mayAsk(this.address);
    if (rates.isDeaf(this.address)) this.#outbox.cutOff("does not slow down");
  }

  #refuse({ verb, subscription }: Glimpse, text: string | undefined, reason: Reason): void {
    this.#host.refusals.add(reason, verb === "EVENT" ? "drop" : "request");
    if (verb === "EVENT" || verb === "AUTH") {
      sayOk(this.#outbox, { id: peekId(text ?? ""), accepted: false, message: reason });
    } else if (subscription === undefined) {
      sayNotice(this.#outbox, reason);
    } else if (verb === "CLOSE" || verb === "NEG-CLOSE") {
      // Letting go needs no answer and makes room, so it is done all the same.
      this.#inbox.withdraw(verb, subscription);
      this.#session.letGo(verb, subscription);
    } else if (verb === "NEG-OPEN" || verb === "NEG-MSG") {
      this.#session.refuseReconciliation(subscription, reason);
    } else {
      this.#session.refuseSubscription(subscription, reason);
    }
  }
}
