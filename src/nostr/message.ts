import { type Filter, parseFilter } from "./filter.ts";
import { isReason, type Reason } from "./reason.ts";

/** What a client may say (NIP-01, NIP-42, NIP-45, NIP-77). The event of an EVENT or AUTH is not looked at here: that is done away from the event loop. */
export type ClientMessage =
  | { readonly verb: "EVENT" }
  | { readonly verb: "AUTH"; readonly event: unknown }
  | { readonly verb: "REQ"; readonly subscription: string; readonly filters: readonly Filter[] }
  | { readonly verb: "COUNT"; readonly subscription: string; readonly filters: readonly Filter[] }
  | { readonly verb: "CLOSE"; readonly subscription: string }
  | {
      readonly verb: "NEG-OPEN";
      readonly reconciliation: string;
      readonly filter: Filter;
      /** Hex digits, two a byte. */
      readonly message: string;
    }
  | { readonly verb: "NEG-MSG"; readonly reconciliation: string; readonly message: string }
  | { readonly verb: "NEG-CLOSE"; readonly reconciliation: string };

/**
 * A message that cannot be obeyed, and what to close with the reason when it named one: a refused REQ gets CLOSED (NIP-01), a refused NEG-OPEN NEG-ERR
 * (NIP-77). The ids of subscriptions and of reconciliations are apart.
 */
export type MalformedMessage = {
  readonly reason: Reason;
  readonly subscription?: string;
  readonly reconciliation?: string;
};

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
    return { reason: "invalid: message is not JSON", ...named(text) };
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
    case "NEG-OPEN":
    case "NEG-MSG":
      return parseReconciliation(verb, message, limits);
    case "NEG-CLOSE": {
      const reconciliation: unknown = message[1];
      return isSubscription(reconciliation)
        ? { verb, reconciliation }
        : { reason: BAD_SUBSCRIPTION };
    }
    default:
      return { reason: "unsupported: unknown message type" };
  }
}

const HEX_BYTES = /^(?:[0-9a-f]{2})*$/i;

function parseReconciliation(
  verb: "NEG-OPEN" | "NEG-MSG",
  [, reconciliation, ...rest]: readonly unknown[],
  { filterValues }: MessageLimits,
): ClientMessage | MalformedMessage {
  if (!isSubscription(reconciliation)) {
    const reason = BAD_SUBSCRIPTION;
    return typeof reconciliation === "string" ? { reason, reconciliation } : { reason };
  }
  const filter = verb === "NEG-OPEN" ? parseFilter(rest.shift(), filterValues) : undefined;
  if (isReason(filter)) return { reason: filter, reconciliation };
  const [message] = rest;
  if (typeof message !== "string" || !HEX_BYTES.test(message)) {
    return { reason: "invalid: a negentropy message is written in hex", reconciliation };
  }
  return filter === undefined
    ? { verb: "NEG-MSG", reconciliation, message }
    : { verb: "NEG-OPEN", reconciliation, filter, message };
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

const BEGINNING = /^\s*\[\s*"(REQ|COUNT|NEG-OPEN|NEG-MSG)"\s*,\s*("(?:[^"\\]|\\.)*")/;

// The subscription or reconciliation that a message which is not JSON seems to speak of.
function named(text: string): Omit<MalformedMessage, "reason"> {
  const [, verb, id] = BEGINNING.exec(text) ?? [];
  if (verb === undefined || id === undefined) return {};
  try {
    const name = JSON.parse(id) as string;
    return verb.startsWith("NEG") ? { reconciliation: name } : { subscription: name };
  } catch {
    return {};
  }
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
