import { type NostrEvent, tagValue } from "./event.ts";
import { AUTHENTICATION } from "./kinds.ts";
import { knownAs, namesOneOf, type OwnUrl } from "./own-url.ts";
import type { Reason } from "./reason.ts";

/** NIP-42: "created_at is close (e.g. within ~10 minutes) of the current time". */
export const AUTH_WINDOW_SECONDS = 10 * 60;

export type AuthExpectation = {
  readonly challenge: string;
  /** Under which the relay is known; their hosts count, for a proxy changes the rest. */
  readonly urls: readonly OwnUrl[];
  /** Unix time, seconds. */
  readonly now: number;
};

/** Why an AUTH event does not answer the challenge of this connection (NIP-42, "Signed Event Verification"), but for its id and signature. */
export function misauthenticated(event: NostrEvent, expected: AuthExpectation): Reason | undefined {
  if (event.kind !== AUTHENTICATION) return "invalid: AUTH takes an event of kind 22242";
  if (Math.abs(event.created_at - expected.now) > AUTH_WINDOW_SECONDS) {
    return "invalid: created_at is more than 10 minutes from now";
  }
  if (tagValue(event, "challenge") !== expected.challenge) {
    return "invalid: the challenge is not the one of this connection";
  }
  if (!namesOneOf(expected.urls, tagValue(event, "relay") ?? "")) {
    return `invalid: the relay tag names another relay${knownAs(expected.urls)}`;
  }
  return undefined;
}
