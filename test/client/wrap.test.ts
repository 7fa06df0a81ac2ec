import * as fc from "fast-check";
import * as nip44 from "nostr-tools/nip44";
import * as nip59 from "nostr-tools/nip59";
import { describe, expect, it } from "vitest";

import {
  type DeadDropOptions,
  type EventTemplate,
  open,
  RECEIPT,
  secretSigner,
  type Signer,
} from "../../src/client/client.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import { nostrEvent, tags, text } from "../support/arbitrary.ts";
import { person } from "../support/people.ts";
import { deadDrop, publicRelay, scriptedRelay } from "./support.ts";

const [ALICE, BOB] = [person(), person()];
const BOBS = secretSigner(BOB.secret);
// Half of all numbers are the x coordinate of no point; this is one of them.
const NOBODY = `${"0".repeat(63)}5`;
const HALF = "\ud83e";

/** Alice's signer, which counts how often it is asked, and answers as it is told. */
function counted(answers: Partial<Signer> = {}): { signer: Signer; asked: () => number } {
  const own = { ...secretSigner(ALICE.secret), ...answers };
  let count = 0;
  const signer: Signer = {
    ...own,
    sign(template) {
      count += 1;
      return own.sign(template);
    },
    encrypt(other, text) {
      count += 1;
      return own.encrypt(other, text);
    },
  };
  return { signer, asked: () => count };
}

type Wrapping = {
  readonly to?: string;
  readonly address?: string;
  readonly expiresInSeconds?: number;
  readonly proofOfWork?: number;
  readonly options?: Partial<DeadDropOptions>;
};

/** Wraps with a signer that is counted. Answers the wrap or the RangeError, before which nobody may have been asked. */
async function wrap(
  message: string | EventTemplate,
  { to = BOB.key, options, ...wrapping }: Wrapping = {},
): Promise<NostrEvent | string> {
  const { signer, asked } = counted();
  const client = deadDrop(ALICE, [], { keys: [signer], ...options });
  const written = await client.wrap(to, message, wrapping).catch((error: unknown) => error);
  if (!(written instanceof Error)) return written as NostrEvent;
  expect(written).toBeInstanceOf(RangeError);
  expect(asked()).toBe(0);
  return written.message;
}

async function opened(wrapped: NostrEvent | string): Promise<unknown> {
  if (typeof wrapped === "string") return wrapped;
  return open(wrapped, { address: BOBS, identity: BOBS });
}

function template(change: { readonly [name: string]: unknown }): EventTemplate {
  return { kind: 14, created_at: 1_700_000_000, tags: [], content: "", ...change };
}

function tagged(length: number): EventTemplate {
  return template({ tags: [["t", "x".repeat(length)]] });
}

