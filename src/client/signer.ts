import { schnorr } from "@noble/curves/secp256k1.js";
import { extract } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { base64 } from "@scure/base";
import { decrypt, encrypt } from "nostr-tools/nip44";

import { type NostrEvent, parseEvent } from "../nostr/event.ts";
import { isReason, withoutPrefix } from "../nostr/reason.ts";
import { pointOf } from "./arguments.ts";
import { hasOwnId, idOf, isSigned } from "./genuine.ts";
import { MAX_PLAINTEXT_BYTES, utf8Length } from "./message-size.ts";

// NIP-44: "HKDF-extract with sha256, `IKM=shared_x` and `salt=utf8_encode('nip44-v2')`".
const CONVERSATION = utf8ToBytes("nip44-v2");
// 32 bytes each, and as many others as may write within a box full of wraps.
const MAX_CONVERSATIONS = 1_024;

/** An event before it has an author, an id and a signature. */
export type EventTemplate = {
  readonly kind: number;
  readonly created_at: number;
  readonly tags: readonly (readonly string[])[];
  readonly content: string;
};

/**
 * One of a person's keys: whatever can sign and decrypt with it. `secretSigner` makes one of a secret key; a browser extension (NIP-07) or a remote
 * signer (NIP-46) fits behind the same four members. Each may reject for whatever reason: it was away, the person said no.
 */
export type Signer = {
  /** 64 lowercase hex digits. */
  readonly key: string;
  /** The event of just this template, signed by `key`. */
  sign(template: EventTemplate): Promise<NostrEvent>;
  /** NIP-44 with the other's key, of 1 to 65535 bytes. */
  encrypt(other: string, text: string): Promise<string>;
  /**
   * NIP-44. Rejects with an UndecryptableError when this key can never decrypt it. After any other rejection the drop is tried again at the next pickup, so a
   * signer that cannot tell the two apart rejects with another error.
   */
  decrypt(other: string, ciphertext: string): Promise<string>;
  /** NIP-04, for old messages of kind 4. Rejects like `decrypt`. */
  decryptLegacy?(other: string, ciphertext: string): Promise<string>;
};

/** A ciphertext is malformed, or not for this key: it is the same whenever it is tried. */
export class UndecryptableError extends Error {
  override readonly name = "UndecryptableError";
}

/** A signer that holds the secret key, 32 bytes. Throws when that is no key. */
export function secretSigner(secret: Uint8Array): Signer {
  const own = Uint8Array.from(secret);
  const key = bytesToHex(schnorr.getPublicKey(own));
  const conversationKey = conversationsOf(own);
  return {
    key,
    async sign({ kind, created_at, tags, content }) {
      const unsigned = { pubkey: key, created_at, kind, tags, content };
      const id = idOf(unsigned);
      return { id, ...unsigned, sig: bytesToHex(schnorr.sign(hexToBytes(id), own)) };
    },
    async encrypt(other, text) {
      const bytes = utf8Length(text);
      // nostr-tools goes on beyond, in a form that older clients do not read.
      if (bytes < 1 || bytes > MAX_PLAINTEXT_BYTES) {
        throw new RangeError(`NIP-44 takes 1 to ${MAX_PLAINTEXT_BYTES} bytes, not ${bytes}`);
      }
      return encrypt(text, conversationKey(other));
    },
    async decrypt(other, text) {
      const key = await orUndecryptable(
        () => conversationKey(other),
        () => "it is by a key that belongs to nobody",
      );
      return orUndecryptable(() => decrypt(text, key), whyNot);
    },
    async decryptLegacy(other, text) {
      const { subtle } = crypto;
      // A page that did not come by https has none.
      if (subtle === undefined) throw new Error("this page may not decrypt: it is not secure");
      return orUndecryptable(
        () => decryptLegacy(subtle, own, other, text),
        () => "it is no NIP-04 ciphertext, or for another key",
      );
    },
  };
}

