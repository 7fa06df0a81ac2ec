// The first half of a message's way, free of state and done by verification threads: parse, cheap policies, already known?, signature. What it costs to say
// no grows step by step, so that a drop that is refused or known never costs a signature check.

import { hash } from "node:crypto";

import { parseAcknowledgement } from "../nostr/acknowledgement.ts";
import { type Drop, expiryOf, recipientOf, type RetentionRule, untimely } from "../nostr/drop.ts";
import { type NostrEvent, parseEvent, peekId, writeEvent } from "../nostr/event.ts";
import { isIdOf, preimageOf } from "../nostr/event-id.ts";
import { ACCEPTED_KINDS, ADDRESSED_KINDS, EPHEMERAL_GIFT_WRAP, VANISH } from "../nostr/kinds.ts";
import { isReason, type Reason } from "../nostr/reason.ts";
import type { Policy } from "../policy/policy.ts";
import type { KnownDrops } from "../store/store.ts";
import type { Verifier } from "../verify/verifier.ts";
import { type Examined, pack, type PackedExamined } from "./examined.ts";
import type { Runtime } from "./runtime.ts";

export type ExaminerParts = {
  readonly verifier: Verifier;
  readonly known: KnownDrops;
  readonly policies: readonly Policy[];
  readonly rule: RetentionRule;
  readonly maxAcknowledgementIds: number;
  readonly runtime: Pick<Runtime, "now">;
};

/** Answers how to examine raw messages, EVENT and AUTH, a batch at a time. Anything else is refused. */
export function examiner(parts: ExaminerParts): (texts: readonly string[]) => PackedExamined[] {
  return (texts) => {
    parts.known.refresh();
    const now = parts.runtime.now();
    return texts.map((text) => pack(examine(parts, text, now)));
  };
}

function examine(parts: ExaminerParts, text: string, now: number): Examined {
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
}

function examineAuth(parts: ExaminerParts, event: NostrEvent): Examined {
  const forged = faultOf(parts.verifier, event);
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
    const reason = untimely(event.created_at, Infinity, now) ?? faultOf(parts.verifier, event);
    return reason === undefined
      ? { outcome: "vanish", id: event.id, event }
      : refuse(event, reason);
  }
  const { maxAcknowledgementIds: maxIds, rule } = parts;
  const acknowledgement = parseAcknowledgement(event, { maxIds, rule, now });
  if ("reason" in acknowledgement) return refuse(event, acknowledgement.reason);
  const forged = faultOf(parts.verifier, event);
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

  if (!isIdOf(id, preimage, sha256)) return refuse(event, WRONG_ID);
  const isEphemeral = kind === EPHEMERAL_GIFT_WRAP;
  const looked = isEphemeral ? undefined : parts.known.look({ id, recipient, created_at });
  if (looked?.isKnown === true) return { outcome: "known", id };
  const { pubkey: author, sig } = event;
  if (!parts.verifier.verify(sig, id, author)) return refuse(event, WRONG_SIGNATURE);
  const names = looked?.names;
  const drop: Drop = { id, recipient, author, created_at, kind, expiry, json, names };
  return { outcome: isEphemeral ? "ephemeral" : "drop", id, drop };
}

const WRONG_ID: Reason = "invalid: id is not the hash of the event";
const WRONG_SIGNATURE: Reason = "invalid: signature is wrong";

function faultOf(verifier: Verifier, event: NostrEvent): Reason | undefined {
  if (!isIdOf(event.id, preimageOf(event), sha256)) return WRONG_ID;
  return verifier.verify(event.sig, event.id, event.pubkey) ? undefined : WRONG_SIGNATURE;
}

function sha256(text: string): string {
  return hash("sha256", text);
}

function refuse(event: NostrEvent, reason: Reason): Examined {
  return { outcome: "refused", id: event.id, reason };
}
