import type { Reason } from "../nostr/reason.ts";
import type { Answer } from "./answer.ts";
import type { Outbox } from "./outbox.ts";

/** What the relay says to one client beside events and EOSE: NIP-01's OK, CLOSED and NOTICE, NIP-42's AUTH, NIP-45's COUNT. */
export class Replies {
  readonly #outbox: Outbox;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** Without an id there is nothing to say OK to. */
  ok({ id, accepted, message }: Answer): void {
    if (id === undefined) this.notice(message);
    else this.#say(["OK", id, accepted, message]);
  }

  closed(subscription: string, reason: Reason): void {
    this.#say(["CLOSED", subscription, reason]);
  }

  count(subscription: string, count: number): void {
    this.#say(["COUNT", subscription, { count }]);
  }

  challenge(challenge: string): void {
    this.#say(["AUTH", challenge]);
  }

  notice(message: string): void {
    this.#say(["NOTICE", message]);
  }

  #say(message: readonly unknown[]): void {
    this.#outbox.send(JSON.stringify(message));
  }
}
