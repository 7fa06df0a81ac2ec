// The names that the store's tables have for keys and ids, so that a copy of the disk tells nobody without the secret who has mail, or had.
//
// - Of a public key: SHA-256 of a secret and the key, cut to 16 bytes. Both have a fixed length, so this is a keyed hash; no name leads back to its key,
//   and who holds the secret can only try keys that it knows.
// - Of an id: AES of its first 16 bytes, one block, which the relay turns round to sort by id, and to look for one among many. Who has an id to try has the event.

import { createDecipheriv, type Decipheriv, hash } from "node:crypto";

import { unsafe as aes } from "@noble/ciphers/aes.js";

const KEY_BYTES = 32;
/** Of a name, as of the part of an id that is named. */
export const NAME_BYTES = 16;

/** The secrets from which the names are made. */
export type NamingSecrets = {
  /** 32 bytes. */
  readonly keys: Buffer;
  /** 16 bytes. */
  readonly ids: Buffer;
};

export class Pseudonyms {
  readonly #hashed: Buffer;
  readonly #expanded: Uint32Array;
  // One block, as words and as bytes.
  readonly #words = new Uint32Array(NAME_BYTES / 4);
  readonly #block = Buffer.from(this.#words.buffer);
  readonly #decrypt: Decipheriv;

  constructor({ keys, ids }: NamingSecrets) {
    this.#hashed = Buffer.concat([keys, Buffer.alloc(KEY_BYTES)]);
    // Blocks on their own, of which none ever stands there twice for two ids. One is encrypted in a quarter of the time that it takes to call OpenSSL.
    this.#expanded = aes.expandKeyLE(ids);
    this.#decrypt = createDecipheriv("aes-128-ecb", ids, null).setAutoPadding(false);
  }

  /** Writes the name of a public key, as 64 hex digits, where it is wanted. */
  writeKey(key: string, target: Buffer, at: number): void {
    this.#hashed.write(key, KEY_BYTES, "hex");
    target.write(hash("sha256", this.#hashed, "binary"), at, NAME_BYTES, "latin1");
  }

  /** The same of an id, from 32 hex digits on. */
  writeId(id: string, target: Buffer, at: number): void {
    const words = this.#words;
    this.#block.write(id, "hex");
    const { s0, s1, s2, s3 } = aes.encrypt(
      this.#expanded,
      words[0]!,
      words[1]!,
      words[2]!,
      words[3]!,
    );
    words[0] = s0;
    words[1] = s1;
    words[2] = s2;
    words[3] = s3;
    this.#block.copy(target, at);
  }

  /** The first 32 hex digits of each of the ids that these names, one behind the other, are of. */
  ids(names: Buffer): string[] {
    const ids = this.#decrypt.update(names).toString("hex");
    const digits = 2 * NAME_BYTES;
    return Array.from({ length: ids.length / digits }, (_, n) =>
      ids.slice(n * digits, (n + 1) * digits),
    );
  }
}
