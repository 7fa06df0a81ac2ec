import { createHash } from "node:crypto";

import * as fc from "fast-check";
import { serializeEvent } from "nostr-tools/pure";
import { describe, expect, it } from "vitest";

import type { NostrEvent } from "../../src/nostr/event.ts";
import { inLetter, isIdOf, preimageOf } from "../../src/nostr/event-id.ts";
import { nostrEvent } from "../support/arbitrary.ts";
import { WELL_FORMED as EVENT } from "../support/events.ts";

const CONTROLS = Array.from({ length: 0x20 }, (_, code) => String.fromCharCode(code));
const OTHER_CONTROLS = CONTROLS.filter((character) => !"\n\r\t\b\f".includes(character));

// Text in which the characters that have two spellings, and what looks like them, are frequent.
const text = fc.array(
  fc.oneof(
    fc.constantFrom(...CONTROLS, "\\", '"', "u0001", "\u007f", "\u2028"),
    fc.string({ unit: "grapheme" }),
  ),
);
const controlled = fc
  .record({ event: nostrEvent, content: text, value: text })
  .map(({ event, content, value }): NostrEvent => {
    return Object.assign({}, event, {
      content: content.join(""),
      tags: [...event.tags, ["x", value.join("")]],
    });
  });

describe("the text an id is the hash of", () => {
  it("is what nostr-tools hashes, for any text", () => {
    fc.assert(
      fc.property(fc.oneof(nostrEvent, controlled), (event) => {
        const copy = { ...event, tags: event.tags.map((tag) => [...tag]) };
        expect(preimageOf(event)).toBe(serializeEvent(copy));
      }),
      { numRuns: 500 },
    );
  });

  it("follows NIP-01 to the letter, character by character, in its other spelling", () => {
    fc.assert(
      fc.property(fc.oneof(nostrEvent, controlled), (event) => {
        expect(inLetter(preimageOf(event))).toBe(naiveSerialization(event));
      }),
      { numRuns: 500 },
    );
  });

  const VERBATIM = [
    ...Array.from("/<>&'\u007f\u0080\u009f\u2028\u2029\ufeff\uffff"),
    "\u{1f600}",
    "\u{10ffff}",
  ];
  it.each(VERBATIM.map((character) => [codeOf(character), character]))(
    "holds U+%s verbatim in both",
    (_, character) => {
      const preimage = preimageOf({ ...EVENT, content: character, tags: [[character]] });
      expect(preimage).toContain(`,[["${character}"]],"${character}"]`);
      expect(inLetter(preimage)).toBe(preimage);
    },
  );
});

describe("an id", () => {
  it("is right in either spelling of any text", () => {
    fc.assert(
      fc.property(fc.oneof(nostrEvent, controlled), (event) => {
        const copy = { ...event, tags: event.tags.map((tag) => [...tag]) };
        for (const spelled of [serializeEvent(copy), naiveSerialization(event)]) {
          expect(isIdOf(sha256(spelled), preimageOf(event), sha256)).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  it.each(OTHER_CONTROLS.map((character) => [codeOf(character), character]))(
    "has two spellings where the content or a tag has U+%s",
    (_, character) => {
      for (const change of [{ content: character }, { tags: [["t", `a${character}`]] }]) {
        const event = { ...EVENT, ...change };
        const ids = [JSON.stringify(listOf(event)), naiveSerialization(event)].map(sha256);
        expect(new Set(ids).size).toBe(2);
        for (const id of ids) expect(isIdOf(id, preimageOf(event), sha256)).toBe(true);
      }
    },
  );

  it("is wrong for any other text, and costs a second hash only where there are two spellings", () => {
    const id = sha256(preimageOf({ ...EVENT, content: "x" }));
    for (const [content, hashes] of [
      ["y", 1],
      ["\n\t\u007f", 1],
      ["\u0001", 2],
    ] as const) {
      let hashed = 0;
      const counting = (preimage: string): string => {
        hashed += 1;
        return sha256(preimage);
      };
      expect(isIdOf(id, preimageOf({ ...EVENT, content }), counting)).toBe(false);
      expect([content, hashed]).toEqual([content, hashes]);
    }
  });

  it("is wrong where only a part of the text is in the other spelling", () => {
    const event = { ...EVENT, content: "\u0001\u0002" };
    const mixed = preimageOf(event).replace(String.raw`\u0001`, "\u0001");
    expect(isIdOf(sha256(mixed), preimageOf(event), sha256)).toBe(false);
  });

  it("of the event printed in NIP-13 is right", () => {
    const event = {
      pubkey: "a48380f4cfcc1ad5378294fcac36439770f9c878dd880ffa94bb74ea54a6f243",
      created_at: 1651794653,
      kind: 1,
      tags: [["nonce", "776797", "20"]],
      content: "It's just me mining my own business",
    };
    const id = "000006d8c378af1779d2feebc7603a125d99eca0ccf1085959b307f64e5dd358";
    expect(isIdOf(id, preimageOf(event), sha256)).toBe(true);
  });
});

function sha256(preimage: string): string {
  return createHash("sha256").update(preimage).digest("hex");
}

function codeOf(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
}

function listOf({ pubkey, created_at, kind, tags, content }: NostrEvent): unknown[] {
  return [0, pubkey, created_at, kind, tags, content];
}

// NIP-01, "Events and signatures", written down once more.
const ESCAPES: Readonly<Record<string, string>> = {
  "\n": "\\n",
  '"': '\\"',
  "\\": "\\\\",
  "\r": "\\r",
  "\t": "\\t",
  "\b": "\\b",
  "\f": "\\f",
};

function naiveSerialization({ pubkey, created_at, kind, tags, content }: NostrEvent): string {
  const list = tags.map((tag) => `[${tag.map((part) => quote(part)).join(",")}]`).join(",");
  return `[0,"${pubkey}",${created_at},${kind},[${list}],${quote(content)}]`;
}

function quote(words: string): string {
  return `"${Array.from(words, (character) => ESCAPES[character] ?? character).join("")}"`;
}
