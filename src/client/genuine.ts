// Whether an event is what it says it is: neither relays nor signers are believed.

import { schnorr } from "@noble/curves/secp256k1.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

import type { NostrEvent } from "../nostr/event.ts";
import { isIdOf, preimageOf, type Unidentified } from "../nostr/event-id.ts";

/** Whether the id and the signature of an event are right (NIP-01). */
export function isGenuine(event: NostrEvent): boolean {
  return hasOwnId(event) && isSigned(event);
}

/** Whether the signature of an event is that of its id. */
export function isSigned({ id, pubkey, sig }: NostrEvent): boolean {
  return schnorr.verify(hexToBytes(sig), hexToBytes(id), hexToBytes(pubkey));
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
