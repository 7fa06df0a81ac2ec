import type { Prefix, Reason } from "../nostr/reason.ts";
import { isTooLarge } from "../policy/admission.ts";
import type { Answer, Outcome } from "../relay/answer.ts";

const OF_OUTCOME: Readonly<Record<Outcome, number>> = {
  stored: 201,
  known: 200,
  done: 200,
  "passed on": 202,
  "box full": 507,
  "storage full": 507,
  "too many early": 429,
  expired: 400,
  "not addressed here": 400,
  failed: 503,
};

const OF_PREFIX: Readonly<Record<Prefix, number>> = {
  invalid: 400,
  unsupported: 400,
  "auth-required": 401,
  blocked: 403,
  restricted: 403,
  pow: 422,
  "rate-limited": 429,
  duplicate: 200,
  closed: 410,
  error: 503,
};

/** The HTTP status of what an OK says. */
export function statusOf({ outcome, message }: Answer): number {
  if (outcome !== undefined) return OF_OUTCOME[outcome];
  return message === "" ? 200 : statusOfReason(message);
}

/** The HTTP status of a refusal. */
export function statusOfReason(reason: Reason): number {
  return isTooLarge(reason) ? 413 : OF_PREFIX[reason.slice(0, reason.indexOf(":")) as Prefix];
}
