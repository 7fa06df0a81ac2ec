import type { Outbox } from "./outbox.ts";
import { sayChallenge } from "./replies.ts";

// Some libraries ask for nothing before they were challenged; so does whoever calls for AUTH by hand.
const SILENCE_MS = 1_000;

/**
 * What AUTH on one connection must answer (NIP-42), and when the client is told. Not before it asks for something that needs a key: most libraries answer
 * any challenge with their user's own key, and then the relay would know who sends. Only a connection that has said nothing at all for a second is told, too.
 */
export class Challenge {
  readonly text: string;
  readonly #outbox: Outbox;
  #isSent = false;
  #silence: NodeJS.Timeout | undefined;

  constructor(text: string, outbox: Outbox) {
    this.text = text;
    this.#outbox = outbox;
    this.#silence = setTimeout(() => {
      this.#silence = undefined;
      this.sendOnce();
    }, SILENCE_MS);
  }

  /** The client says something, or is gone. */
  endSilence(): void {
    if (this.#silence === undefined) return;
    clearTimeout(this.#silence);
    this.#silence = undefined;
  }

  /** To a client that asks for what needs a key. */
  sendOnce(): void {
    if (!this.#isSent) this.send();
  }

  /** Again, to one that may have missed it: some hear nothing that comes with the handshake, or listen only after they were refused. */
  send(): void {
    this.#isSent = true;
    sayChallenge(this.#outbox, this.text);
  }
}
