import { type Filter, parseFilter } from "./filter.ts";
import { isReason, type Reason } from "./reason.ts";

/** What a client may say (NIP-01, NIP-42, NIP-45, NIP-77). The event of an EVENT or AUTH is not looked at here: that is done away from the event loop. */
export type ClientMessage =
  | { readonly verb: "EVENT" }
  | { readonly verb: "AUTH"; readonly event: unknown }
  | {
      readonly verb: "REQ" | "COUNT";
      readonly subscription: string;
      readonly filters: readonly Filter[];
    }
  | {
      readonly verb: "NEG-OPEN";
      readonly subscription: string;
      readonly filter: Filter;
      readonly hex: string;
    }
  | { readonly verb: "NEG-MSG"; readonly subscription: string; readonly hex: string }
  | { readonly verb: "CLOSE" | "NEG-CLOSE"; readonly subscription: string };

/**
 * What a message seems to be, as far as it takes to address a refusal: OK to an event, CLOSED to a subscription, NEG-ERR to a reconciliation, whose ids are
 * apart (NIP-77), else a NOTICE (NIP-01).
 */
export type Glimpse = { readonly verb?: ClientMessage["verb"]; readonly subscription?: string };

/** A message that cannot be obeyed, and the subscription or reconciliation to close with the reason when it named one. */
export type MalformedMessage = Glimpse & { readonly reason: Reason };

export type MessageLimits = { readonly filters: number; readonly filterValues: number };

const EVENT_MESSAGE = /^\s*\[\s*"EVENT"\s*,/;
export const MAX_SUBSCRIPTION_CHARS = 64;

/** Whether a message is an EVENT, by its first characters. One that writes its verb in another way is found to be one when it is parsed. */
export function isEventMessage(text: string): boolean {
  return EVENT_MESSAGE.test(text);
}

const BEGINNING =
  /^\s*\[\s*"(EVENT|AUTH|REQ|COUNT|CLOSE|NEG-OPEN|NEG-MSG|NEG-CLOSE)"(?:\s*,\s*("(?:[^"\\]|\\.){0,400}"))?/;

/** Looks at the first characters alone: for a message that is no JSON, or is refused before it is parsed. */
export function glimpse(text: string): Glimpse {
  const [, verb, id] = BEGINNING.exec(text) ?? [];
  if (verb === undefined) return {};
  if (verb === "EVENT" || verb === "AUTH") return { verb };
  try {
    return id === undefined ? {} : { verb: verb as "REQ", subscription: JSON.parse(id) as string };
  } catch {
    return {};
  }
}

/** Reads one client message. EVENT is recognised by its first characters, so that the costly part is parsed only once, by a worker. */
export function parseMessage(
  text: string,
  limits: MessageLimits,
): ClientMessage | MalformedMessage {
  if (isEventMessage(text)) return { verb: "EVENT" };
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    const seen = glimpse(text);
    const isAsking = seen.verb !== undefined && ASKING.has(seen.verb);
    return { reason: "invalid: message is not JSON", ...(isAsking && seen) };
  }
  if (!Array.isArray(message)) return { reason: "invalid: message is not a JSON array" };
  const verb: unknown = message[0];
  switch (verb) {
    case "EVENT":
      return { verb };
    case "AUTH":
      return { verb, event: message[1] };
    case "REQ":
    case "COUNT": {
      const subscription: unknown = message[1];
      if (!isSubscription(subscription)) return refused(verb, subscription);
      const filters = parseFilters(message.slice(2), limits);
      if (isReason(filters)) return { reason: filters, verb, subscription };
      return { verb, subscription, filters };
    }
    case "NEG-OPEN": {
      const [, subscription, given, hex] = message as unknown[];
      if (!isSubscription(subscription)) return refused(verb, subscription);
      const filter = parseFilter(given, limits.filterValues);
      if (isReason(filter)) return { reason: filter, verb, subscription };
      if (!isHexBytes(hex)) return { reason: NO_HEX, verb, subscription };
      return { verb, subscription, filter, hex };
    }
    case "NEG-MSG": {
      const [, subscription, hex] = message as unknown[];
      if (!isSubscription(subscription)) return refused(verb, subscription);
      return isHexBytes(hex) ? { verb, subscription, hex } : { reason: NO_HEX, verb, subscription };
    }
    case "CLOSE":
    case "NEG-CLOSE": {
      const subscription: unknown = message[1];
      return isSubscription(subscription) ? { verb, subscription } : { reason: BAD_SUBSCRIPTION };
    }
    default:
      return { reason: "unsupported: unknown message type" };
  }
}

// What is answered by the id of a subscription or reconciliation.
const ASKING: ReadonlySet<string> = new Set(["REQ", "COUNT", "NEG-OPEN", "NEG-MSG"]);
const NO_HEX: Reason = "invalid: a negentropy message is written in hex";
const HEX_BYTES = /^(?:[0-9a-f]{2})*$/i;
const BAD_SUBSCRIPTION: Reason = `invalid: subscription id must be a string of 1 to ${MAX_SUBSCRIPTION_CHARS} characters`;

// NIP-01: "an arbitrary, non-empty string of max length 64 chars". A character outside the basic plane is two units of a string, and one character.
function isSubscription(id: unknown): id is string {
  if (typeof id !== "string" || id === "" || id.length > 2 * MAX_SUBSCRIPTION_CHARS) return false;
  return id.length <= MAX_SUBSCRIPTION_CHARS || Array.from(id).length <= MAX_SUBSCRIPTION_CHARS;
}

function isHexBytes(value: unknown): value is string {
  return typeof value === "string" && HEX_BYTES.test(value);
}

function refused(verb: ClientMessage["verb"], subscription: unknown): MalformedMessage {
  const reason = BAD_SUBSCRIPTION;
  return typeof subscription === "string" ? { reason, verb, subscription } : { reason };
}

function parseFilters(values: readonly unknown[], limits: MessageLimits): Filter[] | Reason {
  if (values.length === 0) return "invalid: at least one filter is needed";
  if (values.length > limits.filters) {
    return `invalid: ${values.length} filters, the limit is ${limits.filters}`;
  }
  const filters: Filter[] = [];
  for (const value of values) {
    const filter = parseFilter(value, limits.filterValues);
    if (isReason(filter)) return filter;
    filters.push(filter);
  }
  return filters;
}
