import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  type NostrEvent,
  parseEvent,
  peekId,
  writeEvent,
  tagValue,
} from "../../src/nostr/event.ts";
import { preimageOf } from "../../src/nostr/event-id.ts";
import { nostrEvent } from "../support/arbitrary.ts";
import { WELL_FORMED as EVENT } from "../support/events.ts";

describe("parsing an event", () => {
  it("answers a well-formed event as it is", () => {
    expect(parseEvent(EVENT)).toEqual(EVENT);
  });

  it("drops fields that NIP-01 does not name", () => {
    expect(parseEvent({ ...EVENT, relay: "wss://a.example", tags_: [] })).toEqual(EVENT);
  });

  it.each([
    ["null", null],
    ["a string", JSON.stringify(EVENT)],
    ["a number", 7],
    ["a list", [EVENT]],
  ])("refuses %s where an event belongs", (_, value) => {
    expect(parseEvent(value)).toBe("invalid: an event is a JSON object");
  });

  const HEX = "0123456789abcdef".repeat(4);
  it.each<[keyof NostrEvent, unknown]>([
    ["id", HEX.toUpperCase()],
    ["id", HEX.slice(1)],
    ["id", `${HEX}0`],
    ["id", HEX.replace("f", "g")],
    ["id", ` ${HEX.slice(1)}`],
    ["id", `${HEX}\n`],
    ["id", 7],
    ["id", null],
    ["pubkey", HEX.toUpperCase()],
    ["pubkey", HEX.slice(2)],
    ["pubkey", `02${HEX}`],
    ["pubkey", ""],
    ["pubkey", [HEX]],
    ["sig", HEX],
    ["sig", (HEX + HEX).toUpperCase()],
    ["sig", `${HEX}${HEX}\n`],
    ["sig", 0],
    ["created_at", "1700000000"],
    ["created_at", 1.5],
    ["created_at", -1],
    ["created_at", Number.MAX_SAFE_INTEGER + 1],
    ["created_at", null],
    ["kind", "1059"],
    ["kind", -1],
    ["kind", 65_536],
    ["kind", 4.5],
    ["kind", true],
    ["tags", {}],
    ["tags", null],
    ["tags", "p"],
    ["tags", [[]]],
    ["tags", [["p", 1]]],
    ["tags", [["p", null]]],
    ["tags", [["p", ["x"]]]],
    ["tags", ["p"]],
    ["tags", [["p"], null]],
    ["content", 5],
    ["content", null],
    ["content", { text: "hello" }],
  ])("refuses as %s: %j", (field, value) => {
    expect(parseEvent({ ...EVENT, [field]: value })).toMatch(
      new RegExp(`^invalid: ${field} must be `),
    );
  });

  it.each(Object.keys(EVENT))("refuses an event without %s", (field) => {
    const { [field as keyof NostrEvent]: _, ...rest } = EVENT;
    expect(parseEvent(rest)).toMatch(new RegExp(`^invalid: ${field} must be `));
  });

  it.each<[string, Partial<NostrEvent>]>([
    ["the first second of Unix time", { created_at: 0 }],
    ["the last whole second a number holds", { created_at: Number.MAX_SAFE_INTEGER }],
    ["kind 0", { kind: 0 }],
    ["kind 65535", { kind: 65_535 }],
    ["no tags", { tags: [] }],
    ["a tag of one empty string", { tags: [[""]] }],
    ["no content", { content: "" }],
  ])("accepts %s", (_, change) => {
    expect(parseEvent({ ...EVENT, ...change })).toEqual({ ...EVENT, ...change });
  });

  it.each(["\ud800", "\udc00", "a\ud83d", "\ude00\ud83d"])(
    "refuses a lone surrogate, which has no UTF-8 form: %j",
    (broken) => {
      const refusal = "invalid: content and tags must be valid Unicode";
      expect(parseEvent({ ...EVENT, content: broken })).toBe(refusal);
      expect(parseEvent({ ...EVENT, tags: [["p", "x"], [broken]] })).toBe(refusal);
      expect(parseEvent({ ...EVENT, tags: [["p", "x", broken]] })).toBe(refusal);
    },
  );

  it("answers an event for well-formed JSON alone, and never throws", () => {
    const fields = fc.constantFrom(...(Object.keys(EVENT) as (keyof NostrEvent)[]));
    const nearlyEvent = fc
      .tuple(nostrEvent, fields, fc.jsonValue())
      .map(([event, field, value]) => Object.assign({}, event, { [field]: value }));
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), nearlyEvent, nostrEvent), (value) => {
        expect(typeof parseEvent(value) === "object").toBe(isWellFormed(value));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("the JSON of an event", () => {
  it("reads back as the same event, without white space and in NIP-01's order", () => {
    fc.assert(
      fc.property(nostrEvent, (event) => {
        const json = writeEvent(event).json;
        expect(parseEvent(JSON.parse(json))).toEqual(event);
        expect(json).toBe(JSON.stringify(event));
      }),
      { numRuns: 300 },
    );
  });

  it("comes with the text that its id is the hash of", () => {
    fc.assert(
      fc.property(nostrEvent, (event) => {
        expect(writeEvent(event).preimage).toBe(preimageOf(event));
      }),
      { numRuns: 300 },
    );
  });

  it("is the same whatever the order and the white space it came in", () => {
    const given = JSON.stringify(Object.fromEntries(Object.entries(EVENT).toReversed()), null, 2);
    expect(writeEvent(parseEvent(JSON.parse(given)) as NostrEvent).json).toBe(
      writeEvent(EVENT).json,
    );
  });
});

describe("the id of a message that could not be read", () => {
  it.each([
    ["an event with a fault", `["EVENT",{"id":"${EVENT.id}","kind":"one"}]`],
    ["JSON with white space", `[ "EVENT" , {\n\t"id" \n:\t "${EVENT.id}" } ]`],
    ["JSON that breaks off", `["EVENT",{"kind":1,"id":"${EVENT.id}","content":"`],
  ])("is found in %s", (_, message) => {
    expect(peekId(message)).toBe(EVENT.id);
  });

  it.each([
    ["there is none", `["EVENT",{"kind":1}]`],
    ["it is no string", `["EVENT",{"id":7}]`],
    ["it is empty", `["EVENT",{"id":""}]`],
    ["it is longer than an id", `["EVENT",{"id":"${EVENT.id}0"}]`],
    ["the text is empty", ""],
  ])("is undefined when %s", (_, message) => {
    expect(peekId(message)).toBeUndefined();
  });

  it("is the event's own, whatever its content and tags say", () => {
    fc.assert(
      fc.property(nostrEvent, nostrEvent, (event, quoted) => {
        const content = JSON.stringify(quoted);
        const fields = { content, tags: [["q", content]], kind: "broken", id: event.id };
        expect(peekId(JSON.stringify(["EVENT", fields]))).toBe(event.id);
      }),
    );
  });
});

describe("a tag's value", () => {
  const event = { ...EVENT, tags: [["x"], ["t", "1", "2"], ["t", "3"]] };

  it("is the first value of the first tag of that name", () => {
    expect(tagValue(event, "t")).toBe("1");
  });

  it.each(["x", "y"])("is undefined when no tag has one: %s", (name) => {
    expect(tagValue(event, name)).toBeUndefined();
  });
});

function isWellFormed(value: unknown): boolean {
  const { id, pubkey, created_at, kind, tags, content, sig } = { ...(value as object) } as Record<
    string,
    unknown
  >;
  return (
    isHex(id, 64) &&
    isHex(pubkey, 64) &&
    isHex(sig, 128) &&
    isWhole(created_at, Number.MAX_SAFE_INTEGER) &&
    isWhole(kind, 65_535) &&
    isText(content) &&
    Array.isArray(tags) &&
    tags.every((tag) => Array.isArray(tag) && tag.length > 0 && tag.every((part) => isText(part)))
  );
}

function isHex(field: unknown, digits: number): boolean {
  return (
    typeof field === "string" &&
    field.length === digits &&
    Array.from(field).every((digit) => "0123456789abcdef".includes(digit))
  );
}

function isWhole(field: unknown, max: number): boolean {
  return typeof field === "number" && Math.trunc(field) === field && field >= 0 && field <= max;
}

function isText(field: unknown): boolean {
  return typeof field === "string" && Buffer.from(field).toString() === field;
}
