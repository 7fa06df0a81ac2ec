import type { Reason } from "../nostr/reason.ts";
import { SLOW_DOWN } from "../relay/answer.ts";
import type { ConnectionHost } from "../relay/host.ts";
import type { HttpRequest, HttpResponse } from "../transport/transport.ts";
import { about, described, type Readiness } from "./about.ts";
import { openapi } from "./openapi.ts";
import { pickup } from "./pickup.ts";
import { publishing } from "./publish.ts";
import { refusal, respond, text } from "./respond.ts";
import type { Method, Operation, PathValues, Routes } from "./route.ts";

export type RoutesParts = {
  /** The NIP-11 document. */
  readonly information: Record<string, unknown>;
  readonly version: string;
  /** Whether drops can be taken now. */
  readonly readiness: () => Readiness;
  readonly relay: ConnectionHost;
};

export type RoutesSettings = {
  readonly maxBodyBytes: number;
  readonly maxWaitSeconds: number;
};

const ENCODED: Reason = "unsupported: content coding of the body, send it as it is";

/** Answers the requests that are no WebSocket: who the relay is, how it is, and the HTTP door to what it holds. */
export function routes(
  { information, version, readiness, relay }: RoutesParts,
  { maxBodyBytes, maxWaitSeconds }: RoutesSettings,
): (request: HttpRequest) => Promise<HttpResponse> {
  const told: Routes = {
    ...about(information, readiness),
    ...publishing(relay.publisher),
    ...pickup(relay, maxWaitSeconds),
  };
  const document = openapi({ ...told, ...described({}) }, version);
  const table: Routes = { ...told, ...described(document) };
  const find = finder(table);

  return async (request) => {
    if (request.path === "*" && request.method === "OPTIONS") return respond(204, {});
    if (!request.path.startsWith("/") || `${request.path}${request.query}`.includes("#")) {
      return text(400, "malformed target\n");
    }
    const found = find(request.path);
    if (found === undefined) return text(404, "not found\n");
    const { operations, values } = found;
    if (request.method === "OPTIONS") return respond(204, {});
    const operation = Object.hasOwn(operations, request.method)
      ? operations[request.method as Method]
      : undefined;
    if (operation === undefined) {
      const allow = [...Object.keys(operations), "OPTIONS"].join(", ");
      return text(405, "method not allowed\n", { allow });
    }
    if (operation.isCounted && !relay.rates.mayAsk(request.address, request.body?.length))
      return refused(SLOW_DOWN, 429);
    if (operation.takes !== undefined && isEncoded(request)) return refused(ENCODED, 415);
    if (request.body === undefined) {
      return refused(`invalid: request body of more than ${maxBodyBytes} bytes`, 413);
    }
    return operation.answer(request, values);
  };

  function refused(reason: Reason, status: number): HttpResponse {
    relay.refusals.add(reason);
    return refusal(status, reason);
  }
}

// RFC 9110, 8.4: codings in the order in which they were applied, of which identity is none.
function isEncoded({ headers }: HttpRequest): boolean {
  const codings = (headers["content-encoding"] ?? "").split(",");
  return codings.some((coding) => !/^\s*(?:identity)?\s*$/i.test(coding));
}

type Found = {
  readonly operations: Readonly<Partial<Record<Method, Operation>>>;
  readonly values: PathValues;
};

// Looks a path up among the templates. A path without values is found at once.
function finder(routes: Routes): (path: string) => Found | undefined {
  const templates = Object.entries(routes)
    .filter(([template]) => template.includes("{"))
    .map(([template, operations]) => {
      const pattern = template.replace(/\{(\w+)\}/g, "(?<$1>[^/]+)");
      return { pattern: new RegExp(`^${pattern}$`), operations };
    });
  return (path) => {
    if (Object.hasOwn(routes, path)) return { operations: routes[path] ?? {}, values: {} };
    for (const { pattern, operations } of templates) {
      const match = pattern.exec(path);
      if (match !== null) return { operations, values: match.groups ?? {} };
    }
    return undefined;
  };
}
