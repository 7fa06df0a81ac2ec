import { isReason, type Reason } from "../nostr/reason.ts";
import type { Reading } from "../relay/reading.ts";
import type { BoxRequest, Relay } from "../relay/relay.ts";
import type { Found } from "../relay/scan.ts";
import { type Header, ID_PREFIX_DIGITS, type Place } from "../store/store.ts";
import type { HttpRequest, HttpResponse } from "../transport/transport.ts";
import { publicKeyOf } from "../values.ts";
import { json, refusal, respond } from "./respond.ts";
import type { Operation, Parameter, PathValues, Routes } from "./route.ts";
import { statusOfReason } from "./status.ts";

const NDJSON = "application/x-ndjson";
const EVENT_STREAM = "text/event-stream";
// Nothing of a box belongs into a cache, and what is streamed is not to be gathered first (the last one is for nginx).
const NOT_KEPT = { "cache-control": "no-store", "x-accel-buffering": "no" };

const RECIPIENT: Parameter = {
  name: "recipient",
  in: "path",
  description: "whose box: npub1… or 64 lowercase hex digits",
  schema: { type: "string" },
};
const STATUSES = {
  400: "invalid: a malformed key or parameter",
  401: "auth-required: no or wrong NIP-98 authorization",
  403: "restricted: authorized with another key than the recipient's",
  429: "rate-limited: slow down, or too many connections",
  503: "error: try again",
};

/** `GET /pickup/…`: a REQ for one box, and `…/count`, its COUNT. Reading deletes nothing. */
export function pickup(
  relay: Pick<Relay, "authorize" | "read" | "failed">,
  maxWaitSeconds: number,
): Routes {
  const box: Operation = {
    summary: "What is held for the recipient, newest first; reading deletes nothing",
    parameters: [
      RECIPIENT,
      {
        name: "limit",
        in: "query",
        description: "the most drops to answer; never more than the relay's own limit",
        schema: { type: "integer", minimum: 1 },
      },
      {
        name: "cursor",
        in: "query",
        description: "where to go on: the Dead-Drop-Cursor of the answer before",
        schema: { type: "string", pattern: CURSOR.source },
      },
      {
        name: "wait",
        in: "query",
        description: "seconds to wait for a drop when there is none; not with text/event-stream",
        schema: { type: "integer", minimum: 0, maximum: maxWaitSeconds },
      },
    ],
    statuses: { 200: "one event a line, or one a server-sent event", ...STATUSES },
    answers: [NDJSON, EVENT_STREAM],
    isAuthorized: true,
    isCounted: true,
    answer: (request, values) =>
      reading(relay, request, values, { maxWaitSeconds, known: PARAMETERS, answered: answerBox }),
  };
  const count: Operation = {
    summary: "How many drops are held for the recipient",
    parameters: [RECIPIENT],
    statuses: { 200: "the number", ...STATUSES },
    answers: ["application/json"],
    isAuthorized: true,
    isCounted: true,
    answer: (request, values) =>
      reading(relay, request, values, { maxWaitSeconds, known: new Set(), answered: answerCount }),
  };
  return {
    "/pickup/{recipient}": { GET: box, HEAD: box },
    "/pickup/{recipient}/count": { GET: count, HEAD: count },
  };
}

const PARAMETERS: ReadonlySet<string> = new Set(["limit", "cursor", "wait"]);

type Way = {
  readonly maxWaitSeconds: number;
  /** The parameters it takes. */
  readonly known: ReadonlySet<string>;
  answered(reading: Reading, asked: Asked, request: HttpRequest): Promise<HttpResponse>;
};

async function reading(
  relay: Pick<Relay, "authorize" | "read" | "failed">,
  request: HttpRequest,
  values: PathValues,
  way: Way,
): Promise<HttpResponse> {
  const asked = parse(request, values["recipient"] ?? "", way.maxWaitSeconds, way.known);
  if (isReason(asked)) return refusal(400, asked);
  const keys = await proven(relay, request);
  if (isReason(keys)) return refusal(statusOfReason(keys), keys);
  const { address, gone } = request;
  const { recipient, limit, after } = asked;
  const box: BoxRequest = { address, gone, keys, recipient, limit, after };
  const opened = relay.read(box);
  if (isReason(opened)) return refusal(statusOfReason(opened), opened);
  try {
    return await way.answered(opened, asked, request);
  } catch (error) {
    opened.close();
    relay.failed(error);
    return refusal(503, "error: the box could not be read");
  }
}

