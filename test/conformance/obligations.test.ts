import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { OBLIGATIONS } from "../../src/conformance/obligations.ts";
import { SUITE } from "../../src/conformance/suite.ts";

const NIP = readFileSync(new URL("../../nips/DD.md", import.meta.url), "utf8");
const PROSE = NIP.replace(/^```[^]*?^```/gm, "");
const ID = /<!-- ([a-z]+-\d+) -->/g;

// Sentences about other documents. They bind nobody here.
const QUOTATIONS = [
  "This departs from NIP-09, which says that relays SHOULD publish deletions indefinitely",
];

/** Every sentence of the NIP with the id behind it, if there is one. */
function sentences(): { text: string; id: string | undefined }[] {
  return PROSE.split("\n").flatMap((line) =>
    line
      .replace(/^\s*(- |\d+\. )/, "")
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .split(/(?<=-->) |(?<=\.) (?!<!--)/)
      .map((sentence) => {
        const [, id] = /<!-- ([a-z]+-\d+) -->/.exec(sentence) ?? [];
        return { text: sentence.replace(ID, "").trim(), id };
      }),
  );
}

describe("the obligations of NIP-DD", () => {
  it("have an id wherever the text says MUST or SHOULD", () => {
    const bare = sentences().filter(
      ({ text, id }) =>
        /\b(MUST|SHOULD)\b/.test(text) &&
        id === undefined &&
        !QUOTATIONS.some((quotation) => text.startsWith(quotation)),
    );
    expect(bare).toEqual([]);
  });

  it("have an id only once, and only where the text says MUST or SHOULD", () => {
    const ids = [...NIP.matchAll(ID)].map(([, id]) => id);
    expect(ids).toEqual([...new Set(ids)]);
    const numbered = sentences().filter(({ id }) => id !== undefined);
    expect(numbered.map(({ id }) => id)).toEqual(ids);
    expect(numbered.filter(({ text }) => !/\b(MUST|SHOULD)\b/.test(text))).toEqual([]);
  });

  it("are quoted by the suite word for word", () => {
    const said = sentences().filter(({ id }) => id !== undefined);
    expect(Object.entries(OBLIGATIONS)).toEqual(said.map(({ id, text }) => [id, text]));
  });

  it("have a check each, and no check has one that is gone", () => {
    const covered = new Set(SUITE.flatMap(({ obligations }) => obligations));
    expect([...covered].sort()).toEqual(Object.keys(OBLIGATIONS).sort());
  });
});

describe("the suite", () => {
  it("gives every check an id of its own, of the form subject/name", () => {
    const ids = SUITE.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)]);
    expect(ids.filter((id) => !/^[a-z-]+\/[a-z0-9-]+$/.test(id))).toEqual([]);
  });

  it("names a NIP and quotes a sentence in every check", () => {
    for (const { nip, sentence } of SUITE) {
      expect(nip).toMatch(/^(\d\d|DD)$/);
      expect(sentence.length).toBeGreaterThan(20);
    }
    const ofDeadDrops = SUITE.filter(({ nip }) => nip === "DD");
    expect(ofDeadDrops.filter(({ obligations }) => obligations.length === 0)).toEqual([]);
  });
});
