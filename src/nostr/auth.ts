import { type NostrEvent, tagValue } from "./event.ts";
import { AUTHENTICATION } from "./kinds.ts";
import type { Reason } from "./reason.ts";

/** NIP-42: "created_at is close (e.g. within ~10 minutes) of the current time". */
export const AUTH_WINDOW_SECONDS = 10 * 60;

export type AuthExpectation = {
  readonly challenge: string;
  /** Hosts (name and, unless it is the scheme's own, port) under which the relay is known. */
  readonly hosts: ReadonlySet<string>;
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
  const host = hostOf(tagValue(event, "relay") ?? "");
  if (host === undefined || !expected.hosts.has(host)) {
    return "invalid: the relay tag names another relay";
  }
  return undefined;
}

/**
 * The host of a ws(s) URL, lowercase, with the port unless it is the scheme's own; undefined when it is no such URL. NIP-42 lets a relay compare
 * domain names alone; the path and the scheme are left out because a TLS proxy in front changes them.
 */
export function hostOf(url: string): string | undefined {
  if (!/^wss?:\/\//i.test(url) || !URL.canParse(url)) return undefined;
  return new URL(url).host;
}