async function answerCount(opened: Reading): Promise<HttpResponse> {
  const count = await opened.count();
  opened.close();
  return json(200, { count });
}

async function answerBox(
  opened: Reading,
  { isStream, wait }: Asked,
  request: HttpRequest,
): Promise<HttpResponse> {
  if (isStream && request.method === "GET") {
    return respond(200, { "content-type": EVENT_STREAM, ...NOT_KEPT }, opened.stream());
  }
  const found = await opened.find(wait);
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
  const query = new URLSearchParams(request.query);
  query.set("cursor", cursor);
  return {
    ...page,
    "dead-drop-cursor": cursor,
    ...(more && { link: `<${request.path}?${query.toString()}>; rel="next"` }),
  };
}

type Asked = {
  readonly recipient: string;
  readonly limit: number | undefined;
  readonly after: Place | undefined;
  /** Seconds. */
  readonly wait: number;
  readonly isStream: boolean;
};

// Eleven digits of time reach to the year 5138.
const CURSOR = new RegExp(`^\\d{1,11}-[0-9a-f]{${ID_PREFIX_DIGITS}}$`);

function parse(
  request: HttpRequest,
  named: string,
  maxWaitSeconds: number,
  known: ReadonlySet<string>,
): Asked | Reason {
  const recipient = publicKeyOf(named);
  if (recipient === undefined) {
    return "invalid: the path must name a key, npub1… or 64 lowercase hex digits";
  }
  const query = new URLSearchParams(request.query);
  const isStream = request.headers["accept"]?.includes(EVENT_STREAM) === true;
  const names = [...query.keys()];
  // As in a filter: to skip what is not understood would answer something else than was asked for.
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined) return `unsupported: unknown parameter ${JSON.stringify(unknown)}`;
  if (new Set(names).size < names.length) return "invalid: a parameter is given twice";
  const limit = wholeNumber(query.get("limit") ?? undefined, 1, Infinity);
  if (limit === "wrong") return "invalid: limit must be a whole number of at least 1";
  const wait = wholeNumber(query.get("wait") ?? undefined, 0, maxWaitSeconds);
  if (wait === "wrong" || (isStream && wait !== undefined)) {
    return `invalid: wait must be a whole number of seconds up to ${maxWaitSeconds}, and not with ${EVENT_STREAM}`;
  }
  const cursor = query.get("cursor");
  if (cursor !== null && !CURSOR.test(cursor)) return "invalid: malformed cursor";
  const [time, idPrefix = ""] = cursor?.split("-") ?? [];
  const after = time === undefined ? undefined : { recipient, created_at: Number(time), idPrefix };
  return { recipient, limit, after, wait: wait ?? 0, isStream };
}

function cursorOf({ created_at, idPrefix }: Header): string {
  return `${created_at}-${idPrefix.slice(0, ID_PREFIX_DIGITS)}`;
}

function wholeNumber(
  value: string | undefined,
  least: number,
  most: number,
): number | undefined | "wrong" {
  if (value === undefined) return undefined;
  const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  return number >= least && number <= most ? number : "wrong";
}

// The keys that the Authorization header proves (NIP-98): one, or none when there is no header, and then the gate says what is missing.
async function proven(
  relay: Pick<Relay, "authorize">,
  { headers, method, path, query }: HttpRequest,
): Promise<ReadonlySet<string> | Reason> {
  const header = headers["authorization"];
  if (header === undefined) return new Set();
  const [, encoded] = /^nostr +([A-Za-z0-9+/=_-]+)$/i.exec(header.trim()) ?? [];
  if (encoded === undefined) {
    return "auth-required: the Authorization header is not “Nostr” and an event in base64";
  }
  const event = Buffer.from(encoded, "base64").toString("utf8");
  const target = query === "" ? path : `${path}?${query}`;
  const authorized = await relay.authorize(event, { method, target });
  return "key" in authorized ? new Set([authorized.key]) : authorized.reason;
}
