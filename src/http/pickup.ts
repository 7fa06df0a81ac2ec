import { isReason } from "../nostr/reason.ts";
import { UNREADABLE } from "../relay/answer.ts";
import type { ConnectionHost } from "../relay/host.ts";
import { type HttpPickup, httpPickup } from "../relay/http-pickup.ts";
import { reportFailure } from "../relay/observer.ts";
import type { Found } from "../relay/scan.ts";
import type { HttpRequest, HttpResponse } from "../transport/transport.ts";
import { provenKeys } from "./authorization.ts";
import {
  cursorOf,
  EVENT_STREAM,
  parameters,
  parseQuery,
  type PickupQuery,
  RECIPIENT,
} from "./pickup-query.ts";
import { json, refusal, respond } from "./respond.ts";
import type { Operation, PathValues, Routes } from "./route.ts";
import { statusOfReason } from "./status.ts";

const NDJSON = "application/x-ndjson";
// Nothing of a box belongs into a cache, and what is streamed is not to be gathered first (the last one is for nginx).
const NOT_KEPT = { "cache-control": "no-store", "x-accel-buffering": "no" };

const STATUSES = {
  400: "invalid: a malformed key or parameter",
  401: "auth-required: no or wrong NIP-98 authorization",
  403: "restricted: authorized with another key than the recipient's",
  429: "rate-limited: slow down, or too many connections",
  503: "error: try again",
};

/** `GET /pickup/…`: a REQ for one box, and `…/count`, its COUNT. Reading deletes nothing. */
export function pickup(host: ConnectionHost, maxWaitSeconds: number): Routes {
  const own = parameters(maxWaitSeconds);
  const names = new Set(own.map(({ name }) => name));
  const box: Operation = {
    summary: "What is held for the recipient, newest first; reading deletes nothing",
    parameters: [RECIPIENT, ...own],
    statuses: { 200: "one event a line, or one a server-sent event", ...STATUSES },
    answers: [NDJSON, EVENT_STREAM],
    isAuthorized: true,
    isCounted: true,
    answer: (request, values) =>
      read(host, request, values, { maxWaitSeconds, parameters: names, answer: answerBox }),
  };
  const count: Operation = {
    summary: "How many drops are held for the recipient",
    parameters: [RECIPIENT],
    statuses: { 200: "the number", ...STATUSES },
    answers: ["application/json"],
    isAuthorized: true,
    isCounted: true,
    answer: (request, values) =>
      read(host, request, values, { maxWaitSeconds, parameters: new Set(), answer: answerCount }),
  };
  return {
    "/pickup/{recipient}": { GET: box, HEAD: box },
    "/pickup/{recipient}/count": { GET: count, HEAD: count },
  };
}

type Reading = {
  readonly maxWaitSeconds: number;
  /** The names of those it takes. */
  readonly parameters: ReadonlySet<string>;
  readonly answer: (
    pickup: HttpPickup,
    query: PickupQuery,
    request: HttpRequest,
  ) => Promise<HttpResponse>;
};

async function read(
  host: ConnectionHost,
  request: HttpRequest,
  values: PathValues,
  { maxWaitSeconds, parameters, answer }: Reading,
): Promise<HttpResponse> {
  const query = parseQuery(request, values["recipient"] ?? "", maxWaitSeconds, parameters);
  if (isReason(query)) return refusal(400, query);
  const keys = await provenKeys(host.authenticator, request);
  if (isReason(keys)) return refusal(statusOfReason(keys), keys);
  const { address, gone } = request;
  const { recipient, limit, after } = query;
  const opened = httpPickup(host, { address, gone, keys, recipient, limit, after });
  if (isReason(opened)) return refusal(statusOfReason(opened), opened);
  try {
    return await answer(opened, query, request);
  } catch (error) {
    opened.close();
    reportFailure(host.log, error);
    return refusal(503, UNREADABLE);
  }
}

async function answerCount(opened: HttpPickup): Promise<HttpResponse> {
  const count = await opened.count();
  opened.close();
  return json(200, { count });
}

async function answerBox(
  opened: HttpPickup,
  { isStream, wait }: PickupQuery,
  request: HttpRequest,
): Promise<HttpResponse> {
  if (isStream && request.method === "GET") {
    return respond(200, { "content-type": EVENT_STREAM, ...NOT_KEPT }, opened.stream());
  }
  const found = await opened.find(wait);
  if (isReason(found)) {
    opened.close();
    return refusal(statusOfReason(found), found);
  }
  const head = { "content-type": isStream ? EVENT_STREAM : NDJSON, ...NOT_KEPT };
  const body = opened.sendFound(found);
  // The writer is not called, so nobody else would close it.
  if (request.method === "HEAD") opened.close();
  return respond(200, { ...head, ...pageOf(found, request) }, body);
}

function pageOf({ headers, more }: Found, request: HttpRequest): Record<string, string> {
  const last = headers.at(-1);
  const page = {
    "dead-drop-count": String(headers.length),
    "dead-drop-finished": String(!more),
  };
  if (last === undefined) return page;
  const cursor = cursorOf(last);
  // Relative to whatever was asked for (RFC 3986, 5.2.2): a proxy may have taken a part of the path off.
  const query = new URLSearchParams(request.query);
  query.set("cursor", cursor);
  return {
    ...page,
    "dead-drop-cursor": cursor,
    ...(more && { link: `<?${query.toString()}>; rel="next"` }),
  };
}
