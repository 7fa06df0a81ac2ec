import * as fc from "fast-check";
import { type Filter as WireFilter, matchFilter as nostrToolsMatch } from "nostr-tools";
import { describe, expect, it } from "vitest";

import type { NostrEvent } from "../../src/nostr/event.ts";
import { type Filter, matchesNothing, matchFilter, parseFilter } from "../../src/nostr/filter.ts";

const MAX_VALUES = 3;
const A = "a".repeat(64);
const B = "b".repeat(64);

function parse(value: unknown): Filter | string {
  return parseFilter(value, MAX_VALUES);
}

describe("parsing a filter", () => {
  it("reads every field of NIP-01", () => {
    const filter = {
      ids: [A],
      authors: [A, B],
      kinds: [4, 1059],
      since: 10,
      until: 20,
      limit: 30,
      "#p": [B],
      "#t": ["", "any text"],
      "#T": ["x"],
    };
    expect(parse(filter)).toEqual({
      ids: new Set([A]),
      authors: new Set([A, B]),
      kinds: new Set([4, 1059]),
      since: 10,
      until: 20,
      limit: 30,
      tags: new Map([
        ["p", new Set([B])],
        ["t", new Set(["", "any text"])],
        ["T", new Set(["x"])],
      ]),
    });
  });

  it("reads an empty filter as no condition", () => {
    expect(parse({})).toEqual({ tags: new Map() });
  });

  it.each(["since", "until", "limit"])("keeps %s: 0", (field) => {
    expect(parse({ [field]: 0 })).toEqual({ tags: new Map(), [field]: 0 });
  });

  it.each([
    ["null", null],
    ["a string", "{}"],
    ["a number", 1],
    ["a list", [{}]],
  ])("refuses %s where a filter belongs", (_, value) => {
    expect(parse(value)).toBe("invalid: a filter is a JSON object");
  });

  it.each(["ids", "authors", "#e", "#p"])(
    "takes nothing but 64 lowercase hex digits in %s",
    (field) => {
      for (const value of [A.toUpperCase(), A.slice(1), `${A}a`, `${A}\n`, "", 7, null, [A]]) {
        expect(parse({ [field]: [A, value] })).toBe(
          `invalid: ${field} must be 64 lowercase hex digits each`,
        );
      }
    },
  );

  it("takes nothing but whole numbers in kinds", () => {
    for (const value of ["4", 1.5, -1, null, true, [4]]) {
      expect(parse({ kinds: [4, value] })).toBe("invalid: kinds must be whole numbers");
    }
  });

  it("takes nothing but strings in the list of another tag", () => {
    for (const value of [4, null, ["x"], {}]) {
      expect(parse({ "#t": ["x", value] })).toBe("invalid: #t must be strings");
    }
  });

  it.each(["since", "until", "limit"])("takes nothing but a whole number for %s", (field) => {
    for (const value of ["10", 1.5, -1, null, [10], true, 2 ** 65]) {
      expect(parse({ [field]: value })).toBe(`invalid: ${field} must be a whole number`);
    }
  });

  it.each(["since", "until", "limit"])("takes the largest number of 64 bits for %s", (field) => {
    const largest = JSON.parse("18446744073709551615") as number;
    expect(parse({ [field]: largest })).toMatchObject({ [field]: largest });
  });

  const LISTS = ["ids", "authors", "kinds", "#e", "#p", "#t"];
  it.each(LISTS)("refuses a %s that is no list", (field) => {
    for (const value of [A, 4, null, {}, true]) {
      expect(parse({ [field]: value })).toBe(`invalid: ${field} must be a list`);
    }
  });

  it.each(LISTS)("takes an empty %s, which nothing matches", (field) => {
    const empty = parse({ [field]: [] });
    expect(empty).toBeTypeOf("object");
    expect(matchesNothing(empty as Filter)).toBe(true);
    expect(matchesNothing(parse({ limit: 0 }) as Filter)).toBe(false);
  });

  it.each(LISTS)("takes as many values in %s as allowed, and not one more", (field) => {
    const values = field === "kinds" ? [1, 2, 3, 4] : ["1", "2", "3", "4"].map((d) => d.repeat(64));
    expect(parse({ [field]: values.slice(0, MAX_VALUES) })).toBeTypeOf("object");
    expect(parse({ [field]: values })).toBe(`invalid: ${field} has 4 values, the limit is 3`);
  });

  it.each(["search", "#", "#pp", "#1", "#é", "p", "Ids", "IDS", "", "toString"])(
    "refuses the unknown field %j and does not skip it",
    (field) => {
      expect(parse({ kinds: [4], [field]: ["x"] })).toBe(
        `unsupported: filter has the unknown field ${JSON.stringify(field)}`,
      );
    },
  );

  it("refuses __proto__ as a field like any other", () => {
    expect(parse(JSON.parse('{"__proto__":{"kinds":[4]}}'))).toBe(
      'unsupported: filter has the unknown field "__proto__"',
    );
  });

  it("names no more than the beginning of an unknown field", () => {
    expect(parse({ ["x".repeat(100_000)]: 1 })).toHaveLength(
      `unsupported: filter has the unknown field "${"x".repeat(32)}"`.length,
    );
  });

  it("answers a filter or a reason, for any JSON", () => {
    const field = fc.constantFrom("ids", "kinds", "since", "until", "limit", "#p", "#t", "#tt");
    const nearlyFilter = fc.dictionary(field, fc.jsonValue(), { maxKeys: 3 });
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), nearlyFilter), (value) => {
        const parsed = parse(value);
        const isRight =
          typeof parsed === "string"
            ? /^(invalid|unsupported): ./.test(parsed)
            : namedConditions(parsed) === Object.keys(value as object).length;
        expect(isRight).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe("matching a filter", () => {
  // Few values, so that filters and events often meet.
  const key = fc.constantFrom(A, B, "c".repeat(64));
  const second = fc.nat({ max: 4 });
  const kind = fc.constantFrom(4, 1059, 21059);
  const word = fc.constantFrom("x", "y", "");
  const event: fc.Arbitrary<NostrEvent> = fc.record({
    id: key,
    pubkey: key,
    created_at: second,
    kind,
    tags: fc.array(
      fc.oneof(
        fc.tuple(fc.constantFrom("p", "e"), key),
        fc.tuple(fc.constantFrom("t", "T", "tt"), word),
        fc.tuple(fc.constant("t"), word, word),
        fc.tuple(fc.constantFrom("t", "p")),
      ),
      { maxLength: 4 },
    ),
    content: fc.constant(""),
    sig: fc.constant("d".repeat(128)),
  });
  const conditions = {
    ids: some(key),
    authors: some(key),
    kinds: some(kind),
    since: second,
    until: second,
    limit: fc.nat({ max: 2 }),
    "#p": some(key),
    "#e": some(key),
    "#t": some(word),
    "#T": some(word),
  };
  // Few conditions, or no event would meet them all.
  const fields = fc.subarray(Object.keys(conditions) as (keyof typeof conditions)[], {
    maxLength: 3,
  });
  const wireFilter = fields.chain((fields) => {
    const chosen: Record<string, fc.Arbitrary<unknown>> = Object.fromEntries(
      fields.map((field) => [field, conditions[field]]),
    );
    return fc.record(chosen) as fc.Arbitrary<WireFilter>;
  });

  it("says what a naive reading of NIP-01 says", () => {
    fc.assert(
      fc.property(wireFilter, event, (filter, event) => {
        expect(matches(filter, event)).toBe(naiveMatch(filter, event));
      }),
      { numRuns: 5_000 },
    );
  });

  it("says what nostr-tools says, but for since: 0 and until: 0, which nostr-tools ignores", () => {
    fc.assert(
      fc.property(wireFilter, event, (filter, event) => {
        fc.pre(filter.since !== 0 && filter.until !== 0);
        const copy = { ...event, tags: event.tags.map((tag) => [...tag]) };
        expect(matches(filter, event)).toBe(nostrToolsMatch(filter, copy));
      }),
      { numRuns: 2_000 },
    );
  });

  const at = (created_at: number): NostrEvent => ({
    id: A,
    pubkey: A,
    created_at,
    kind: 4,
    tags: [["t"], ["p", A, B]],
    content: "",
    sig: "d".repeat(128),
  });

  it("takes until: 0 at its word", () => {
    expect(matches({ until: 0 }, at(0))).toBe(true);
    expect(matches({ until: 0 }, at(1))).toBe(false);
  });

  it("takes since: 0 at its word", () => {
    expect(matches({ since: 0 }, at(0))).toBe(true);
  });

  it("counts since and until in", () => {
    expect(matches({ since: 5, until: 5 }, at(5))).toBe(true);
    expect(matches({ since: 5, until: 5 }, at(4))).toBe(false);
    expect(matches({ since: 5, until: 5 }, at(6))).toBe(false);
  });

  it("takes limit: 0 for no condition", () => {
    expect(matches({ limit: 0 }, at(1))).toBe(true);
  });

  it("looks at no more of a tag than its value", () => {
    expect(matches({ "#p": [A] }, at(1))).toBe(true);
    expect(matches({ "#p": [B] }, at(1))).toBe(false);
  });

  it("finds no value in a tag that has none, not even an empty one", () => {
    expect(matches({ "#t": [""] }, at(1))).toBe(false);
  });
});

function some<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return fc.array(value, { minLength: 1, maxLength: 2 });
}

function matches(filter: WireFilter, event: NostrEvent): boolean {
  const parsed = parse(filter);
  if (typeof parsed === "string") throw new Error(parsed);
  return matchFilter(parsed, event);
}

function naiveMatch(filter: WireFilter, event: NostrEvent): boolean {
  const conditions = Object.entries(filter).map(([field, given]) => {
    if (field === "ids") return (given as string[]).includes(event.id);
    if (field === "authors") return (given as string[]).includes(event.pubkey);
    if (field === "kinds") return (given as number[]).includes(event.kind);
    if (field === "since") return (given as number) <= event.created_at;
    if (field === "until") return event.created_at <= (given as number);
    if (field === "limit") return true;
    const values = event.tags
      .filter((tag) => `#${tag[0]}` === field && tag.length > 1)
      .map((tag) => tag[1]);
    return (given as string[]).some((value) => values.includes(value));
  });
  return conditions.every(Boolean);
}

function namedConditions({ tags, ...rest }: Filter): number {
  return tags.size + Object.keys(rest).length;
}
