import { createHash } from "node:crypto";

import { schnorr } from "@noble/curves/secp256k1.js";
import { type EventTemplate, generateSecretKey, getPublicKey } from "nostr-tools/pure";

import type { NostrEvent } from "../nostr/event.ts";
import { inLetter, preimageOf, type Unidentified } from "../nostr/event-id.ts";
import { leadingZeroBits } from "../nostr/pow.ts";

/** A key pair, made for one check and forgotten after the run. */
export type Person = { readonly secret: Uint8Array; readonly key: string };

export type Template = { readonly kind: number } & Partial<Omit<EventTemplate, "kind">>;

/** More than this takes a machine minutes for the hundreds of events of a run. */
export const MAX_MINED_BITS = 20;

export function makePerson(): Person {
  const secret = generateSecretKey();
  return { secret, key: getPublicKey(secret) };
}

export type Signing = {
  /** Leading zero bits that are mined for the id (NIP-13). */
  readonly bits: number;
  /** Whether the id is made as NIP-01 has it to the letter, and not as JSON libraries do. */
  readonly inLetter: boolean;
};

/** Signs as the person. */
export function sign(
  { key: pubkey, secret }: Person,
  template: Template,
  signing: Signing = { bits: 0, inLetter: false },
): NostrEvent {
  const unsigned = { created_at: nowSeconds(), tags: [], content: "", ...template, pubkey };
  const [event, id] = identified(unsigned, signing);
  const sig = Buffer.from(schnorr.sign(Buffer.from(id, "hex"), secret)).toString("hex");
  const { created_at, kind, tags, content } = event;
  return { id, pubkey, created_at, kind, tags, content, sig };
}

export function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000);
}

// The event, with a nonce where there is work to do, and its id.
function identified(event: Unidentified, signing: Signing): [Unidentified, string] {
  const { bits } = signing;
  if (bits === 0) return [event, idOf(event, signing)];
  for (let nonce = 0; ; nonce++) {
    const tags = [...event.tags, ["nonce", String(nonce), String(bits)]];
    const id = idOf({ ...event, tags }, signing);
    if (leadingZeroBits(id) >= bits) return [{ ...event, tags }, id];
  }
}

function idOf(event: Unidentified, signing: Signing): string {
  const text = preimageOf(event);
  const spelled = signing.inLetter ? inLetter(text) : text;
  return createHash("sha256").update(spelled).digest("hex");
}
