// Every message is in one file, and fits a terminal.

import { readdirSync, readFileSync } from "node:fs";

import { parseAst } from "vite";
import { describe, expect, it } from "vitest";

const SOURCES = new URL("../../src/", import.meta.url);
const MESSAGES = "cli/messages.ts";
// Help is a text of its own, a completion is a program, and a cause is part of a message.
const OTHERS = ["cli/help.ts", "cli/completion.ts", "cli/cause.ts"];
const COLUMNS = 80;
const PREFIX = "deaddrop: ";
const GAP = "…";

type Node = { readonly type: string } & Readonly<Record<string, unknown>>;

/** What stands between quotes in a source, with a gap for each `${…}`; not in imports, and not the summaries of commands, which are help. */
function textsIn(node: unknown): string[] {
  if (Array.isArray(node)) return node.flatMap(textsIn);
  const { type, ...rest } = Object(node) as Node;
  if (type === "ImportDeclaration") return [];
  if (type === "Property" && (rest["key"] as { name?: string }).name === "summary") return [];
  if (type === "Literal") return typeof rest["value"] === "string" ? [rest["value"]] : [];
  if (type === "TemplateLiteral") {
    const quasis = rest["quasis"] as { readonly value: { readonly cooked: string } }[];
    const own = quasis.map(({ value }) => value.cooked).join(GAP);
    return [own, ...textsIn(rest["expressions"])];
  }
  return typeof node === "object" && node !== null ? Object.values(rest).flatMap(textsIn) : [];
}

function textsOf(path: string): string[] {
  return textsIn(parseAst(readFileSync(new URL(path, SOURCES), "utf8"), { lang: "ts" }));
}

const TEXT = /\p{L}{2,}[,;:]? \p{L}/u;
const FILES = readdirSync(new URL("cli/", SOURCES)).map((name) => `cli/${name}`);
const COMMANDS = ["main.ts", ...FILES].filter(
  (path) => path !== MESSAGES && !OTHERS.includes(path),
);

describe("what commands say", () => {
  it.each(COMMANDS)("is not in %s", (path) => {
    expect(textsOf(path).filter((text) => TEXT.test(text))).toEqual([]);
  });

  it("is found where it is", () => {
    const texts = textsOf(MESSAGES).filter((text) => TEXT.test(text));
    expect(texts).toContain(
      `there is no key at ${GAP}\n  make one with "deaddrop keys new", or name a file with --key`,
    );
    expect(texts.length).toBeGreaterThan(50);
  });

  it("fits a line of a terminal, or two, as far as it is ours", () => {
    const broad = textsOf(MESSAGES).filter((text) => {
      const [first = "", second = "", ...more] = text.split("\n");
      const isNarrow = PREFIX.length + first.length <= COLUMNS && second.length <= COLUMNS;
      return !isNarrow || more.length > 0;
    });
    expect(broad).toEqual([]);
  });
});
