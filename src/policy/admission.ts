import { oldestAge } from "../nostr/advertised-retention.ts";
import { CLOCK_SKEW_SECONDS, type RetentionRule, untimely } from "../nostr/drop.ts";
import { writeEvent } from "../nostr/event.ts";
import { DIRECT_MESSAGE, GIFT_WRAP } from "../nostr/kinds.ts";
import { committedTarget, leadingZeroBits } from "../nostr/pow.ts";
import { advertised, type Policy } from "./policy.ts";

export type AdmissionSettings = {
  readonly tags: number;
  readonly eventBytes: number;
  readonly proofOfWork: number;
  readonly rule: RetentionRule;
  readonly allowedRecipients: readonly string[];
  readonly deniedRecipients: readonly string[];
  readonly deniedAuthors: readonly string[];
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
    forServedRecipients(settings),
    notByDeniedAuthors(settings.deniedAuthors),
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
function forServedRecipients(settings: RecipientSettings): Policy {
  const isServed = servedRecipients(settings);
  return ({ recipient }) => {
    if (typeof recipient !== "string") return recipient.reason;
    return isServed(recipient)
      ? undefined
      : "restricted: this relay does not hold drops for that recipient";
  };
}

type RecipientSettings = Pick<AdmissionSettings, "allowedRecipients" | "deniedRecipients">;

/** Whether drops are taken for a recipient. */
export function servedRecipients({
  allowedRecipients,
  deniedRecipients,
}: RecipientSettings): (recipient: string) => boolean {
  const allowed = new Set(allowedRecipients);
  const denied = new Set(deniedRecipients);
  return (recipient) => (allowed.size === 0 || allowed.has(recipient)) && !denied.has(recipient);
}

/** Stops messages of those the operator does not want as authors. A wrap is signed by a key that nobody knows, so it is about kind 4 alone. */
function notByDeniedAuthors(denied: readonly string[]): Policy {
  const authors = new Set(denied);
  return ({ event }) =>
    event.kind === DIRECT_MESSAGE && authors.has(event.pubkey)
      ? "blocked: this relay takes no messages of that author"
      : undefined;
}
