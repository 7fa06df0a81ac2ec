import { type NostrEvent, tagValue } from "./event.ts";
import { HTTP_AUTHORIZATION } from "./kinds.ts";
import type { Reason } from "./reason.ts";

/** NIP-98: "created_at MUST be within a reasonable time window (suggestion 60 seconds)". */
export const HTTP_AUTH_WINDOW_SECONDS = 60;

export type HttpAuthExpectation = {
  readonly method: string;
  /** Path and query as they were asked for, such as `/pickup/npub1…?limit=10`. */
  readonly target: string;
  /** Hosts (name and, unless it is the scheme's own, port) under which the relay is known. */
  readonly hosts: ReadonlySet<string>;
  /** Unix time, seconds. */
  readonly now: number;
};

/**
 * Why an event does not authorize an HTTP request (NIP-98), but for its id and signature. NIP-98 wants the `u` tag to be "exactly the same as the
 * absolute request URL"; scheme and host are those that the proxy in front was asked for, so the host is looked up among the relay's own, and path
 * and query must be the same to the letter.
 */
export function unauthorized(
  event: NostrEvent,
  { method, target, hosts, now }: HttpAuthExpectation,
): Reason | undefined {
  if (event.kind !== HTTP_AUTHORIZATION) {
    return "auth-required: the authorization is not an event of kind 27235";
  }
  if (Math.abs(event.created_at - now) > HTTP_AUTH_WINDOW_SECONDS) {
    return "auth-required: created_at of the authorization is more than 60 seconds from now";
  }
  const url = tagValue(event, "u") ?? "";
  const [, host = "", path = ""] = /^https?:\/\/([^/?#]+)([^#]*)$/i.exec(url) ?? [];
  // An empty query is none.
  if (!hosts.has(hostOf(url, host)) || path.replace(/\?$/, "") !== target) {
    return "auth-required: the u tag of the authorization names another URL";
  }
  if (tagValue(event, "method") !== method) {
    return "auth-required: the method tag of the authorization names another method";
  }
  return undefined;
}

// Without the scheme's own port, as hosts are known.
function hostOf(url: string, host: string): string {
  return URL.canParse(url) ? new URL(url).host : host;
}
