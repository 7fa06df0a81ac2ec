// Whether an event is what it says it is: relays are not believed.

import { schnorr } from "@noble/curves/secp256k1.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

import type { NostrEvent } from "../nostr/event.ts";
import { isIdOf, preimageOf, type Unidentified } from "../nostr/event-id.ts";

/** Whether the id and the signature of an event are right (NIP-01). */
export function isGenuine(event: NostrEvent): boolean {
  const { id, pubkey, sig } = event;
  return hasOwnId(event) && schnorr.verify(hexToBytes(sig), hexToBytes(id), hexToBytes(pubkey));
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
