import * as fc from "fast-check";

import type { NostrEvent } from "../../src/nostr/event.ts";

const DIGITS = fc.constantFrom(...Array.from("0123456789abcdef"));

/** So many lowercase hex digits. */
export function hexDigits(length: number): fc.Arbitrary<string> {
  return fc.string({ unit: DIGITS, minLength: length, maxLength: length });
}

// What a serialiser may trip over: every control character, what JSON escapes, what looks like an escape, line separators, a character of two code units.
const DELICATE = [
  ...Array.from({ length: 0x20 }, (_, code) => String.fromCharCode(code)),
  ...Array.from('"\\/\u007f\u0085\u00a0\u2028\u2029\ufeff\ufffd\uffff'),
  "\\u0001",
  "\\n",
  "\u{1f600}",
  "\u{10ffff}",
];

/** Any text that has a UTF-8 form, with more than its share of delicate characters. */
export const text: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom(...DELICATE) }),
  fc.string(),
);

export const tags: fc.Arbitrary<string[][]> = fc.array(
  fc.array(text, { minLength: 1, maxLength: 4 }),
  { maxLength: 5 },
);

/** A well-formed event, its id and signature made up. */
export const nostrEvent: fc.Arbitrary<NostrEvent> = fc.record(
  {
    id: hexDigits(64),
    pubkey: hexDigits(64),
    created_at: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    kind: fc.nat({ max: 65_535 }),
    tags,
    content: text,
    sig: hexDigits(128),
  },
  { noNullPrototype: true },
);

/** Up to three retentions of before, and today's. */
export const retentionRule = fc
  .tuple(
    fc.uniqueArray(fc.nat({ max: 3_000 }), { maxLength: 3 }),
    fc.array(fc.nat({ max: 3_000 }), { minLength: 4, maxLength: 4 }),
  )
  .map(([bounds, retentions]) =>
    [...bounds.sort((a, b) => a - b), Infinity].map((upTo, index) => ({
      upTo,
      seconds: retentions[index] ?? 0,
    })),
  );
