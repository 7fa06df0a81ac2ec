// The messages of one client that wait for their answer, and the order in which they get it.
//
// - EVENT and AUTH are worked on side by side; REQ, COUNT and CLOSE wait until everything before them was answered. So an AUTH and a REQ may arrive in
//   one flight, and a REQ after an acknowledgement does not show what was acknowledged.
// - A REQ or COUNT that came before a key did is held until AUTH is answered, and overtaken meanwhile: most clients that connect anew ask before they
//   authenticate. For `HELD_MS` at most; those that are held keep their order, and a CLOSE takes its REQ back. NEG-OPEN, NEG-MSG and NEG-CLOSE are to
//   reconciliations what REQ and CLOSE are to subscriptions.
// - At most `inbox` messages, of `inboxBytes` together, wait; what is held and what is being worked on counts.

import type { ClientMessage } from "../nostr/message.ts";

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

type Ending = Extract<ClientMessage, { verb: "CLOSE" | "NEG-CLOSE" }>;
type Waiting = { readonly message: ClientMessage; readonly text: string };
/** `until`: milliseconds, as `performance.now` tells them. */
type Held = Waiting & { readonly until: number };

export class Inbox {
  readonly #answering: Answering;
  readonly #limits: InboxLimits;
  readonly #waiting: (Waiting | Held)[] = [];
  #held: Held[] = [];
  #timer: NodeJS.Timeout | undefined;
  #bytes = 0;
  #working = 0;
  #authenticating = 0;
  #idle: (() => void) | undefined;

  constructor(answering: Answering, limits: InboxLimits) {
    this.#answering = answering;
    this.#limits = limits;
  }

  /** Whether one more message would be too much. */
  get isFull(): boolean {
    const { inbox, inboxBytes } = this.#limits;
    const count = this.#waiting.length + this.#held.length + this.#working;
    return count >= inbox || this.#bytes > inboxBytes;
  }

  add(message: ClientMessage, text: string): void {
    this.#waiting.push({ message, text });
    this.#bytes += text.length;
    this.#work();
  }

  /** Forgets the REQ or NEG-OPEN that this ends, should it be held. */
  withdraw(end: Ending): void {
    this.#held = this.#held.filter(({ message, text }) => {
      const isMeant =
        end.verb === "CLOSE"
          ? message.verb === "REQ" && message.subscription === end.subscription
          : message.verb === "NEG-OPEN" && message.reconciliation === end.reconciliation;
      if (isMeant) this.#bytes -= text.length;
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
      if (verb === "CLOSE" || verb === "NEG-CLOSE") this.withdraw(next.message);
      if (!("until" in next) && this.#answering.awaitsKey(next.message)) {
        this.#hold(next);
        continue;
      }
      const answered = this.#answering.answer(next.message, next.text);
      if (answered === undefined) this.#bytes -= next.text.length;
      else void this.#finish(answered, next);
    }
  }

  async #finish(answered: Promise<void>, { message, text }: Waiting): Promise<void> {
    const isAuth = message.verb === "AUTH";
    this.#working += 1;
    if (isAuth) this.#authenticating += 1;
    await answered;
    this.#working -= 1;
    if (isAuth) this.#authenticating -= 1;
    this.#bytes -= text.length;
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
