// What follows from the machine-readable prefix of a refusal (NIP-01): whether to try again, soon or at all, and with what.

import type { PublishResult } from "./relay-connection.ts";

// More than an id has.
const MAX_BITS = 256;

/** Whether the same event could be accepted another time. A refusal of the event itself stands: it would be the same event again. */
export function mayAcceptLater(reason: string): boolean {
  return !/^(invalid|blocked|restricted|pow):/.test(reason);
}

/**
 * Whether waiting some seconds can change a relay's refusal: a rate, a hiccup. A box or a disk that is full has room again when somebody picks up, not in a
 * few seconds.
 */
export function passesSoon(reason: string): boolean {
  return /^(rate-limited|error):/.test(reason) && !/\bfull\b/.test(reason);
}

/** The same of an answer to an event. */
export function isPassing(result: PublishResult): boolean {
  return "accepted" in result && !result.accepted && passesSoon(result.reason);
}

/** The leading zero bits that a refusal asks for (NIP-13's `pow:`): the largest number it names, as no relay says two of which the smaller is meant. */
export function bitsAskedFor(result: PublishResult): number | undefined {
  if ("unreachable" in result || result.accepted || !result.reason.startsWith("pow:")) {
    return undefined;
  }
  const named = [...result.reason.matchAll(/\d+/g)].map(Number).filter((bits) => bits <= MAX_BITS);
  return named.length === 0 ? undefined : Math.max(...named);
}
