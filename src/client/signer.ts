import * as nip04 from "nostr-tools/nip04";
import * as nip44 from "nostr-tools/nip44";
import { finalizeEvent, generateSecretKey, getPublicKey } from "nostr-tools/pure";

import type { NostrEvent } from "../nostr/event.ts";
import { MAX_PLAINTEXT_BYTES, utf8Length } from "./message-size.ts";

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
  const key = getPublicKey(own);
  return {
    key,
    async sign({ kind, created_at, tags, content }) {
      const template = { kind, created_at, tags: tags.map((tag) => [...tag]), content };
      const { id, pubkey, sig } = finalizeEvent(template, own);
      return { id, pubkey, created_at, kind, tags, content, sig };
    },
    async encrypt(other, text) {
      const bytes = utf8Length(text);
      // nostr-tools goes on beyond, in a form that older clients do not read.
      if (bytes < 1 || bytes > MAX_PLAINTEXT_BYTES) {
        throw new RangeError(`NIP-44 takes 1 to ${MAX_PLAINTEXT_BYTES} bytes, not ${bytes}`);
      }
      return nip44.encrypt(text, nip44.getConversationKey(own, other));
    },
    async decrypt(other, text) {
      const key = orUndecryptable(
        () => nip44.getConversationKey(own, other),
        () => "it is by a key that belongs to nobody",
      );
      return orUndecryptable(() => nip44.decrypt(text, key), whyNot);
    },
    decryptLegacy: async (other, text) =>
      orUndecryptable(
        () => nip04.decrypt(own, other, text),
        () => "it is no NIP-04 ciphertext, or for another key",
      ),
  };
}

// In words of ours, for what nostr-tools says may quote from a content that is not encrypted at all.
function orUndecryptable<T>(decrypt: () => T, words: (error: Error) => string): T {
  try {
    return decrypt();
  } catch (error) {
    throw new UndecryptableError(words(error as Error), { cause: error });
  }
}

function whyNot({ message }: Error): string {
  if (message.includes("MAC")) return "it is for another key, or was changed on its way";
  if (message.includes("version")) return "it is encrypted in a way that is not known here";
  return "it is no NIP-44 ciphertext";
}

/** What an error says, whatever was thrown: signers come from everywhere. */
export function wordsOf(error: unknown): string {
  const message: unknown = Object(error) === error ? (error as Error).message : error;
  return typeof message === "string" && message !== "" ? message : "no reason was given";
}

/** A signer with a key that nobody saw before and that is forgotten with it. */
export function throwAwaySigner(): Signer {
  return secretSigner(generateSecretKey());
}
