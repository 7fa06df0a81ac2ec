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
  { method, target, urls, now }: HttpAuthExpectation,
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
  if (!isUrlOf(url, target, urls)) {
    return "auth-required: the u tag of the authorization names another URL";
  }
  if (tagValue(event, "method") !== method) {
    return "auth-required: the method tag of the authorization names another method";
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
