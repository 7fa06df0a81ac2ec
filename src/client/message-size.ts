// How long a message may be. NIP-44 as every client reads it takes 65,535 bytes, and a message goes through it twice: the rumor in the seal, the seal in the
// wrap. Longer plaintexts have been in NIP-44 since, in a form that older clients do not read, and no sender can know what the recipient's is.

import type { NostrEvent } from "../nostr/event.ts";

/** The longest plaintext that every NIP-44 reader takes, in bytes of UTF-8. */
export const MAX_PLAINTEXT_BYTES = 65_535;

/** The longest rumor, as JSON in UTF-8: it is padded to itself, and the seal around it takes 55,055 bytes. From one byte more it is padded to 48 KiB, and the seal is too long. */
export const MAX_RUMOR_BYTES = 40 * 1024;

/** How many characters the NIP-44 ciphertext of a plaintext of so many bytes has. */
export function ciphertextLength(plaintextBytes: number): number {
  // Version, nonce, length, padded plaintext and MAC, in base64.
  const bytes = 1 + 32 + 2 + paddedLength(plaintextBytes) + 32;
  return 4 * Math.ceil(bytes / 3);
}

// NIP-44, "Padding": to an eighth of the next power of two, and to 32 bytes at least.
function paddedLength(bytes: number): number {
  const nextPower = 2 ** Math.ceil(Math.log2(bytes));
  const chunk = Math.max(32, nextPower / 8);
  return chunk * Math.ceil(bytes / chunk);
}

/** Throws a RangeError that says how long the text of a rumor is, and how much of it fits, unless the whole does. */
export function mustFit(rumor: Omit<NostrEvent, "sig">): void {
  if (utf8Length(JSON.stringify(rumor)) <= MAX_RUMOR_BYTES) return;
  const { tags, content } = rumor;
  const room = MAX_RUMOR_BYTES - utf8Length(JSON.stringify({ ...rumor, content: "" }));
  if (room < 0) {
    const bytes = utf8Length(JSON.stringify(tags));
    throw new RangeError(
      `the tags are ${shown(bytes)} bytes long as JSON, of which ${shown(bytes + room)} fit without any text`,
    );
  }
  throw new RangeError(
    `the text is ${shown(utf8Length(content))} bytes long, of which the first ${shown(fitting(content, room))} fit`,
  );
}

// How many bytes at the beginning of a text take up to `room` bytes as JSON, in which a quotation mark takes two and some characters six. No character is cut.
function fitting(text: string, room: number): number {
  let bytes = 0;
  let left = room;
  for (const character of text) {
    left -= utf8Length(JSON.stringify(character)) - '""'.length;
    if (left < 0) break;
    bytes += utf8Length(character);
  }
  return bytes;
}

/** How many bytes a text has in UTF-8. */
export function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

function shown(count: number): string {
  return count.toLocaleString("en");
}
