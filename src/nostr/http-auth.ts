import { type NostrEvent, tagValue } from "./event.ts";
import { HTTP_AUTHORIZATION } from "./kinds.ts";
import { knownAs, namesOneOf, type OwnUrl } from "./own-url.ts";
import type { Reason } from "./reason.ts";
import { readUrl } from "./url.ts";

/** NIP-98: "created_at MUST be within a reasonable time window (suggestion 60 seconds)". */
export const HTTP_AUTH_WINDOW_SECONDS = 60;

export type HttpAuthExpectation = {
  readonly method: string;
  /** Path and query as they came here, such as `/pickup/npub1…?limit=10`. */
  readonly target: string;
  /** The SHA-256 of the body in hex, where the request is of NIP-86: the authorization must name it in its `payload` tag, and is for the relay's own URL. */
  readonly payload?: string | undefined;
  /** Under which the relay is known. */
  readonly urls: readonly OwnUrl[];
  /** Unix time, seconds. */
  readonly now: number;
};

/**
 * Why an event does not authorize an HTTP request (NIP-98), but for its id and signature. NIP-98 wants the `u` tag to be "exactly the same as the
 * absolute request URL"; scheme and host are those that the proxy in front was asked for, so the host is looked up among the relay's own. Path and query
 * must be the same to the letter, but for the path of that own URL, which the proxy may have taken off.
 */
export function unauthorized(
  event: NostrEvent,
  { method, target, payload, urls, now }: HttpAuthExpectation,
): Reason | undefined {
  if (event.kind !== HTTP_AUTHORIZATION) {
    return "auth-required: the authorization is not an event of kind 27235";
  }
  if (Math.abs(event.created_at - now) > HTTP_AUTH_WINDOW_SECONDS) {
    return "auth-required: created_at of the authorization is more than 60 seconds from now";
  }
  const url = tagValue(event, "u") ?? "";
  if (!namesOneOf(urls, url)) {
    return `auth-required: the u tag of the authorization names another relay${knownAs(urls)}`;
  }
  const isRelay = payload !== undefined && isRelayUrl(url, target, urls);
  if (!isUrlOf(url, target, urls) && !isRelay) {
    return "auth-required: the u tag of the authorization names another URL";
  }
  if (tagValue(event, "method") !== method) {
    return "auth-required: the method tag of the authorization names another method";
  }
  if (payload === undefined) return undefined;
  const named = tagValue(event, "payload");
  if (named === undefined) return "auth-required: the authorization has no payload tag";
  if (named.toLowerCase() !== payload) {
    return "auth-required: the payload tag of the authorization is not the SHA-256 of the body";
  }
  return undefined;
}

function isUrlOf(url: string, target: string, urls: readonly OwnUrl[]): boolean {
  const named = readUrl(url);
  // An empty query is none.
  const signed = named?.target.replace(/\?$/, "");
  return (
    signed === target ||
    urls.some(({ host, path }) => host === named?.host && signed === path + target)
  );
}

// NIP-86: "The u tag is the relay URL". With a slash at its end or without, as it is asked for.
function isRelayUrl(url: string, target: string, urls: readonly OwnUrl[]): boolean {
  const named = readUrl(url);
  const [signed, asked] = [named?.target, target].map((text) => text?.replace(/\/$/, ""));
  return urls.some(
    ({ host, path }) => host === named?.host && signed === path && (asked === path || asked === ""),
  );
}
