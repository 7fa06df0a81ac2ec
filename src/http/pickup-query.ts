// What is asked of a box over HTTP: the key in the path, the parameters, and the form of the answer.

import { publicKeyOf } from "../nostr/public-key.ts";
import type { Reason } from "../nostr/reason.ts";
import { type Header, ID_PREFIX_DIGITS, type Place } from "../store/store.ts";
import type { HttpRequest } from "../transport/transport.ts";
import { accepts } from "./accept.ts";
import type { Parameter } from "./route.ts";

export const EVENT_STREAM = "text/event-stream";

export type PickupQuery = {
  readonly recipient: string;
  readonly limit: number | undefined;
  readonly after: Place | undefined;
  /** Seconds. */
  readonly wait: number;
  readonly isStream: boolean;
};

export const RECIPIENT: Parameter = {
  name: "recipient",
  in: "path",
  description: "whose box: npub1… or 64 lowercase hex digits",
  schema: { type: "string" },
};

// Eleven digits of time reach to the year 5138.
const CURSOR = new RegExp(`^\\d{1,11}-[0-9a-f]{${ID_PREFIX_DIGITS}}$`);

/** The parameters of a box, of which `wait` takes so many seconds at most. */
export function parameters(maxWaitSeconds: number): readonly Parameter[] {
  return [
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
  ];
}

/** Reads a request for the box that its path calls `named`; only parameters that are `known` may be given. Answers what is wrong with it instead. */
export function parseQuery(
  request: HttpRequest,
  named: string,
  maxWaitSeconds: number,
  known: ReadonlySet<string>,
): PickupQuery | Reason {
  const recipient = publicKeyOf(named);
  if (recipient === undefined) {
    return "invalid: the path must name a key, npub1… or 64 lowercase hex digits";
  }
  const query = new URLSearchParams(request.query);
  const isStream = accepts(request.headers["accept"], EVENT_STREAM);
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

/** Where to go on behind a drop. */
export function cursorOf({ created_at, idPrefix }: Header): string {
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
