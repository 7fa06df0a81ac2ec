import type { NostrEvent } from "./event.ts";

/** What an id is the hash of. */
export type Unidentified = Omit<NostrEvent, "id" | "sig">;

/** The SHA-256 of a text's UTF-8, as 64 lowercase hex digits. */
export type Sha256 = (text: string) => string;

/** The text whose SHA-256 is an event's id (NIP-01, "Events and signatures"), as JSON.stringify and most of the field write it. */
export function preimageOf({ pubkey, created_at, kind, tags, content }: Unidentified): string {
  return JSON.stringify([0, pubkey, created_at, kind, tags, content]);
}

/**
 * Whether an id is the hash of a preimage in either spelling that is in use. NIP-01 escapes seven characters and includes "all other characters
 * verbatim"; of the control characters that leaves 27, U+0000 to U+001F without the five that have a letter, which JSON has as \u00XX alone. JSON.stringify
 * (nostr-tools, NDK), serde_json (rust-nostr) and go-nostr write those so, others follow the letter. U+007F and all above is verbatim to all of them, and is
 * here; a lone surrogate, which has no UTF-8 form, does not come this far (`parseEvent`). Costs a second hash only where the first is not the id and the
 * text has such a character.
 */
export function isIdOf(id: string, preimage: string, sha256: Sha256): boolean {
  if (sha256(preimage) === id) return true;
  return OTHER_CONTROL.test(preimage) && sha256(inLetter(preimage)) === id;
}

const OTHER_CONTROL = /\\u00[01][0-9a-f]/;

/** A preimage as NIP-01 has it to the letter. */
export function inLetter(preimage: string): string {
  // The other escapes are told from these, and kept: "\\u0001" is a backslash and five characters.
  return preimage.replace(/\\(?:u00([01][0-9a-f])|.)/g, (escape, code?: string) =>
    code === undefined ? escape : String.fromCharCode(Number.parseInt(code, 16)),
  );
}
