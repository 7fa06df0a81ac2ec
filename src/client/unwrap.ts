// Opens what `wrap.ts` closes: a gift wrap, the seal in it, the rumor in that (NIP-59, NIP-17); and old messages of kind 4 (NIP-04).

import { type NostrEvent, parseEvent, tagValue } from "../nostr/event.ts";
import { isHex32 } from "../nostr/hex.ts";
import { DIRECT_MESSAGE, SEAL } from "../nostr/kinds.ts";
import { isReason } from "../nostr/reason.ts";
import { hasOwnId, idOf, isGenuine } from "./genuine.ts";
import type { Signer } from "./signer.ts";
import type { Rumor } from "./wrap.ts";

const NO_ID = "0".repeat(64);
const NO_SIGNATURE = "0".repeat(128);

/** Who can open what is addressed to a key: that key itself, and the identity to which the seal inside is encrypted. */
export type Receiver = {
  readonly address: Signer;
  readonly identity: Signer;
  /** The only one who may write to this key (NIP-RK): whoever else knows it could see by a reaction whose it is. */
  readonly contact?: string;
};

export type Opened =
  | { readonly message: Rumor }
  | { readonly why: string; readonly isFinal: boolean };

/**
 * Opens a drop as its receiver: a gift wrap, or an old message of kind 4. Answers the message, or why there is none: it is not for this key, it is malformed, or it
 * claims to be by somebody who did not seal it (NIP-17: "Clients MUST verify if pubkey of the kind:13 is the same pubkey on the kind:14").
 */
export async function open(drop: NostrEvent, receiver: Receiver): Promise<Opened> {
  try {
    return drop.kind === DIRECT_MESSAGE
      ? await openLegacy(drop, receiver)
      : await openWrap(drop, receiver);
  } catch (error) {
    // Not for this key, or the signer was not to be had: whoever acknowledges it now may lose a message.
    return {
      why: `it cannot be decrypted with this key: ${(error as Error).message}`,
      isFinal: true,
    };
  }
}

async function openWrap(
  drop: NostrEvent,
  { address, identity, contact }: Receiver,
): Promise<Opened> {
  const sealed = parseEvent(JSON.parse(await address.decrypt(drop.pubkey, drop.content)));
  if (isReason(sealed) || sealed.kind !== SEAL)
    return { why: "there is no seal in the wrap", isFinal: true };
  if (contact !== undefined && sealed.pubkey !== contact) {
    return {
      why: "it is addressed to a receiving key and not by the contact that has it",
      isFinal: true,
    };
  }
  if (!isGenuine(sealed)) return { why: "the signature of the seal is wrong", isFinal: true };
  const message = parseRumor(JSON.parse(await identity.decrypt(sealed.pubkey, sealed.content)));
  if (message === undefined) return { why: "there is no message in the seal", isFinal: true };
  if (message.pubkey !== sealed.pubkey) {
    return { why: "the message claims to be by somebody who did not seal it", isFinal: true };
  }
  return { message };
}

async function openLegacy(drop: NostrEvent, { address, identity }: Receiver): Promise<Opened> {
  // NIP-RK: nobody who has one sends kind 4 to a receiving key, so this is somebody who wants to see whose it is.
  if (address.key !== identity.key)
    return { why: "kind 4 is not sent to a receiving key", isFinal: true };
  if (address.decryptLegacy === undefined)
    return { why: "this signer cannot read kind 4", isFinal: true };
  if (!isGenuine(drop)) return { why: "the signature is wrong", isFinal: true };
  const { id, pubkey, created_at, kind, tags } = drop;
  const content = await address.decryptLegacy(pubkey, drop.content);
  return { message: { id, pubkey, created_at, kind, tags, content } };
}

/** The key that a drop is addressed to. */
export function addressOf(drop: NostrEvent): string | undefined {
  const address = tagValue(drop, "p");
  return isHex32(address) ? address : undefined;
}

// A rumor is an event without a signature; where it says an id, that must be its own.
function parseRumor(value: unknown): Rumor | undefined {
  const event = parseEvent({ id: NO_ID, ...(value as object), sig: NO_SIGNATURE });
  if (isReason(event)) return undefined;
  const isNamed = event.id !== NO_ID;
  if (isNamed && !hasOwnId(event)) return undefined;
  const id = isNamed ? event.id : idOf(event);
  const { pubkey, created_at, kind, tags, content } = event;
  return { id, pubkey, created_at, kind, tags, content };
}
