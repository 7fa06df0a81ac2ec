import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { OBLIGATIONS } from "../../src/conformance/obligations.ts";
import { SUITE } from "../../src/conformance/suite.ts";

const MAX_WORDS_OF_THE_CORE = 1_500;

function draft(name: string): string {
  return readFileSync(new URL(`../../nips/${name}.md`, import.meta.url), "utf8");
}

/** The sentences of a draft that bind somebody, in their order, as they read when it is rendered. */
function sentences(name: string): string[] {
  const prose = draft(name).replace(/^```[^]*?^```/gm, "");
  return prose
    .split("\n")
    .flatMap((line) =>
      line
        .replace(/^\s*- /, "")
        .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
        .split(/(?<=\.) /),
    )
    .filter((sentence) => /\b(MUST|SHOULD)\b/.test(sentence))
    .map((sentence) => sentence.trim());
}

describe("the obligations of NIP-DD, DH and DR", () => {
  it("are quoted by the suite word for word, all of them, in their order", () => {
    expect(Object.values(OBLIGATIONS)).toEqual(["DD", "DH", "DR"].flatMap(sentences));
  });

  it("have a check each, and no check has one that is gone", () => {
    const covered = new Set(SUITE.flatMap(({ obligations }) => obligations));
    expect([...covered].sort()).toEqual(Object.keys(OBLIGATIONS).sort());
  });

  it("have numbers for the suite alone", () => {
    for (const name of ["DD", "DH", "DR", "RK"]) {
      expect(draft(name)).not.toMatch(/<!--|\b(?:drop|expiry|pickup|ack|same|delete)-\d/);
    }
  });

  it("are few words", () => {
    expect(draft("DD").split(/\s+/).filter(Boolean).length).toBeLessThanOrEqual(
      MAX_WORDS_OF_THE_CORE,
    );
  });
});

it("nips/README.md tells how long the drafts are", () => {
  const told = [
    ...draft("README").matchAll(/^\| \[(\w\w)\]\(\w\w\.md\) +\| [^|]+\| +([\d,]+) \|/gm),
  ];
  expect(told.map(([, name]) => name)).toEqual(["DD", "DH", "DR", "RK"]);
  for (const [, name = "", words = ""] of told) {
    const counted = draft(name).split(/\s+/).filter(Boolean).length;
    expect([name, words]).toEqual([name, counted.toLocaleString("en")]);
  }
});

it("nips/README.md answers objections with what the drafts say", () => {
  const drafts = ["DD", "DH", "DR", "RK"].map((name) => plain(draft(name))).join(" ");
  const [, objections = ""] =
    /## What a reviewer will ask\n([^]*?)\n## /.exec(draft("README")) ?? [];
  const quoted = [...plain(objections).matchAll(/"([^"]{12,})"/g)].map(([, words]) => words);
  expect(quoted.length).toBeGreaterThan(15);
  expect(quoted.filter((words = "") => !drafts.includes(words))).toEqual([]);
});

function plain(text: string): string {
  return text.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/\s+/g, " ");
}