// What a secret key shares with each of the others (NIP-44), in the order of its last use. To work it out is most of what opening a message costs, and those who
// write once write again; the keys of wraps, which are new each time, are forgotten first.
function conversationsOf(own: Uint8Array): (other: string) => Uint8Array {
  const known = new Map<string, Uint8Array>();
  return (other) => {
    const key = known.get(other) ?? extract(sha256, sharedX(own, other), CONVERSATION);
    known.delete(other);
    known.set(other, key);
    const [oldest = other] = known.keys();
    if (known.size > MAX_CONVERSATIONS) known.delete(oldest);
    return key;
  };
}

// NIP-44: "`shared_x` must be unhashed, 32-byte encoded x coordinate of the shared point". NIP-04 encrypts with just that.
function sharedX(own: Uint8Array, other: string): Uint8Array<ArrayBuffer> {
  const scalar = schnorr.Point.Fn.fromBytes(own);
  return Uint8Array.from(schnorr.utils.pointToBytes(pointOf(other, "the other").multiply(scalar)));
}

// NIP-04: "the ciphertext base64-encoded", "?iv=" and the initialization vector. AES-256-CBC, which the platform has.
async function decryptLegacy(
  subtle: typeof crypto.subtle,
  own: Uint8Array,
  other: string,
  text: string,
): Promise<string> {
  const [ciphertext = "", iv = ""] = text.split("?iv=");
  const cipher = { name: "AES-CBC", iv: bytesOf(iv) };
  const key = await subtle.importKey("raw", sharedX(own, other), cipher.name, false, ["decrypt"]);
  return new TextDecoder().decode(await subtle.decrypt(cipher, key, bytesOf(ciphertext)));
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(base64.decode(text));
}

// In words of ours, for what nostr-tools says may quote from a content that is not encrypted at all.
async function orUndecryptable<T>(
  work: () => T | Promise<T>,
  words: (error: Error) => string,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new UndecryptableError(words(error as Error), { cause: error });
  }
}

function whyNot({ message }: Error): string {
  if (message.includes("MAC")) return "it is for another key, or was changed on its way";
  if (message.includes("version")) return "it is encrypted in a way that is not known here";
  return "it is no NIP-44 ciphertext";
}

/**
 * What a signer makes of a template, read as others will. Throws when that is not just this event, by the signer's own key. Its signature is not looked at: for what
 * is told to a relay at once, and to nobody else, the relay does that.
 */
export async function readBack(signer: Signer, template: EventTemplate): Promise<NostrEvent> {
  const event = parseEvent(await signer.sign(template));
  if (isReason(event)) throw new Error(`the signer made no event: ${withoutPrefix(event)}`);
  const { kind, created_at, tags, content } = template;
  const wanted = { pubkey: signer.key, kind, created_at, tags, content };
  if (!hasOwnId({ ...wanted, id: event.id })) {
    throw new Error("the signer signed something else than it was asked to, or with another key");
  }
  return { ...event, ...wanted };
}

/** Signs a template. Throws as `readBack` does, and when the signature is wrong. */
export async function signedBy(signer: Signer, template: EventTemplate): Promise<NostrEvent> {
  const event = await readBack(signer, template);
  if (!isSigned(event)) throw new Error("the signer's signature is wrong");
  return event;
}

/** What an error says, whatever was thrown: signers come from everywhere. */
export function wordsOf(error: unknown): string {
  const message: unknown = Object(error) === error ? (error as Error).message : error;
  return typeof message === "string" && message !== "" ? message : "no reason was given";
}

/** A secret key that nobody has: 32 random bytes. */
export function generateSecretKey(): Uint8Array {
  return schnorr.utils.randomSecretKey();
}

/** A signer with a key that nobody saw before and that is forgotten with it. */
export function throwAwaySigner(): Signer {
  return secretSigner(generateSecretKey());
}
