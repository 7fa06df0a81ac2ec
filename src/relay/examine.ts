// The first half of a message's way, free of state and done by verification threads: parse, cheap policies, already known?, signature. What it costs to say
// no grows step by step, so that a drop that is refused or known never costs a signature check.

import { hash } from "node:crypto";

import { type Acknowledgement, parseAcknowledgement } from "../nostr/acknowledgement.ts";
import {
  type Drop,
  expiryOf,
  gather,
  recipientOf,
  type RetentionRule,
  spread,
  type SpreadDrop,
  untimely,
} from "../nostr/drop.ts";
import { type NostrEvent, parseEvent, peekId, writeEvent } from "../nostr/event.ts";
import { ACCEPTED_KINDS, ADDRESSED_KINDS, EPHEMERAL_GIFT_WRAP, VANISH } from "../nostr/kinds.ts";
import { isReason, type Reason } from "../nostr/reason.ts";
import type { Policy } from "../policy/policy.ts";
import type { KnownDrops } from "../store/store.ts";
import type { Verifier } from "../verify/verifier.ts";

/** What became of an EVENT or AUTH message. `id` is what the answer names; undefined when none could be read. */
export type Examined =
  | { readonly outcome: "refused"; readonly id: string | undefined; readonly reason: Reason }
  | { readonly outcome: "known"; readonly id: string }
  | { readonly outcome: "drop"; readonly id: string; readonly drop: Drop }
  | { readonly outcome: "passing"; readonly id: string; readonly drop: Drop }
  | {
      readonly outcome: "acknowledgement";
      readonly id: string;
      readonly acknowledgement: Acknowledgement;
    }
  | { readonly outcome: "vanish"; readonly id: string; readonly event: NostrEvent }
  | { readonly outcome: "auth"; readonly id: string; readonly event: NostrEvent };

/** An answer on its way from the thread that examined it: a drop is spread out, because names cost more than values there. */
export type PackedAnswer =
  | Exclude<Examined, { outcome: "drop" | "passing" }>
  | readonly ["drop" | "passing", ...SpreadDrop];

export function pack(examined: Examined): PackedAnswer {
  if (examined.outcome !== "drop" && examined.outcome !== "passing") return examined;
  return [examined.outcome, ...spread(examined.drop)];
}

export function unpack(packed: PackedAnswer): Examined {
  if (!Array.isArray(packed)) return packed as Exclude<PackedAnswer, readonly unknown[]>;
  const [outcome, ...values] = packed as Extract<PackedAnswer, readonly unknown[]>;
  const drop = gather(values);
  return { outcome, id: drop.id, drop };
}

export type Examiner = (text: string, now: number) => Examined;

export type ExaminerParts = {
  readonly verifier: Verifier;
  readonly known: KnownDrops;
  readonly policies: readonly Policy[];
  readonly rule: RetentionRule;
  readonly maxAcknowledgementIds: number;
};

/** Answers how to examine one raw message at a time (Unix seconds). The messages are EVENT and AUTH; anything else is refused. */
export function examiner(parts: ExaminerParts): Examiner {
  return (text, now) => {
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      return { outcome: "refused", id: peekId(text), reason: "invalid: message is not JSON" };
    }
    const [verb, value] = message as [unknown, unknown];
    const event = parseEvent(value);
    if (isReason(event)) return { outcome: "refused", id: peekId(text), reason: event };
    return verb === "AUTH" ? examineAuth(parts, event) : examineEvent(parts, event, now);
  };
}

function examineAuth(parts: ExaminerParts, event: NostrEvent): Examined {
  const forged = forgery(parts.verifier, event);
  return forged === undefined ? { outcome: "auth", id: event.id, event } : refuse(event, forged);
}

function examineEvent(parts: ExaminerParts, event: NostrEvent, now: number): Examined {
  const { kind } = event;
  if (!ACCEPTED_KINDS.has(kind)) {
    return refuse(event, `blocked: kind ${kind} is not held here, only encrypted messages are`);
  }
  if (ADDRESSED_KINDS.has(kind)) return examineDrop(parts, event, now);
  if (kind === VANISH) {
    // Kind 62 speaks of all up to its created_at, so it has one that can be believed; nothing that expired with it is left to delete.
    const reason = untimely(event.created_at, Infinity, now) ?? forgery(parts.verifier, event);
    return reason === undefined
      ? { outcome: "vanish", id: event.id, event }
      : refuse(event, reason);
  }
  const acknowledgement = parseAcknowledgement(event, parts.maxAcknowledgementIds);
  if ("reason" in acknowledgement) return refuse(event, acknowledgement.reason);
  const forged = forgery(parts.verifier, event);
  return forged === undefined
    ? { outcome: "acknowledgement", id: event.id, acknowledgement }
    : refuse(event, forged);
}

function examineDrop(parts: ExaminerParts, event: NostrEvent, now: number): Examined {
  const { id, created_at, kind } = event;
  const recipient = recipientOf(event);
  const expiry = expiryOf(event, parts.rule);
  const { json, preimage } = writeEvent(event);
  const candidate = { event, bytes: Buffer.byteLength(json), recipient, expiry, now };
  for (const policy of parts.policies) {
    const reason = policy(candidate);
    if (reason !== undefined) return refuse(event, reason);
  }
  // The policies let through only what has both.
  if (typeof recipient !== "string") return refuse(event, recipient.reason);
  if (typeof expiry !== "number") return refuse(event, expiry.reason);

  if (idOf(preimage) !== id) return refuse(event, WRONG_ID);
  const drop: Drop = { id, recipient, author: event.pubkey, created_at, kind, expiry, json };
  if (kind !== EPHEMERAL_GIFT_WRAP && parts.known.known(drop)) return { outcome: "known", id };
  if (!parts.verifier.verify(event.sig, id, event.pubkey)) return refuse(event, WRONG_SIGNATURE);
  return { outcome: kind === EPHEMERAL_GIFT_WRAP ? "passing" : "drop", id, drop };
}

const WRONG_ID: Reason = "invalid: id is not the hash of the event";
const WRONG_SIGNATURE: Reason = "invalid: signature is wrong";

function forgery(verifier: Verifier, event: NostrEvent): Reason | undefined {
  if (idOf(writeEvent(event).preimage) !== event.id) return WRONG_ID;
  return verifier.verify(event.sig, event.id, event.pubkey) ? undefined : WRONG_SIGNATURE;
}

function idOf(preimage: string): string {
  return hash("sha256", preimage);
}

function refuse(event: NostrEvent, reason: Reason): Examined {
  return { outcome: "refused", id: event.id, reason };
}
