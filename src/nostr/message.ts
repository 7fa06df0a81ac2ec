import { type Filter, parseFilter } from "./filter.ts";
import { isReason, type Reason } from "./reason.ts";

/** What a client may say (NIP-01, NIP-42, NIP-45). The event of an EVENT or AUTH is not looked at here: that is done away from the event loop. */
export type ClientMessage =
  | { readonly verb: "EVENT" }
  | { readonly verb: "AUTH"; readonly event: unknown }
  | { readonly verb: "REQ"; readonly subscription: string; readonly filters: readonly Filter[] }
  | { readonly verb: "COUNT"; readonly subscription: string; readonly filters: readonly Filter[] }
  | { readonly verb: "CLOSE"; readonly subscription: string };

/** What a message seems to be, as far as it takes to address a refusal: OK to an event, CLOSED to a subscription, else a NOTICE (NIP-01). */
export type Glimpse = { readonly verb?: ClientMessage["verb"]; readonly subscription?: string };

/** A message that cannot be obeyed, and the subscription to close with the reason when it named one. */
export type MalformedMessage = { readonly reason: Reason; readonly subscription?: string };

export type MessageLimits = { readonly filters: number; readonly filterValues: number };

const EVENT_MESSAGE = /^\s*\[\s*"EVENT"\s*,/;
export const MAX_SUBSCRIPTION_CHARS = 64;

/** Whether a message is an EVENT, by its first characters. One that writes its verb in another way is found to be one when it is parsed. */
export function isEventMessage(text: string): boolean {
  return EVENT_MESSAGE.test(text);
}

const BEGINNING = /^\s*\[\s*"(EVENT|AUTH|REQ|COUNT|CLOSE)"(?:\s*,\s*("(?:[^"\\]|\\.){0,400}"))?/;

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
    const { verb, subscription } = glimpse(text);
    const isAsking = subscription !== undefined && verb !== "CLOSE";
    return { reason: "invalid: message is not JSON", ...(isAsking && { subscription }) };
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
      if (!isSubscription(subscription)) return refused(subscription);
      const filters = parseFilters(message.slice(2), limits);
      if (isReason(filters)) return { reason: filters, subscription };
      return { verb, subscription, filters };
    }
    case "CLOSE": {
      const subscription: unknown = message[1];
      return isSubscription(subscription) ? { verb, subscription } : { reason: BAD_SUBSCRIPTION };
    }
    default:
      return { reason: "unsupported: unknown message type" };
  }
}

const BAD_SUBSCRIPTION: Reason = `invalid: subscription id must be a string of 1 to ${MAX_SUBSCRIPTION_CHARS} characters`;

// NIP-01: "an arbitrary, non-empty string of max length 64 chars". A character outside the basic plane is two units of a string, and one character.
function isSubscription(id: unknown): id is string {
  if (typeof id !== "string" || id === "" || id.length > 2 * MAX_SUBSCRIPTION_CHARS) return false;
  return id.length <= MAX_SUBSCRIPTION_CHARS || Array.from(id).length <= MAX_SUBSCRIPTION_CHARS;
}

function refused(subscription: unknown): MalformedMessage {
  const reason = BAD_SUBSCRIPTION;
  return typeof subscription === "string" ? { reason, subscription } : { reason };
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
