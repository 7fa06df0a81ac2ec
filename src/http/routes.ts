import type { HttpRequest, HttpResponse } from "../transport/transport.ts";

export type RoutesParts = {
  /** The NIP-11 document. */
  readonly information: Record<string, unknown>;
  /** Whether drops can be taken now. */
  readonly isReady: () => boolean;
  /** Whether this address may ask; also counts that it did. */
  readonly mayAsk: (address: string) => boolean;
};

// NIP-11: "Relays MUST accept CORS requests".
const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-headers": "*",
  "access-control-allow-methods": "GET, HEAD, OPTIONS",
};

type Route = (request: HttpRequest) => HttpResponse;

/** Answers the requests that are no WebSocket: who the relay is, and how it is. */
export function routes(parts: RoutesParts): (request: HttpRequest) => Promise<HttpResponse> {
  const document = JSON.stringify(parts.information);
  const front = text(
    200,
    "This is a Nostr relay that holds private messages until they are picked up. Point a Nostr client at this address.\n",
  );
  const table: Readonly<Record<string, Route>> = {
    "/": ({ headers }) =>
      headers["accept"]?.includes("application/nostr+json") === true
        ? {
            status: 200,
            headers: { ...CORS, "content-type": "application/nostr+json" },
            body: document,
          }
        : front,
    "/healthz": () => text(200, "ok\n"),
    "/readyz": () => (parts.isReady() ? text(200, "ready\n") : text(503, "not ready\n")),
  };

  return async (request) => {
    const route = table[request.path];
    if (route === undefined) return text(404, "not found\n");
    if (request.method === "OPTIONS") return { status: 204, headers: CORS, body: "" };
    if (request.method !== "GET" && request.method !== "HEAD") {
      return text(405, "method not allowed\n", { allow: "GET, HEAD, OPTIONS" });
    }
    if (request.path === "/" && !parts.mayAsk(request.address)) {
      return text(429, "too many requests\n", { "retry-after": "1" });
    }
    return route(request);
  };
}

function text(status: number, body: string, headers: Record<string, string> = {}): HttpResponse {
  return {
    status,
    headers: { ...CORS, "content-type": "text/plain; charset=utf-8", ...headers },
    body,
  };
}
