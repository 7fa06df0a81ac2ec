// Whether an event is what it says it is: neither relays nor signers are believed.

import { schnorr } from "@noble/curves/secp256k1.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

import { type NostrEvent, parseEvent } from "../nostr/event.ts";
import { isIdOf, preimageOf, type Unidentified } from "../nostr/event-id.ts";
import { isReason, withoutPrefix } from "../nostr/reason.ts";
import type { EventTemplate, Signer } from "./signer.ts";

/** Whether the id and the signature of an event are right (NIP-01). */
export function isGenuine(event: NostrEvent): boolean {
  return hasOwnId(event) && isSigned(event);
}

/** Whether the signature of an event is that of its id. */
export function isSigned({ id, pubkey, sig }: NostrEvent): boolean {
  return schnorr.verify(hexToBytes(sig), hexToBytes(id), hexToBytes(pubkey));
}

/** Signs a template, and reads what came of it as others will. Throws when that is not just this event, signed by the signer's own key. */
export async function signedBy(signer: Signer, template: EventTemplate): Promise<NostrEvent> {
  const event = parseEvent(await signer.sign(template));
  if (isReason(event)) throw new Error(`the signer made no event: ${withoutPrefix(event)}`);
  const { kind, created_at, tags, content } = template;
  const wanted = { pubkey: signer.key, kind, created_at, tags, content };
  if (!hasOwnId({ ...wanted, id: event.id })) {
    throw new Error("the signer signed something else than it was asked to, or with another key");
  }
  if (!isSigned(event)) throw new Error("the signer's signature is wrong");
  return { ...event, ...wanted };
}

/** Whether an event's id is the hash of the rest: a relay could otherwise have the wrong drop acknowledged. */
export function hasOwnId(event: Unidentified & Pick<NostrEvent, "id">): boolean {
  return isIdOf(event.id, preimageOf(event), hashOf);
}

/** The id that an event has by its content (NIP-01). */
export function idOf(event: Unidentified): string {
  return hashOf(preimageOf(event));
}

function hashOf(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text)));
}
