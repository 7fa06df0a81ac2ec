import { oldestAge } from "../nostr/advertised-retention.ts";
import { CLOCK_SKEW_SECONDS, type RetentionRule, untimely } from "../nostr/drop.ts";
import { writeEvent } from "../nostr/event.ts";
import { GIFT_WRAP } from "../nostr/kinds.ts";
import { committedTarget, leadingZeroBits } from "../nostr/pow.ts";
import { advertised, type Policy } from "./policy.ts";

export type AdmissionSettings = {
  readonly tags: number;
  readonly eventBytes: number;
  readonly proofOfWork: number;
  readonly rule: RetentionRule;
  readonly allowedRecipients: readonly string[];
  readonly deniedRecipients: readonly string[];
};

/** What a drop must be to be looked at further, the cheapest question first. */
export function admission(settings: AdmissionSettings): readonly Policy[] {
  return [
    atMostTags(settings.tags),
    atMostBytes(settings.eventBytes),
    oneRecipient(),
    notProtected(),
    withinItsTime(settings.rule),
    withProofOfWork(settings.proofOfWork),
    forServedRecipients(settings.allowedRecipients, settings.deniedRecipients),
  ];
}

/** Stops events that make every filter slow. */
function atMostTags(max: number): Policy {
  return advertised(
    () => ({ max_event_tags: max }),
    ({ event }) =>
      event.tags.length > max
        ? `invalid: ${event.tags.length} tags, the limit is ${max}`
        : undefined,
  );
}

// What the JSON of a gift wrap is besides its content.
const ENVELOPE_BYTES = writeEvent({
  id: "0".repeat(64),
  pubkey: "0".repeat(64),
  created_at: 1_700_000_000,
  kind: GIFT_WRAP,
  tags: [["p", "0".repeat(64)]],
  content: "",
  sig: "0".repeat(128),
}).json.length;

/** Stops what would fill a box with one drop. NIP-11 counts the content alone, so it is told what a plain gift wrap has room for. */
function atMostBytes(max: number): Policy {
  return advertised(
    () => ({ max_content_length: Math.max(0, max - ENVELOPE_BYTES) }),
    ({ bytes }) => (bytes > max ? `${TOO_LARGE}${bytes} bytes, the limit is ${max}` : undefined),
  );
}

const TOO_LARGE = "invalid: event of ";

/** Whether a drop was refused for its size, for which HTTP has a status of its own. */
export function isTooLarge(reason: string): boolean {
  return reason.startsWith(TOO_LARGE);
}

/** Stops events without a box to lie in, and those that would lie in several: one recipient could delete them for another. */
function oneRecipient(): Policy {
  return ({ recipient }) => (typeof recipient === "string" ? undefined : recipient.reason);
}

/** Stops events that their author wants to publish in person (NIP-70): a relay that does not ask senders who they are cannot know. */
function notProtected(): Policy {
  return ({ event }) =>
    event.tags.some(([name]) => name === "-")
      ? "blocked: protected events (NIP-70) are not accepted, drops are anonymous"
      : undefined;
}

/** Stops what is past or not yet there. The window follows from signed fields alone, so a sender can know it beforehand. */
function withinItsTime(rule: RetentionRule): Policy {
  return advertised(
    (now) => ({
      created_at_lower_limit: oldestAge(now, rule),
      created_at_upper_limit: CLOCK_SKEW_SECONDS,
    }),
    ({ event, expiry, now }) =>
      typeof expiry === "number" ? untimely(event.created_at, expiry, now) : expiry.reason,
  );
}

/** Makes each drop cost its sender some work (NIP-13). Luck does not count: the target must be committed to. */
function withProofOfWork(bits: number): Policy {
  return advertised(
    () => ({ min_pow_difficulty: bits }),
    ({ event }) => {
      if (bits === 0) return undefined;
      const found = leadingZeroBits(event.id);
      if (found < bits) return `pow: difficulty ${found} is less than ${bits}`;
      if ((committedTarget(event) ?? 0) < bits) {
        return `pow: the nonce tag must commit to a target of ${bits}`;
      }
      return undefined;
    },
  );
}

/** Stops drops for those the operator does not serve. */
function forServedRecipients(allowed: readonly string[], denied: readonly string[]): Policy {
  const served = new Set(allowed);
  const unserved = new Set(denied);
  return ({ recipient }) => {
    if (typeof recipient !== "string") return recipient.reason;
    return (served.size > 0 && !served.has(recipient)) || unserved.has(recipient)
      ? "restricted: this relay does not hold drops for that recipient"
      : undefined;
  };
}
