// Where this relay reads otherwise than NIP-01 to the letter, or than nostr-tools, and wants to. A fuzzer that finds another difference has found a fault; a row
// whose example shows no difference any more is one too (fuzz-parsers.test.ts).

import { type PlainEvent, type PlainFilter } from "./nip01.ts";
import type { Difference } from "./target.ts";

const HEX = "ab".repeat(32);
const EVENT: PlainEvent = {
  id: HEX,
  pubkey: HEX,
  created_at: 1_700_000_000,
  kind: 1059,
  tags: [["p", HEX]],
  content: "ciphertext",
  sig: HEX + HEX,
};

/** How many values a list may have, and how many filters a message, where parsers are fuzzed. */
export const LIMITS = { filters: 3, filterValues: 4 };

/** An event: ours against NIP-01. */
export const EVENTS: readonly Difference[] = [
  {
    ours: "refuses",
    what: "a created_at before 1970",
    reason: "no clock of a client says so, and keys of the store have no place for it",
    example: { ...EVENT, created_at: -1 },
    isMet: (event) => fieldOf(event, "created_at", (value) => value < 0),
  },
  {
    ours: "refuses",
    what: "a created_at that is no exact number",
    reason: "what is written for it, and so the id, differs between languages",
    example: { ...EVENT, created_at: 2 ** 53 },
    isMet: (event) => fieldOf(event, "created_at", (value) => !Number.isSafeInteger(value)),
  },
  {
    ours: "refuses",
    what: "a lone surrogate",
    reason: "it has no UTF-8 form, so the id that NIP-01 asks for does not exist",
    example: { ...EVENT, content: "\ud800" },
    isMet: hasLoneSurrogate,
  },
];

/** An event: ours against nostr-tools' `validateEvent`, which looks at less. */
export const EVENTS_OF_NOSTR_TOOLS: readonly Difference[] = [
  {
    ours: "refuses",
    what: "an id or a signature that is none",
    reason: "nostr-tools looks at them when it verifies",
    example: { ...EVENT, id: HEX.toUpperCase() },
    isMet: (event) =>
      !isHex((event as PlainEvent).id, 64) || !isHex((event as PlainEvent).sig, 128),
  },
  {
    ours: "refuses",
    what: "a kind that is no whole number between 0 and 65535",
    reason: "NIP-01: integer between 0 and 65535",
    example: { ...EVENT, kind: 1.5 },
    isMet: (event) =>
      fieldOf(event, "kind", (kind) => !Number.isInteger(kind) || kind < 0 || kind > 65_535),
  },
  {
    ours: "refuses",
    what: "a created_at that is no whole number of seconds since 1970",
    reason: "NIP-01: unix timestamp in seconds; and see above",
    example: { ...EVENT, created_at: 0.5 },
    isMet: (event) =>
      fieldOf(event, "created_at", (value) => !Number.isSafeInteger(value) || value < 0),
  },
  {
    ours: "refuses",
    what: "an empty tag",
    reason: "NIP-01: each tag is an array of one or more strings",
    example: { ...EVENT, tags: [[]] },
    isMet: (event) => (event as PlainEvent).tags.some((tag) => tag.length === 0),
  },
  {
    ours: "refuses",
    what: "a lone surrogate",
    reason: "nostr-tools hashes a replacement character in its place",
    example: { ...EVENT, tags: [["p", "\udfff"]] },
    isMet: hasLoneSurrogate,
  },
];

/** A filter: ours against NIP-01. */
export const FILTERS: readonly Difference[] = [
  {
    ours: "accepts",
    what: "an empty list",
    reason: "clients send it for nobody; nothing matches it (NIP-01 has lists of one or more)",
    example: { ids: [] },
    isMet: (filter) => lists(filter).some((list) => list.length === 0),
  },
  {
    ours: "accepts",
    what: "a kind beyond 65535",
    reason: "no event has it, so nothing matches; clients ask for all kinds they know of",
    example: { kinds: [65_536] },
    isMet: (filter) => numbersIn((filter as PlainFilter)["kinds"]).some((kind) => kind > 65_535),
  },
  {
    ours: "refuses",
    what: "more values than a list may have",
    reason: "a limit, which NIP-11 announces",
    example: { kinds: [1, 2, 3, 4, 5] },
    isMet: (filter) => lists(filter).some(({ length }) => length > LIMITS.filterValues),
  },
  {
    ours: "refuses",
    what: "a negative number, or one beyond 64 bits",
    reason: "no time and no number of events",
    example: { since: -1 },
    isMet: (filter) =>
      ["since", "until", "limit"].some((name) =>
        fieldOf(filter, name, (value) => value < 0 || value > 2 ** 64),
      ),
  },
];

/** A message: ours against NIP-01 (and NIP-45, whose COUNT is built like its REQ). */
export const MESSAGES: readonly Difference[] = [
  ...FILTERS.map(({ ours, what, reason, example, isMet }): Difference => ({
    ours,
    what,
    reason,
    example: ["REQ", "x", example],
    isMet: (message) => (message as unknown[]).slice(2).some(isMet),
  })),
  {
    ours: "refuses",
    what: "more filters than a message may have",
    reason: "a limit",
    example: ["REQ", "x", {}, {}, {}, {}],
    isMet: (message) => (message as unknown[]).length - 2 > LIMITS.filters,
  },
];

/** Whether an event matches a filter: ours against nostr-tools' `matchFilter`. A pair of both. */
export const MATCHES_OF_NOSTR_TOOLS: readonly Difference[] = [
  {
    ours: "refuses",
    what: "until: 0",
    reason: "nostr-tools takes it for no condition",
    example: [{ until: 0 }, EVENT],
    isMet: (pair) => (pair as [PlainFilter])[0]["until"] === 0,
  },
];

function fieldOf(value: unknown, name: string, test: (value: number) => boolean): boolean {
  const field: unknown = (value as Record<string, unknown>)[name];
  return typeof field === "number" && test(field);
}

function lists(filter: unknown): unknown[][] {
  return Object.values(filter as object).filter((value): value is unknown[] =>
    Array.isArray(value),
  );
}

function numbersIn(list: unknown): number[] {
  return Array.isArray(list)
    ? list.filter((value): value is number => typeof value === "number")
    : [];
}

function hasLoneSurrogate(event: unknown): boolean {
  const { content, tags } = event as PlainEvent;
  return [content, ...tags.flat()].some((text) => /\p{Surrogate}/u.test(text));
}

function isHex(value: unknown, digits: number): boolean {
  return typeof value === "string" && new RegExp(`^[0-9a-f]{${digits}}$`).test(value);
}
