import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { parseMessage } from "../../src/nostr/message.ts";

const LIMITS = { filters: 2, filterValues: 3 };

function parse(message: unknown): ReturnType<typeof parseMessage> {
  return parseMessage(JSON.stringify(message), LIMITS);
}

describe("a client's message", () => {
  it("is an EVENT by its first characters, whatever follows", () => {
    for (const text of ['["EVENT",{"id":"x"}]', ' \n[ "EVENT" , {]', '["EVENT",']) {
      expect(parseMessage(text, LIMITS)).toEqual({ verb: "EVENT" });
    }
  });

  it("is an EVENT however JSON spells it", () => {
    expect(parseMessage(String.raw`["\u0045VENT",{}]`, LIMITS)).toEqual({ verb: "EVENT" });
    expect(parse(["EVENT"])).toEqual({ verb: "EVENT" });
  });

  it("is an AUTH with whatever it carries", () => {
    expect(parse(["AUTH", { kind: 22242 }])).toEqual({ verb: "AUTH", event: { kind: 22242 } });
    expect(parse(["AUTH"])).toEqual({ verb: "AUTH", event: undefined });
  });

  it.each(["REQ", "COUNT"])("is a %s with its subscription and its filters", (verb) => {
    expect(parse([verb, "inbox", { kinds: [1059] }, { limit: 0 }])).toEqual({
      verb,
      subscription: "inbox",
      filters: [
        { kinds: new Set([1059]), tags: new Map() },
        { limit: 0, tags: new Map() },
      ],
    });
  });

  it("is a CLOSE with its subscription, whatever follows", () => {
    expect(parse(["CLOSE", "inbox"])).toEqual({ verb: "CLOSE", subscription: "inbox" });
    expect(parse(["CLOSE", "inbox", "now"])).toEqual({ verb: "CLOSE", subscription: "inbox" });
  });

  it.each(["", " ", "hello", "[", '{"a":1', "['REQ']", "NaN", '["REQ","x', '["CLOSE","x"]]'])(
    "is refused when it is not JSON: %j",
    (text) => {
      expect(parseMessage(text, LIMITS)).toEqual({ reason: "invalid: message is not JSON" });
    },
  );

  it.each([
    ['["REQ","x",{}', "REQ", "x"],
    ['["REQ","x",{}]]', "REQ", "x"],
    [' [ "COUNT" , "in\\"box" , {"ids":[NaN]}]', "COUNT", 'in"box'],
    ['["REQ","\\u0041",{"limit":01}]', "REQ", "A"],
    ['["NEG-OPEN","x",{}', "NEG-OPEN", "x"],
    ['["NEG-MSG","x",61]]', "NEG-MSG", "x"],
  ])("says what it was about when only the rest is not JSON: %j", (text, verb, subscription) => {
    const reason = "invalid: message is not JSON";
    expect(parseMessage(text, LIMITS)).toEqual({ reason, verb, subscription });
  });

  it.each(["{}", "null", "1", '"REQ"', "true"])("is refused when it is no array: %s", (text) => {
    expect(parseMessage(text, LIMITS)).toEqual({ reason: "invalid: message is not a JSON array" });
  });

  it.each([
    [[]],
    [["req", "x", {}]],
    [["OK"]],
    [[null]],
    [[["REQ"]]],
    [[{ verb: "REQ" }]],
    [["toString"]],
  ])("is refused when its verb is unknown: %j", (message) => {
    expect(parse(message)).toEqual({ reason: "unsupported: unknown message type" });
  });

  it("is a NEG-OPEN with one filter and the digits of a message, a NEG-MSG with the digits", () => {
    const filter = { kinds: new Set([1059]), tags: new Map() };
    expect(parse(["NEG-OPEN", "sync", { kinds: [1059] }, "61Ff"])).toEqual({
      verb: "NEG-OPEN",
      subscription: "sync",
      filter,
      hex: "61Ff",
    });
    expect(parse(["NEG-MSG", "sync", ""])).toEqual({
      verb: "NEG-MSG",
      subscription: "sync",
      hex: "",
    });
    expect(parse(["NEG-CLOSE", "sync"])).toEqual({ verb: "NEG-CLOSE", subscription: "sync" });
  });

  it.each([undefined, null, 61, "6", "6g", "0x61", [], " 61"])(
    "is refused by name when the message of a reconciliation is no hex: %j",
    (hex) => {
      const reason = "invalid: a negentropy message is written in hex";
      for (const [verb, ...rest] of [["NEG-OPEN", {}], ["NEG-MSG"]]) {
        const expected = { reason, verb, subscription: "sync" };
        expect(parse([verb, "sync", ...rest, hex])).toEqual(expected);
      }
    },
  );

  it.each([undefined, null, "61", [{}]])(
    "is refused by name when a NEG-OPEN has no filter where it belongs: %j",
    (filter) => {
      expect(parse(["NEG-OPEN", "sync", filter, "61"])).toEqual({
        reason: "invalid: a filter is a JSON object",
        verb: "NEG-OPEN",
        subscription: "sync",
      });
    },
  );

  const VERBS = ["REQ", "COUNT", "CLOSE", "NEG-OPEN", "NEG-MSG", "NEG-CLOSE"];
  it.each(VERBS)("names a subscription of 1 to 64 characters in %s", (verb) => {
    const rest = verb === "NEG-MSG" ? ["61"] : [{}, "61"].slice(0, verb === "NEG-OPEN" ? 2 : 1);
    for (const id of ["x", " ", "x".repeat(64), "\u0000", "__proto__", "💧".repeat(64)]) {
      expect(parse([verb, id, ...rest])).toMatchObject({ verb, subscription: id });
    }
    const reason = "invalid: subscription id must be a string of 1 to 64 characters";
    // What is refused by name can be told from an empty box.
    const isAnswered = verb !== "CLOSE" && verb !== "NEG-CLOSE";
    for (const id of ["", "x".repeat(65), "💧".repeat(65)]) {
      const named = isAnswered && { verb, subscription: id };
      expect(parse([verb, id, ...rest])).toEqual({ reason, ...named });
    }
    for (const id of [7, null, ["x"], { id: "x" }, true]) {
      expect(parse([verb, id, ...rest])).toEqual({ reason });
    }
    expect(parse([verb])).toHaveProperty("reason");
  });

  it("needs a filter, and says which subscription went without", () => {
    expect(parse(["REQ", "inbox"])).toEqual({
      reason: "invalid: at least one filter is needed",
      verb: "REQ",
      subscription: "inbox",
    });
  });

  it("may have as many filters as allowed, and not one more", () => {
    expect(parse(["REQ", "inbox", {}, {}])).toMatchObject({ verb: "REQ" });
    expect(parse(["REQ", "inbox", {}, {}, {}])).toEqual({
      reason: "invalid: 3 filters, the limit is 2",
      verb: "REQ",
      subscription: "inbox",
    });
  });

  it("may have as many values in a filter's list as allowed, and not one more", () => {
    expect(parse(["REQ", "inbox", { kinds: [1, 2, 3] }])).toMatchObject({ verb: "REQ" });
    expect(parse(["REQ", "inbox", {}, { kinds: [1, 2, 3, 4] }])).toEqual({
      reason: "invalid: kinds has 4 values, the limit is 3",
      verb: "REQ",
      subscription: "inbox",
    });
  });

  it("is refused as a whole when one of its filters is malformed", () => {
    expect(parse(["REQ", "inbox", {}, { kinds: "4" }])).toEqual({
      reason: "invalid: kinds must be a list",
      verb: "REQ",
      subscription: "inbox",
    });
  });

  it("may nest deeply without harm", () => {
    const deep = "[".repeat(50_000) + "]".repeat(50_000);
    for (const text of [
      deep,
      `["REQ","x",${deep}]`,
      `["REQ","x",{"ids":${deep}}]`,
      `["CLOSE",${deep}]`,
    ]) {
      expect(parseMessage(text, LIMITS)).toHaveProperty("reason");
    }
  });

  it("is a message or a refusal with a reason, for any text", () => {
    const verb = fc.constantFrom("EVENT", "AUTH", "REQ", "COUNT", "CLOSE", "OK", "");
    const nearlyMessage = fc
      .tuple(fc.oneof(verb, fc.jsonValue()), fc.array(fc.jsonValue(), { maxLength: 4 }))
      .map(([first, rest]) => JSON.stringify([first, ...rest]));
    const brokenOff = fc
      .tuple(nearlyMessage, fc.nat())
      .map(([text, end]) => text.slice(0, end % (text.length + 1)));
    const anyText = fc.oneof(nearlyMessage, brokenOff, fc.string({ unit: "binary" }), fc.json());
    fc.assert(
      fc.property(anyText, (text) => {
        const parsed = parseMessage(text, LIMITS);
        const isRight =
          "verb" in parsed
            ? ["EVENT", "AUTH", ...VERBS].includes(parsed.verb)
            : /^(invalid|unsupported): ./.test(parsed.reason);
        expect(isRight).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});
