import { misauthenticated } from "../nostr/auth.ts";
import { type HttpAuthExpectation, unauthorized } from "../nostr/http-auth.ts";
import type { OwnUrl } from "../nostr/own-url.ts";
import type { Reason } from "../nostr/reason.ts";
import { type Answer, NOT_CHECKED } from "./answer.ts";
import type { Examination } from "./examination.ts";
import type { Observer } from "./observer.ts";
import type { Refusals } from "./refusals.ts";
import type { Runtime } from "./runtime.ts";

export type AuthenticatorParts = {
  readonly examination: Examination;
  readonly refusals: Refusals;
  readonly observer: Observer;
  readonly runtime: Runtime;
  /** Under which the relay is known. */
  readonly urls: readonly OwnUrl[];
};

/** Who asks over HTTP, by an event that says so (NIP-98). */
export type Authorized = {
  readonly key: string;
  readonly id: string;
  readonly created_at: number;
};

/** Says which key an event proves: one that answers the challenge of a connection (NIP-42), or one that authorizes an HTTP request (NIP-98). */
export class Authenticator {
  readonly #parts: AuthenticatorParts;

  constructor(parts: AuthenticatorParts) {
    this.#parts = parts;
  }

  /** Takes a raw AUTH message. `key` is the key it proves, undefined when it proves none. */
  async authenticate(text: string, challenge: string): Promise<{ answer: Answer; key?: string }> {
    const { examination, refusals, observer, runtime, urls } = this.#parts;
    const examined = await examination.of(text, "request");
    if ("accepted" in examined) return { answer: examined };
    if (examined.outcome !== "auth") {
      const reason = examined.outcome === "refused" ? examined.reason : "invalid: not an AUTH";
      return { answer: refusals.answer(examined.id, reason, "request") };
    }
    const { id, event } = examined;
    const reason = misauthenticated(event, { challenge, urls, now: runtime.now() });
    if (reason !== undefined) return { answer: refusals.answer(id, reason, "request") };
    observer.count("key authenticated");
    return { answer: { id, accepted: true, message: "" }, key: event.pubkey };
  }

  /** Takes the event of an Authorization header as JSON. Answers the key it proves, with the event's id and time, or why it proves none. */
  async authorize(
    event: string,
    expected: Pick<HttpAuthExpectation, "method" | "target" | "payload">,
  ): Promise<Authorized | { reason: Reason }> {
    const { examination, observer, runtime, urls } = this.#parts;
    const examined = await examination.of(`["AUTH",${event}]`, "request");
    if ("accepted" in examined) return { reason: examined.message || NOT_CHECKED };
    if (examined.outcome !== "auth") {
      const reason = examined.outcome === "refused" ? examined.reason : NOT_CHECKED;
      return { reason: `auth-required: ${reason}` };
    }
    const reason = unauthorized(examined.event, { ...expected, urls, now: runtime.now() });
    if (reason !== undefined) return { reason };
    observer.count("key authenticated");
    const { id, pubkey, created_at } = examined.event;
    return { key: pubkey, id, created_at };
  }
}
