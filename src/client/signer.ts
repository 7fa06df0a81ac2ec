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
 * signer (NIP-46) fits behind the same four members.
 */
export type Signer = {
  /** 64 lowercase hex digits. */
  readonly key: string;
  sign(template: EventTemplate): Promise<NostrEvent>;
  /** NIP-44 with the other's key, of 1 to 65535 bytes. */
  encrypt(other: string, text: string): Promise<string>;
  /** NIP-44. Rejects when the ciphertext is not for this key. */
  decrypt(other: string, ciphertext: string): Promise<string>;
  /** NIP-04, for old messages of kind 4. */
  decryptLegacy?(other: string, ciphertext: string): Promise<string>;
};

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
    decrypt: async (other, text) => nip44.decrypt(text, nip44.getConversationKey(own, other)),
    decryptLegacy: async (other, text) => nip04.decrypt(own, other, text),
  };
}

/** A signer with a key that nobody saw before and that is forgotten with it. */
export function throwAwaySigner(): Signer {
  return secretSigner(generateSecretKey());
}
