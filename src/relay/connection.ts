// One client's connection. Owns its socket, and with it what goes in and out: a message is read here, waits in the inbox, is answered by the session; what
// is sent but not read is bounded by the outbox.
//
// - A message that cannot be read, or is one too many, is refused at once, by name where it has one.
// - A connection that was silent for too long is ended; so is one that lets too much wait in its outbox.
// - After `closed` it holds nothing.

import { peekId } from "../nostr/event.ts";
import {
  type ClientMessage,
  type MalformedMessage,
  type MessageLimits,
  parseMessage,
} from "../nostr/message.ts";
import type { Reason } from "../nostr/reason.ts";
import type { Socket, SocketHandlers } from "../transport/transport.ts";
import { SLOW_DOWN } from "./answer.ts";
import { Challenge } from "./challenge.ts";
import type { OpenConnection } from "./connections.ts";
import type { ConnectionHost } from "./host.ts";
import { Inbox, type InboxLimits } from "./inbox.ts";
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
  readonly #outbox: Outbox;
  readonly #challenge: Challenge;
  readonly #session: Session;
  readonly #inbox: Inbox;
  #heardAt: number;
  #pingedAt: number;

  /** `challenge` is what AUTH on this connection must answer. */
  constructor(socket: Socket, host: ConnectionHost, limits: ConnectionLimits, challenge: string) {
    this.#socket = socket;
    this.#host = host;
    this.#limits = limits;
    this.#outbox = new Outbox(socket, limits.outboxBytes, host.observer);
    const { address } = socket;
    this.#challenge = new Challenge(challenge, this.#outbox);
    const parts = { host, outbox: this.#outbox, address, challenge: this.#challenge };
    this.#session = new Session(parts, limits);
    this.#inbox = new Inbox(this.#session, limits);
    this.#heardAt = this.#pingedAt = host.runtime.monotonic();
  }

  get address(): string {
    return this.#socket.address;
  }

  // --- what the socket tells

  received(text: string | undefined): void {
    this.#challenge.endSilence();
    if (text === undefined) {
      const reason = this.#host.rates.mayAsk(this.address) ? BINARY : SLOW_DOWN;
      this.#host.refusals.add(reason);
      sayNotice(this.#outbox, reason);
      return;
    }
    const message = parseMessage(text, this.#limits);
    const refusal = this.#refusal(message);
    if (refusal !== undefined) this.#refuse(message, text, refusal);
    else if ("verb" in message) this.#inbox.add(message, text);
  }

  heard(): void {
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

  // --- refusals

  #refusal(message: ClientMessage | MalformedMessage): Reason | undefined {
    const isEvent = "verb" in message && message.verb === "EVENT";
    if (!isEvent && !this.#host.rates.mayAsk(this.address)) return SLOW_DOWN;
    if ("reason" in message) return message.reason;
    return this.#inbox.isFull ? BUSY : undefined;
  }

  #refuse(message: ClientMessage | MalformedMessage, text: string, reason: Reason): void {
    this.#host.refusals.add(reason);
    if (!("verb" in message)) {
      const id = message.subscription === undefined ? peekId(text) : undefined;
      if (message.subscription !== undefined) {
        this.#session.refuseSubscription(message.subscription, reason);
      } else if (message.reconciliation !== undefined) {
        this.#session.refuseReconciliation(message.reconciliation, reason);
      } else if (id !== undefined && /"EVENT"/.test(text.slice(0, 64))) {
        sayOk(this.#outbox, { id, accepted: false, message: reason });
      } else {
        sayNotice(this.#outbox, reason);
      }
      return;
    }
    switch (message.verb) {
      case "EVENT":
      case "AUTH":
        sayOk(this.#outbox, { id: peekId(text), accepted: false, message: reason });
        break;
      case "CLOSE":
        // Letting go needs no answer and makes room, so it is done all the same.
        this.#inbox.withdraw(message);
        this.#session.unsubscribe(message.subscription);
        break;
      case "NEG-CLOSE":
        this.#inbox.withdraw(message);
        this.#session.endReconciliation(message.reconciliation);
        break;
      case "NEG-OPEN":
      case "NEG-MSG":
        this.#session.refuseReconciliation(message.reconciliation, reason);
        break;
      case "REQ":
      case "COUNT":
        this.#session.refuseSubscription(message.subscription, reason);
    }
  }
}
