import type { NostrEvent } from "./event.ts";
import { isHex32 } from "./hex.ts";
import type { Reason } from "./reason.ts";

/** An event that is held for a recipient: what the store, the live index and the gate need to know of it, and its JSON. */
export type Drop = {
  readonly id: string;
  readonly recipient: string;
  /** The key that signed the event: for a gift wrap a throw-away one. */
  readonly author: string;
  readonly created_at: number;
  readonly kind: number;
  /** The second from which on the drop is forgotten and refused. */
  readonly expiry: number;
  readonly json: string;
  /** What the store calls its recipient and its id, where that was worked out already: see `KnownDrops`. */
  readonly names?: string | undefined;
};

/** A drop on its way between threads: names cost more than values there. */
export type PackedDrop = readonly [
  id: string,
  recipient: string,
  author: string,
  created_at: number,
  kind: number,
  expiry: number,
  json: string,
  names: string | undefined,
];

export function packDrop(drop: Drop): PackedDrop {
  const { id, recipient, author, created_at, kind, expiry, json, names } = drop;
  return [id, recipient, author, created_at, kind, expiry, json, names];
}

export function unpackDrop(packed: PackedDrop): Drop {
  const [id, recipient, author, created_at, kind, expiry, json, names] = packed;
  return { id, recipient, author, created_at, kind, expiry, json, names };
}

/** How far NIP-59 lets a sender move `created_at` into the past. */
export const TIMESTAMP_FUZZ_SECONDS = 2 * 24 * 60 * 60;
/** How far a sender's clock may be ahead. */
export const CLOCK_SKEW_SECONDS = 15 * 60;

/**
 * Which retention, in seconds, applies to an event: the first entry with `created_at <= upTo`. The last entry's `upTo` is Infinity.
 * More than one entry stands here after an operator changed the retention: what could have been accepted under the old value keeps it, or an
 * event whose tombstone is already gone could be accepted once more.
 */
export type RetentionRule = readonly { readonly upTo: number; readonly seconds: number }[];

/** The key in the event's one `p` tag (NIP-DD: one recipient per drop), or why there is none. */
export function recipientOf(event: NostrEvent): string | Refused {
  let recipient: string | undefined;
  for (const tag of event.tags) {
    if (tag[0] !== "p") continue;
    if (recipient !== undefined) return refused("invalid: a drop has exactly one p tag");
    recipient = tag[1] ?? "";
  }
  if (recipient === undefined) return refused("invalid: a drop needs a p tag with its recipient");
  if (!isHex32(recipient)) {
    return refused("invalid: the p tag must be a key of 64 lowercase hex digits");
  }
  return recipient;
}

/**
 * `min(expiration tag, created_at + 2 days + retention)`, in seconds: from signed fields alone, so that every relay with the same retention
 * computes the same second, and a tombstone that lives until then is never needed again (NIP-DD, "Expiry"; NIP-40).
 */
export function expiryOf(event: NostrEvent, rule: RetentionRule): number | Refused {
  let expiry = latestExpiry(event.created_at, rule);
  for (const tag of event.tags) {
    if (tag[0] !== "expiration") continue;
    const expiration = parseUnixTime(tag[1]);
    if (expiration === undefined) return refused("invalid: malformed expiration tag");
    expiry = Math.min(expiry, expiration);
  }
  return expiry;
}

/** The expiry of an event without an expiration tag. */
export function latestExpiry(createdAt: number, rule: RetentionRule): number {
  const entry = rule.find(({ upTo }) => createdAt <= upTo);
  return createdAt + TIMESTAMP_FUZZ_SECONDS + (entry?.seconds ?? 0);
}

/** The second from which on no event with a `created_at` up to this one is held any more: how long a request to vanish is remembered. */
export function lastExpiry(createdAt: number, rule: RetentionRule): number {
  return Math.max(...rule.map(({ upTo }) => latestExpiry(Math.min(upTo, createdAt), rule)));
}

/** The longest retention in force, in seconds: what the operator holds for now, or what still holds events of before. */
export function longestRetention(rule: RetentionRule): number {
  return Math.max(...rule.map(({ seconds }) => seconds));
}

/**
 * The second from which on nothing that exists at `now` can be accepted any more, whichever of the retentions in force it falls under: how long an
 * acknowledgement of an unseen drop is remembered.
 */
export function farthestExpiry(now: number, rule: RetentionRule): number {
  return now + CLOCK_SKEW_SECONDS + TIMESTAMP_FUZZ_SECONDS + longestRetention(rule);
}

/** Why a drop may not be held at `now`, seconds: NIP-DD, "`now < expiry` and `created_at <= now + 900`". */
export function untimely(createdAt: number, expiry: number, now: number): Reason | undefined {
  if (createdAt > now + CLOCK_SKEW_SECONDS) return "invalid: created_at is too far in the future";
  if (now >= expiry) return "invalid: expired";
  return undefined;
}

/** A Unix time in seconds as NIP-40 and NIP-DD write it in a tag, or undefined. */
export function parseUnixTime(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/** A refusal in a place where a bare string would be an answer. */
export type Refused = { readonly reason: Reason };

function refused(reason: Reason): Refused {
  return { reason };
}
