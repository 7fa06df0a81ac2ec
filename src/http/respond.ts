import type { Reason } from "../nostr/reason.ts";
import type { HttpResponse } from "../transport/transport.ts";

type Headers = Readonly<Record<string, string>>;

// NIP-11: "Relays MUST accept CORS requests". The wildcard does not cover Authorization (Fetch Standard, "CORS non-wildcard request-header name").
const CORS: Headers = {
  "access-control-allow-origin": "*",
  "access-control-allow-headers": "authorization, *",
  "access-control-allow-methods": "GET, HEAD, POST, OPTIONS",
  "access-control-expose-headers": "*",
  "access-control-max-age": "86400",
};

/** An answer that a page of any origin may read. */
export function respond(
  status: number,
  headers: Headers,
  body: HttpResponse["body"] = "",
): HttpResponse {
  return { status, headers: { ...CORS, ...headers }, body };
}

export function text(status: number, body: string, headers: Headers = {}): HttpResponse {
  return respond(status, { "content-type": "text/plain; charset=utf-8", ...headers }, body);
}

export function json(status: number, value: unknown, headers: Headers = {}): HttpResponse {
  return respond(
    status,
    // What is said of drops is for one reader and one moment.
    { "content-type": "application/json", "cache-control": "no-store", ...headers },
    `${JSON.stringify(value)}\n`,
  );
}

/** A refusal in the words of the socket; `id` where there is an event it speaks of. */
export function refusal(status: number, reason: Reason, id?: string): HttpResponse {
  return json(status, { ...(id !== undefined && { id }), accepted: false, reason }, hints(status));
}

// When it is worth while to ask again: a full box has room after its recipient was there, whenever that is.
const RETRY_AFTER_SECONDS: Readonly<Record<number, number>> = { 429: 1, 503: 5, 507: 3_600 };

/** The headers that a refusal of this status comes with. */
export function hints(status: number): Headers {
  const seconds = RETRY_AFTER_SECONDS[status];
  return {
    ...(seconds !== undefined && { "retry-after": String(seconds) }),
    // RFC 9110, 12.5.3: what a body may be encoded with.
    ...(status === 415 && { "accept-encoding": "identity" }),
    ...(status === 401 && { "www-authenticate": "Nostr" }),
  };
}
