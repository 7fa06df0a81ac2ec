import { ownUrl } from "../nostr/own-url.ts";
import type { Reason } from "../nostr/reason.ts";
import { SLOW_DOWN } from "../relay/answer.ts";
import type { ConnectionHost } from "../relay/host.ts";
import type { HttpRequest, HttpResponse } from "../transport/transport.ts";
import { about, described, type Readiness } from "./about.ts";
import type { RelayInformation } from "./information.ts";
import { openapi } from "./openapi.ts";
import { pickup } from "./pickup.ts";
import { publishing } from "./publish.ts";
import { refusal, respond, text } from "./respond.ts";
import type { Method, Operation, PathValues, Routes } from "./route.ts";

export type RoutesParts = {
  /** The NIP-11 document, as it is now. */
  readonly information: () => RelayInformation;
  /** The URLs by which the relay is known, the first of them first: as they were configured, or where it listens. */
  readonly urls: () => readonly string[];
  readonly version: string;
  /** Whether drops can be taken now. */
  readonly readiness: () => Readiness;
  readonly relay: ConnectionHost;
};

export type RoutesSettings = {
  readonly maxBodyBytes: number;
  readonly maxWaitSeconds: number;
  /** Those that were configured, as they were; what is asked for may have the path of any before its own. */
  readonly publicUrls: readonly string[];
};

const ENCODED: Reason = "unsupported: content coding of the body, send it as it is";

/** Answers the requests that are no WebSocket: who the relay is, how it is, and the HTTP door to what it holds. */
export function routes(
  { information, urls, version, readiness, relay }: RoutesParts,
  { maxBodyBytes, maxWaitSeconds, publicUrls }: RoutesSettings,
): (request: HttpRequest) => Promise<HttpResponse> {
  const told: Routes = {
    ...about(information, readiness, urls),
    ...publishing(relay.publisher),
    ...pickup(relay, maxWaitSeconds),
  };
  const document = openapi({ ...told, ...described({}) }, version, publicUrls);
  const table: Routes = { ...told, ...described(document) };
  const find = finder(table);
  const withoutPath = withoutPathOf(publicUrls);

  return async (request) => {
    if (request.path === "*" && request.method === "OPTIONS") return respond(204, {});
    if (!request.path.startsWith("/") || `${request.path}${request.query}`.includes("#")) {
      return text(400, "malformed target\n");
    }
    // A path of the relay's own may be called like one of the door's, so both readings stand, and the method decides.
    const found = withoutPath(request.path).flatMap((path) => find(path) ?? []);
    if (found.length === 0) return text(404, "not found\n");
    if (request.method === "OPTIONS") return respond(204, {});
    const asked = found.find(({ operations }) => Object.hasOwn(operations, request.method));
    const operation = asked?.operations[request.method as Method];
    if (asked === undefined || operation === undefined) {
      const methods = new Set(found.flatMap(({ operations }) => Object.keys(operations)));
      const allow = [...methods, "OPTIONS"].join(", ");
      return text(405, "method not allowed\n", { allow });
    }
    const { values } = asked;
    if (operation.isCounted && !relay.rates.mayAsk(request.address, request.body?.length))
      return refused(SLOW_DOWN, 429);
    if (operation.takes !== undefined && isEncoded(request)) return refused(ENCODED, 415);
    if (request.body === undefined) {
      return refused(`invalid: request body of more than ${maxBodyBytes} bytes`, 413);
    }
    return operation.answer(request, values);
  };

  function refused(reason: Reason, status: number): HttpResponse {
    relay.refusals.add(reason, "request");
    return refusal(status, reason);
  }
}

// RFC 9110, 8.4: codings in the order in which they were applied, of which identity is none.
function isEncoded({ headers }: HttpRequest): boolean {
  const codings = (headers["content-encoding"] ?? "").split(",");
  return codings.some((coding) => !/^(?:identity)?$/i.test(coding.trim()));
}

// What a path may mean: what stands behind the path of one of the relay's URLs, and the path itself, for a proxy in front may take the first part off.
function withoutPathOf(urls: readonly string[]): (path: string) => string[] {
  const bases = new Set(urls.map((url) => ownUrl(url)?.path ?? "").filter((base) => base !== ""));
  return (path) => {
    const below = [...bases].filter((base) => path === base || path.startsWith(`${base}/`));
    return [...below.map((base) => path.slice(base.length) || "/"), path];
  };
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