describe("what is written", () => {
  it("is read as the same event, whatever well-formed event it is", async () => {
    const any = fc.tuple(nostrEvent).map(([{ kind, created_at, tags, content }]) => ({
      kind,
      created_at,
      tags,
      content,
    }));
    await fc.assert(
      fc.asyncProperty(any, async (event) => {
        const read = await opened(await wrap(event));
        expect(read).toMatchObject({ message: { ...event, pubkey: ALICE.key } });
      }),
      { numRuns: 40 },
    );
  });

  // Half of them have no UTF-8 form.
  const halves = fc.string({ unit: fc.constantFrom(HALF, "\udd8a", "x") });
  const anything = fc.oneof(text, halves, fc.anything());
  const faulty = fc.record({
    kind: fc.oneof(fc.nat(70_000), fc.integer(), fc.double(), fc.anything()),
    created_at: fc.oneof(fc.nat(), fc.integer(), fc.double(), fc.bigInt(), fc.anything()),
    tags: fc.oneof(tags, fc.array(fc.array(anything)), fc.anything()),
    content: anything,
  });

  it("is read as the same event, or refused before the signer is asked", async () => {
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(faulty, halves, fc.anything()), async (message) => {
        const written = await wrap(message as EventTemplate);
        if (typeof written === "string") {
          refused += 1;
          return;
        }
        const read = (await opened(written)) as { message?: { content: unknown } };
        const content = typeof message === "string" ? message : (message as EventTemplate).content;
        expect(read.message?.content).toBe(content);
      }),
      { numRuns: 150 },
    );
    expect(refused).toBeGreaterThan(0);
  });

  it.each([
    ["half an emoji", HALF, "content and tags must be valid Unicode"],
    ["half an emoji in a tag", template({ tags: [["subject", HALF]] }), /valid Unicode/],
    ["a part of a second", template({ created_at: 1.5 }), "created_at must be a whole number"],
    ["a time before 1970", template({ created_at: -1 }), "created_at must be a whole number"],
    ["a time that is none", template({ created_at: NaN }), "created_at must be a whole number"],
    ["a kind that is none", template({ kind: 65_536 }), "kind must be a whole number between 0"],
    [
      "an empty tag",
      template({ tags: [["p", BOB.key], []] }),
      "tags must be arrays of one or more",
    ],
    ["a tag with a number", template({ tags: [["k", 14]] }), "tags must be arrays of one or more"],
    ["no tags", template({ tags: undefined }), "tags must be arrays of one or more strings"],
    ["no text", template({ content: undefined }), "content must be a string"],
    ["nothing", null as unknown as string, "created_at must be a whole number"],
  ])("is no message with %s, and the fault is named", async (_, message, why) => {
    const refusal = await wrap(message);
    expect(refusal).toMatch(/^nobody could read this message: /);
    expect(refusal).toMatch(why);
  });

  it.each<[string, Wrapping, string | RegExp]>([
    ["a recipient that is no key", { to: "bob" }, "the recipient must be a key of 64"],
    ["a recipient that is nobody", { to: NOBODY }, "the recipient must be somebody's key"],
    ["an address that is nobody's", { address: NOBODY }, "the address must be somebody's key"],
    [
      "an end that no relay reads",
      { expiresInSeconds: 1e15 },
      /^expiresInSeconds: 1000000000000000/,
    ],
    ["an end that is none", { expiresInSeconds: NaN }, /^expiresInSeconds: NaN/],
    ["proof of work that is none", { proofOfWork: NaN }, /^proofOfWork: NaN/],
    ["proof of work that no id has", { proofOfWork: 257 }, /^proofOfWork: 257/],
    [
      "a signer's key in capitals",
      { options: { keys: [{ ...secretSigner(ALICE.secret), key: ALICE.key.toUpperCase() }] } },
      /is no key of 64 lowercase hex digits/,
    ],
    [
      "a clock that shows no seconds",
      { options: { runtime: { now: () => 1_700_000_000.5, random: () => 0 } } },
      /whole/,
    ],
    [
      "a clock that was never set",
      { options: { runtime: { now: () => 3, random: () => 0.9 } } },
      /since 1970: 3$/,
    ],
  ])("goes to nobody with %s", async (_, wrapping, why) => {
    expect(await wrap("x", wrapping)).toMatch(why);
  });

  it("ends at a time that relays read, however late", async () => {
    const written = await wrap("x", { expiresInSeconds: 1e14 });
    expect(written).toMatchObject({
      tags: [
        ["p", BOB.key],
        ["expiration", expect.stringMatching(/^\d{15}$/)],
      ],
    });
  });

  it("is refused before any relay gets anything", async () => {
    const relay = await scriptedRelay({ heard: () => {} });
    const sending = deadDrop(ALICE, []).send(BOB.key, HALF, { relays: [relay.url] });
    await expect(sending).rejects.toThrow(RangeError);
    expect(relay.heard).toEqual([]);
  });
});

describe("a message that is too long", () => {
  const FITS = /^the text is ([\d,]+) bytes long, of which the first ([\d,]+) fit$/;

  it.each([
    ["letters", "x"],
    ["quotation marks", '"'],
    ["lines", "a\n"],
    ["control characters", "\u0001"],
    ["emoji", "🦊"],
    ["all of these", 'x"\u0001🦊é\\'],
  ])("is told how much of it fits, to the byte: %s", async (_, unit) => {
    const long = unit.repeat(50_000);
    const [, length, first] = FITS.exec((await wrap(long)) as string) ?? [];
    const bytes = Buffer.from(long);
    expect(Number(length?.replaceAll(",", ""))).toBe(bytes.length);
    const fitting = bytes.subarray(0, Number(first?.replaceAll(",", ""))).toString();
    expect(long.startsWith(fitting)).toBe(true);

    const written = (await wrap(fitting)) as NostrEvent & { tags: string[][] };
    expect(await opened(written)).toMatchObject({ message: { content: fitting } });
    // As others read it, too.
    expect(nip59.unwrapEvent(written, BOB.secret).content).toBe(fitting);
    const next = String.fromCodePoint(long.slice(fitting.length).codePointAt(0) ?? 0);
    expect(await wrap(fitting + next)).toMatch(FITS);
  });

  it("fits as long as both layers are plaintexts that every reader of NIP-44 takes", async () => {
    const long = "x".repeat(50_000);
    const [, , first = ""] = FITS.exec((await wrap(long)) as string) ?? [];
    const { pubkey, content } = (await wrap(
      long.slice(0, Number(first.replace(",", ""))),
    )) as NostrEvent;
    const key = nip44.getConversationKey(BOB.secret, pubkey);
    const seal = JSON.parse(nip44.decrypt(content, key)) as NostrEvent;
    const longer = "A".repeat(nip44.encrypt("x".repeat(40 * 1024 + 1), key).length);
    expect(first).not.toBe("");
    expect(JSON.stringify(seal).length).toBeLessThanOrEqual(65_535);
    expect(JSON.stringify({ ...seal, content: longer }).length).toBeGreaterThan(65_535);
  });

  it("is told how much of its tags fits, when they leave no room for any text", async () => {
    const refusal = (await wrap(tagged(50_000))) as string;
    const [, length, fit] =
      /^the tags are ([\d,]+) bytes long as JSON, of which ([\d,]+) fit without any text$/.exec(
        refusal,
      ) ?? [];
    expect(length).toBe("50,010");
    const room = Number(fit?.replace(",", "")) - '[["t",""]]'.length;
    expect(await opened(await wrap(tagged(room)))).toMatchObject({ message: tagged(room) });
    expect(await wrap(tagged(room + 1))).toMatch(/^the tags are /);
  });
});

