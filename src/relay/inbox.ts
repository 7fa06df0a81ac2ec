// The messages of one client that wait for their answer, and the order in which they get it.
//
// - EVENT and AUTH are worked on side by side; REQ, COUNT and CLOSE wait until everything before them was answered. So an AUTH and a REQ may arrive in
//   one flight, and a REQ after an acknowledgement does not show what was acknowledged.
// - At most `inbox` messages, of `inboxBytes` together, wait; what is being worked on counts.

import type { ClientMessage } from "../nostr/message.ts";

export type InboxLimits = { readonly inbox: number; readonly inboxBytes: number };

/** Who answers the messages. */
export type Answering = {
  /** False when nobody hears the answers any more. */
  readonly isOpen: boolean;
  /** Answers one message: at once, or when the promise resolves. Never rejects. */
  answer(message: ClientMessage, text: string): Promise<void> | undefined;
};

type Waiting = { readonly message: ClientMessage; readonly text: string };

export class Inbox {
  readonly #answering: Answering;
  readonly #limits: InboxLimits;
  readonly #waiting: Waiting[] = [];
  #bytes = 0;
  #working = 0;
  #idle: (() => void) | undefined;

  constructor(answering: Answering, limits: InboxLimits) {
    this.#answering = answering;
    this.#limits = limits;
  }

  /** Whether one more message would be too much. */
  get isFull(): boolean {
    const { inbox, inboxBytes } = this.#limits;
    return this.#waiting.length + this.#working >= inbox || this.#bytes > inboxBytes;
  }

  add(message: ClientMessage, text: string): void {
    this.#waiting.push({ message, text });
    this.#bytes += text.length;
    this.#work();
  }

  /** Forgets what waits: the client is gone. */
  clear(): void {
    this.#waiting.length = 0;
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
      const answered = this.#answering.answer(next.message, next.text);
      if (answered === undefined) this.#bytes -= next.text.length;
      else void this.#finish(answered, next.text);
    }
  }

  async #finish(answered: Promise<void>, text: string): Promise<void> {
    this.#working += 1;
    await answered;
    this.#working -= 1;
    this.#bytes -= text.length;
    if (this.#answering.isOpen) this.#work();
    if (this.#working === 0) this.#idle?.();
  }
}
