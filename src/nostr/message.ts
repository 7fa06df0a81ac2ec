import { type Filter, parseFilter } from "./filter.ts";
import { isReason, type Reason } from "./reason.ts";

/** What a client may say (NIP-01, NIP-42, NIP-45). The event of an EVENT or AUTH is not looked at here: that is done away from the event loop. */
export type ClientMessage =
  | { readonly verb: "EVENT" }
  | { readonly verb: "AUTH"; readonly event: unknown }
  | { readonly verb: "REQ"; readonly subscription: string; readonly filters: readonly Filter[] }
  | { readonly verb: "COUNT"; readonly subscription: string; readonly filters: readonly Filter[] }
  | { readonly verb: "CLOSE"; readonly subscription: string };

/** A message that cannot be obeyed, and the subscription to close with the reason when the message named one. */
export type MalformedMessage = { readonly reason: Reason; readonly subscription?: string };

export type MessageLimits = { readonly filters: number; readonly filterValues: number };

const EVENT_MESSAGE = /^\s*\[\s*"EVENT"\s*,/;
export const MAX_SUBSCRIPTION_CHARS = 64;

/** Reads one client message. EVENT is recognised by its first characters, so that the costly part is parsed only once, by a worker. */
export function parseMessage(
  text: string,
  limits: MessageLimits,
): ClientMessage | MalformedMessage {
  if (EVENT_MESSAGE.test(text)) return { verb: "EVENT" };
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return { reason: "invalid: message is not JSON" };
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
      const subscription = parseSubscription(message[1]);
      if (isReason(subscription.reason)) return { reason: subscription.reason };
      const filters = parseFilters(message.slice(2), limits);
      if (isReason(filters)) return { reason: filters, subscription: subscription.id };
      return { verb, subscription: subscription.id, filters };
    }
    case "CLOSE": {
      const subscription = parseSubscription(message[1]);
      return isReason(subscription.reason)
        ? { reason: subscription.reason }
        : { verb, subscription: subscription.id };
    }
    default:
      return { reason: "unsupported: unknown message type" };
  }
}

// NIP-01: "an arbitrary, non-empty string of max length 64 chars".
function parseSubscription(id: unknown): { id: string; reason?: Reason } {
  if (typeof id === "string" && id.length > 0 && id.length <= MAX_SUBSCRIPTION_CHARS) return { id };
  return {
    id: "",
    reason: `invalid: subscription id must be a string of 1 to ${MAX_SUBSCRIPTION_CHARS} characters`,
  };
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
