// The messages of one client that wait for their answer, and the order in which they get it.
//
// - EVENT and AUTH are worked on side by side; REQ, COUNT and CLOSE wait until everything before them was answered. So an AUTH and a REQ may arrive in
//   one flight, and a REQ after an acknowledgement does not show what was acknowledged.
// - A REQ or COUNT that came before a key did is held until AUTH is answered, and overtaken meanwhile: most clients that connect anew ask before they
//   authenticate. For `HELD_MS` at most; those that are held keep their order, and a CLOSE takes its REQ back.
// - NEG-OPEN, NEG-MSG and NEG-CLOSE are to reconciliations (NIP-77) what REQ and CLOSE are to subscriptions.
// - At most `inbox` messages, of `inboxBytes` together, wait; what is held and what is being worked on counts.

import type { ClientMessage } from "../nostr/message.ts";
import { bytesOf, type Holding } from "./holdings.ts";

export type InboxLimits = { readonly inbox: number; readonly inboxBytes: number };

/** Who answers the messages. */
export type Answering = {
  /** False when nobody hears the answers any more. */
  readonly isOpen: boolean;
  /** Whether the message needs a key that AUTH has yet to bring. */
  awaitsKey(message: ClientMessage): boolean;
  /** Answers one message: at once, or when the promise resolves. Never rejects. */
  answer(message: ClientMessage, text: string): Promise<void> | undefined;
};

/** How long a message waits for the key it needs. A signer in another process has answered by then, a person has not. */
const HELD_MS = 500;

type Waiting = { readonly message: ClientMessage; readonly text: string; readonly bytes: number };
/** `until`: milliseconds, as `performance.now` tells them. */
type Held = Waiting & { readonly until: number };

export class Inbox {
  readonly #answering: Answering;
  readonly #limits: InboxLimits;
  readonly #holding: Holding;
  readonly #waiting: (Waiting | Held)[] = [];
  #held: Held[] = [];
  #timer: NodeJS.Timeout | undefined;
  #bytes = 0;
  #working = 0;
  #authenticating = 0;
  #idle: (() => void) | undefined;

  constructor(answering: Answering, holding: Holding, limits: InboxLimits) {
    this.#answering = answering;
    this.#holding = holding;
    this.#limits = limits;
  }

  /** Whether one more message would be too much. */
  get isFull(): boolean {
    const { inbox, inboxBytes } = this.#limits;
    const count = this.#waiting.length + this.#held.length + this.#working;
    return count >= inbox || this.#bytes > inboxBytes;
  }

  /** Has a message answered. False when the relay cannot keep it until then. */
  add(message: ClientMessage, text: string): boolean {
    const bytes = text.length + bytesBeside(message);
    if (!this.#holding.take(bytes)) return false;
    this.#waiting.push({ message, text, bytes });
    this.#bytes += bytes;
    this.#work();
    return true;
  }

  /** Forgets the REQ of this subscription, or the NEG-OPEN of this reconciliation, should it be held. */
  withdraw(verb: "CLOSE" | "NEG-CLOSE", subscription: string): void {
    const opening = verb === "CLOSE" ? "REQ" : "NEG-OPEN";
    this.#held = this.#held.filter(({ message, bytes }) => {
      const isMeant = message.verb === opening && message.subscription === subscription;
      if (isMeant) this.#done(bytes);
      return !isMeant;
    });
  }

  /** Forgets what waits: the client is gone. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#waiting.length = this.#held.length = 0;
    if (this.#working === 0) this.#idle?.();
  }

  /** Resolves when everything that was asked has its answer. */
  answered(): Promise<void> {
    if (this.#working === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }

  #work(): void {
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined) break;
      const { verb } = next.message;
      const sideBySide = verb === "EVENT" || verb === "AUTH";
      if (!sideBySide && this.#working > 0) break;
      this.#waiting.shift();
      if (verb === "CLOSE" || verb === "NEG-CLOSE") this.withdraw(verb, next.message.subscription);
      if (!("until" in next) && this.#answering.awaitsKey(next.message)) {
        this.#hold(next);
        continue;
      }
      const answered = this.#answering.answer(next.message, next.text);
      if (answered === undefined) this.#done(next.bytes);
      else void this.#finish(answered, next);
    }
  }

  #done(bytes: number): void {
    this.#bytes -= bytes;
    this.#holding.give(bytes);
  }

  async #finish(answered: Promise<void>, { message, bytes }: Waiting): Promise<void> {
    const isAuth = message.verb === "AUTH";
    this.#working += 1;
    if (isAuth) this.#authenticating += 1;
    await answered;
    this.#working -= 1;
    if (isAuth) this.#authenticating -= 1;
    this.#done(bytes);
    if (this.#answering.isOpen) {
      if (isAuth && this.#authenticating === 0) this.#release(Infinity);
      this.#work();
    }
    if (this.#working === 0) this.#idle?.();
  }

  #hold(waiting: Waiting): void {
    this.#held.push({ ...waiting, until: performance.now() + HELD_MS });
    this.#timer ??= setTimeout(() => this.#timeUp(), HELD_MS);
  }

  #timeUp(): void {
    this.#timer = undefined;
    const now = performance.now();
    this.#release(now);
    const [next] = this.#held;
    if (next !== undefined) this.#timer = setTimeout(() => this.#timeUp(), next.until - now);
    this.#work();
  }

  // Those whose time is up are next: with the key if it came, and without it if not.
  #release(now: number): void {
    const still = this.#held.findIndex(({ until }) => until > now);
    const released = this.#held.splice(0, still < 0 ? this.#held.length : still);
    this.#waiting.unshift(...released);
  }
}

// What a parsed message takes beside its text.
function bytesBeside(message: ClientMessage): number {
  if ("filters" in message) return bytesOf(message.filters);
  const filterBytes = "filter" in message ? bytesOf([message.filter]) : 0;
  return filterBytes + ("hex" in message ? message.hex.length : 0);
}
