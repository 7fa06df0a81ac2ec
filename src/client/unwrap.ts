// Opens what `wrap.ts` closes: a gift wrap, the seal in it, the rumor in that (NIP-59, NIP-17); and old messages of kind 4 (NIP-04).
//
// - What cannot be opened has the first cause in words, which never quote from it.
// - A cause is final when it lies in the drop, so that it is there whenever it is opened. What lies with the signer may have passed by the next time, and whoever
//   remembered it would lose a message.

import { type NostrEvent, parseEvent, tagValue } from "../nostr/event.ts";
import { isHex32 } from "../nostr/hex.ts";
import { DIRECT_MESSAGE, EPHEMERAL_GIFT_WRAP, GIFT_WRAP, SEAL } from "../nostr/kinds.ts";
import { isReason, type Reason, withoutPrefix } from "../nostr/reason.ts";
import { hasOwnId, isSigned } from "./genuine.ts";
import { type Signer, UndecryptableError, wordsOf } from "./signer.ts";
import { parseRumor, type Rumor } from "./wrap.ts";

/** Who can open what is addressed to a key: that key itself, and the identity to which the seal inside is encrypted. */
export type Receiver = {
  readonly address: Signer;
  readonly identity: Signer;
  /** The only one who may write to this key (NIP-RK): whoever else knows it could see by a reaction whose it is. */
  readonly contact?: string;
  /** The week of a receiving key: those of two weeks never share a connection. */
  readonly epoch?: number;
};

/** A message, or why there is none, and whether that is `isFinal`: false when the signer did not decrypt it, and may do so another time. */
export type Opened = { readonly message: Rumor } | Unopened;

type Unopened = { readonly why: string; readonly isFinal: boolean };

/**
 * Opens a drop as its receiver: a gift wrap, or an old message of kind 4. Answers the message, or why there is none: it is not for this key, it is malformed, or it
 * claims to be by somebody who did not seal it (NIP-17: "Clients MUST verify if pubkey of the kind:13 is the same pubkey on the kind:14").
 */
export async function open(drop: NostrEvent, receiver: Receiver): Promise<Opened> {
  switch (drop.kind) {
    case GIFT_WRAP:
    case EPHEMERAL_GIFT_WRAP:
      return openWrap(drop, receiver);
    case DIRECT_MESSAGE:
      return openLegacy(drop, receiver);
    default:
      return unopenable(`an event of kind ${drop.kind} is no message`);
  }
}

async function openWrap(
  drop: NostrEvent,
  { address, identity, contact }: Receiver,
): Promise<Opened> {
  const inWrap = await decrypted("the wrap", () => address.decrypt(drop.pubkey, drop.content));
  if (typeof inWrap !== "string") {
    const isForAnother = inWrap.isFinal && addressOf(drop) !== address.key;
    return isForAnother ? unopenable("the wrap is addressed to another key") : inWrap;
  }
  const sealed = read("the wrap", inWrap, parseEvent);
  if ("why" in sealed) return sealed;
  const { kind, pubkey } = sealed;
  if (kind !== SEAL) return unopenable(`in the wrap is an event of kind ${kind}, and no seal`);
  if (contact !== undefined && pubkey !== contact) {
    return unopenable("the seal is by somebody who is not the contact that has this receiving key");
  }
  if (!hasOwnId(sealed)) return unopenable("the id of the seal is not its own");
  if (!isSigned(sealed)) return unopenable("the signature of the seal is wrong");
  const inSeal = await decrypted("the seal", () => identity.decrypt(pubkey, sealed.content));
  if (typeof inSeal !== "string") return inSeal;
  const message = read("the seal", inSeal, parseRumor);
  if ("why" in message) return message;
  if (!hasOwnId(message)) return unopenable("the id of the message is not its own");
  if (message.pubkey !== pubkey) {
    return unopenable("the message claims to be by somebody who did not seal it");
  }
  return { message };
}

async function openLegacy(drop: NostrEvent, { address, identity }: Receiver): Promise<Opened> {
  // NIP-RK: nobody who has one sends kind 4 to a receiving key, so this is somebody who wants to see whose it is.
  if (address.key !== identity.key) return unopenable("kind 4 is not sent to a receiving key");
  // With another's key NIP-04 may well decrypt: to nonsense.
  if (addressOf(drop) !== address.key) return unopenable("the message is addressed to another key");
  if (!hasOwnId(drop)) return unopenable("the id of the message is not its own");
  if (!isSigned(drop)) return unopenable("the signature of the message is wrong");
  const { id, pubkey, created_at, kind, tags } = drop;
  if (address.decryptLegacy === undefined) {
    return { why: "this signer cannot read kind 4", isFinal: false };
  }
  const content = await decrypted("the message", async () =>
    address.decryptLegacy?.(pubkey, drop.content),
  );
  if (typeof content !== "string") return content;
  return { message: { id, pubkey, created_at, kind, tags, content } };
}

/** The key that a drop is addressed to. */
export function addressOf(drop: NostrEvent): string | undefined {
  const address = tagValue(drop, "p");
  return isHex32(address) ? address : undefined;
}

async function decrypted(
  what: string,
  decrypt: () => Promise<unknown>,
): Promise<string | Unopened> {
  try {
    const text = await decrypt();
    if (typeof text === "string") return text;
    return { why: `the signer gave no text for ${what}`, isFinal: false };
  } catch (error) {
    const isFinal = error instanceof UndecryptableError;
    const failed = isFinal ? "cannot be decrypted with this key" : "was not decrypted";
    return { why: `${what} ${failed}: ${wordsOf(error)}`, isFinal };
  }
}

function read<T extends object>(
  what: string,
  text: string,
  parse: (value: unknown) => T | Reason,
): T | Unopened {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // What JSON.parse says quotes the text.
    return unopenable(`what is in ${what} is no JSON`);
  }
  const parsed = parse(value);
  return isReason(parsed)
    ? unopenable(`what is in ${what} is no event: ${withoutPrefix(parsed)}`)
    : parsed;
}

function unopenable(why: string): Unopened {
  return { why, isFinal: true };
}