describe("a signer that is not believed", () => {
  const own = secretSigner(ALICE.secret);
  const other = secretSigner(person().secret);

  it.each<[string, Partial<Signer>, string]>([
    ["another key's seal", { sign: (asked) => other.sign(asked) }, "with another key"],
    ["another event", { sign: (asked) => own.sign({ ...asked, kind: 1 }) }, "something else"],
    [
      "a tag more",
      { sign: (asked) => own.sign({ ...asked, tags: [["client", "mine"]] }) },
      "something else",
    ],
    [
      "a wrong signature",
      { sign: async (asked) => ({ ...(await own.sign(asked)), sig: "0".repeat(128) }) },
      "signature is wrong",
    ],
    ["no event", { sign: async () => null as never }, "no event: an event is a JSON object"],
    ["no ciphertext", { encrypt: async () => undefined as never }, "did not encrypt"],
    ["the text as it is", { encrypt: async (_, text) => text }, "did not encrypt"],
  ])("sends nothing when it made %s", async (_, answers, why) => {
    const relay = await scriptedRelay({ heard: () => {} });
    const { signer } = counted(answers);
    const client = deadDrop(ALICE, [], { keys: [signer] });
    await expect(client.send(BOB.key, "x", { relays: [relay.url] })).rejects.toThrow(why);
    expect(relay.heard).toEqual([]);
  });

  it("is heard in its own words when it says no", async () => {
    const no = new Error("the person said no");
    for (const answer of ["sign", "encrypt"] as const) {
      const { signer } = counted({ [answer]: () => Promise.reject(no) });
      await expect(deadDrop(ALICE, [], { keys: [signer] }).wrap(BOB.key, "x")).rejects.toBe(no);
    }
  });

  it("publishes no list of relays that it did not sign", async () => {
    const discovery = await publicRelay();
    const { signer } = counted({ sign: (asked) => other.sign(asked) });
    const client = deadDrop(ALICE, [], { keys: [signer], discovery: [discovery.url] });
    await expect(client.publishRelays()).rejects.toThrow("with another key");
    expect(discovery.heard).toEqual([]);
  });
});

describe("a list of relays", () => {
  it("names no more than others read of it", async () => {
    const discovery = await publicRelay();
    const many = (length: number): { url: string }[] =>
      Array.from({ length }, (_, index) => ({ url: `${discovery.url}${index}` }));
    await expect(deadDrop(ALICE, many(9)).publishRelays()).rejects.toThrow(RangeError);
    expect(discovery.heard).toEqual([]);
    await deadDrop(ALICE, many(8)).publishRelays();
    const other = deadDrop(BOB, [], { discovery: [discovery.url] });
    expect((await other.lookUpRelays(ALICE.key)).relays).toEqual(many(8).map(({ url }) => url));
  });
});

describe("an acknowledgement", () => {
  it("has a grace whose end relays read, or is not signed", async () => {
    const { signer, asked } = counted();
    const client = deadDrop(ALICE, [], { keys: [signer] });
    const acknowledging = client.acknowledge(["0".repeat(64)], { graceSeconds: 1e15 });
    await expect(acknowledging).rejects.toThrow(RangeError);
    expect(asked()).toBe(0);
  });
});

describe("a receipt", () => {
  it("fits with as many messages as one names", async () => {
    const tags = Array.from({ length: 300 }, () => ["e", "0".repeat(64)]);
    expect(await opened(await wrap(template({ kind: RECEIPT, tags })))).toMatchObject({
      message: { tags },
    });
  });
});
