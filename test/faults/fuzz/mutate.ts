// Inputs made of other inputs: of their characters, and of the JSON in them.

import type { Random } from "./random.ts";

const CHARACTERS = [
  ...Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)),
  ...Array.from("\u0080\u00a0\u00ff\u0130\u017f\u212a\u2028\udfff\ud800\ufeff\uffff"),
  "\u{1f600}",
];

const NUMBERS = [
  0,
  1,
  -1,
  -0,
  4,
  5,
  62,
  63,
  64,
  65,
  1059,
  20221,
  21059,
  22242,
  27235,
  65535,
  65536,
  1.5,
  1e21,
  1e300,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  2 ** 53 - 1,
  2 ** 64,
  1_700_000_000,
  1_700_000_061,
  1_699_999_939,
];

const HEX = "0123456789abcdef".repeat(4);

const VALUES: readonly unknown[] = [
  null,
  true,
  false,
  "",
  [],
  {},
  [[]],
  [""],
  HEX,
  HEX.toUpperCase(),
  HEX.slice(1),
  `${HEX}a`,
  `${HEX}\n`,
  HEX + HEX,
  "__proto__",
  "constructor",
  "toString",
  '\u0000\u0001\u001f\u007f"\\\n',
  "\ud800",
  "\u{1f600}",
];

const FIELDS = [
  "ids",
  "authors",
  "kinds",
  "since",
  "until",
  "limit",
  "search",
  "#p",
  "#e",
  "#t",
  "#T",
  "#pp",
];
const EVENT_FIELDS = ["id", "pubkey", "created_at", "kind", "tags", "content", "sig", "__proto__"];

export type Material = {
  /** Pieces of the language that is read. */
  readonly words: readonly string[];
  readonly isJson: boolean;
  readonly maxChars: number;
};

/** An input like `parent`, changed in one place or several. */
export function mutant(
  parent: string,
  random: Random,
  other: () => string,
  { words, isJson, maxChars }: Material,
): string {
  let text = isJson && random.below(3) > 0 ? mutantOfJson(parent, random, other) : parent;
  if (text === parent || random.oneIn(6)) {
    do text = changed(text, random, other, words);
    while (random.oneIn(2));
  }
  if (random.oneIn(64)) text = pumped(text, random, maxChars);
  return text.length > maxChars ? text.slice(0, maxChars) : text;
}

function changed(
  text: string,
  random: Random,
  other: () => string,
  words: readonly string[],
): string {
  const at = random.below(text.length + 1);
  const to = Math.min(text.length, at + 1 + random.below(random.oneIn(4) ? 64 : 4));
  const [before, piece, after] = [text.slice(0, at), text.slice(at, to), text.slice(to)];
  switch (random.below(9)) {
    case 0:
      return before + after;
    case 1:
      return before + random.of(CHARACTERS) + text.slice(at);
    case 2:
      return before + random.of(CHARACTERS) + text.slice(at + 1);
    case 3:
      return before + piece + piece + after;
    case 4:
      return before + random.of(words) + (random.oneIn(2) ? text.slice(at) : after);
    case 5: {
      const donor = other();
      const from = random.below(donor.length + 1);
      return before + donor.slice(from, from + 1 + random.below(64)) + after;
    }
    case 6:
      return before + otherCase(piece) + after;
    case 7:
      return withNumber(text, at, random);
    default: {
      const target = random.below(text.length + 1);
      return text.slice(0, target) + piece + text.slice(target);
    }
  }
}

function otherCase(piece: string): string {
  return piece === piece.toUpperCase() ? piece.toLowerCase() : piece.toUpperCase();
}

// The first number behind a place becomes another one.
function withNumber(text: string, at: number, random: Random): string {
  return text.slice(0, at) + text.slice(at).replace(/\d+/, () => String(random.of(NUMBERS)));
}

// One piece, many times: what takes more than its share of time for each repetition shows then.
export function pumped(text: string, random: Random, maxChars: number): string {
  const at = random.below(text.length + 1);
  const piece = text.slice(at, at + 1 + random.below(8));
  if (piece === "") return text;
  const times = Math.floor(
    Math.max(0, maxChars - text.length) / piece.length / (1 + random.below(8)),
  );
  return text.slice(0, at) + piece.repeat(times) + text.slice(at);
}

// --- as JSON

function mutantOfJson(text: string, random: Random, other: () => string): string {
  const parsed = parse(text);
  if (parsed === undefined) return text;
  let tree = parsed.value;
  do tree = mutated(tree, random, other);
  while (random.oneIn(3));
  return JSON.stringify(tree) ?? text;
}

function parse(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

// Goes down to some node of the tree and changes that.
function mutated(tree: unknown, random: Random, other: () => string): unknown {
  if (typeof tree === "object" && tree !== null && !random.oneIn(6)) {
    return Array.isArray(tree)
      ? mutatedList(tree, random, other)
      : mutatedObject(tree, random, other);
  }
  return mutatedLeaf(tree, random, other);
}

function mutatedList(list: readonly unknown[], random: Random, other: () => string): unknown[] {
  const at = random.below(list.length + 1);
  const copy = [...list];
  switch (random.below(8)) {
    case 0:
      copy.splice(at, 1);
      break;
    case 1:
      copy.splice(at, 0, mutatedLeaf(copy[at], random, other));
      break;
    case 2:
      copy.splice(at, 0, ...copy.slice(at, at + 1 + random.below(4)));
      break;
    default:
      if (at < list.length) copy[at] = mutated(copy[at], random, other);
  }
  return copy;
}

function mutatedObject(object: object, random: Random, other: () => string): object {
  const entries = Object.entries(object) as [string, unknown][];
  const at = random.below(entries.length + 1);
  const entry = entries[at];
  switch (random.below(8)) {
    case 0:
      entries.splice(at, 1);
      break;
    case 1:
      entries.push([
        random.of(random.oneIn(2) ? FIELDS : EVENT_FIELDS),
        random.oneIn(2)
          ? [mutatedLeaf(undefined, random, other)]
          : mutatedLeaf(undefined, random, other),
      ]);
      break;
    case 2:
      if (entry !== undefined) entries[at] = [random.of(FIELDS), entry[1]];
      break;
    default:
      if (entry !== undefined) entries[at] = [entry[0], mutated(entry[1], random, other)];
  }
  return Object.fromEntries(entries);
}

function mutatedLeaf(leaf: unknown, random: Random, other: () => string): unknown {
  const choice = random.below(8);
  if (choice === 0) return random.of(VALUES);
  if (choice === 1) return random.of(NUMBERS);
  if (choice === 2) return [leaf ?? null];
  if (choice === 3) return nodeOf(other(), random);
  if (typeof leaf === "number") return leaf + random.of([-1, 1, 0.5, 60, -60, 61, -61]);
  if (typeof leaf === "string") return changed(leaf, random, other, [HEX, "p", "e", "u", "method"]);
  return random.of(VALUES);
}

// Some part of another input.
function nodeOf(text: string, random: Random): unknown {
  let node = parse(text)?.value;
  while (typeof node === "object" && node !== null && !random.oneIn(3)) {
    const children: unknown[] = Object.values(node);
    if (children.length === 0) break;
    node = random.of(children);
  }
  return node ?? null;
}
