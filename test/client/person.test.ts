import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

import {
  naddrEncode,
  neventEncode,
  noteEncode,
  nprofileEncode,
  npubEncode,
  nsecEncode,
} from "nostr-tools/nip19";
import { encrypt } from "nostr-tools/nip49";
import { describe, expect, it, onTestFinished } from "vitest";

import { type Fetch, lookUpNip05, Nip05Error, parsePerson } from "../../src/client/client.ts";
import { person } from "../support/people.ts";
import { deadDrop } from "./support.ts";

const BOB = person();
const NPUB = npubEncode(BOB.key);
const RELAYS = ["wss://one.example/", "wss://two.example/"];
const PROFILE = nprofileEncode({ pubkey: BOB.key, relays: RELAYS });
const ID = "ab".repeat(32);

function whyNot(text: string): string {
  try {
    parsePerson(text);
  } catch (error) {
    if (error instanceof TypeError) return error.message;
    throw error;
  }
  throw new Error(`${text} was taken`);
}

describe("a person", () => {
  it.each([
    ["an npub", NPUB],
    ["one in capitals, as QR codes have it", NPUB.toUpperCase()],
    ["one with space around it", `\t ${NPUB}\r\n`],
    ["a nostr: URI", `nostr:${NPUB}`],
    ["one in capitals", `NOSTR:${NPUB.toUpperCase()}`],
    ["hex", BOB.key],
    ["hex in capitals", BOB.key.toUpperCase()],
  ])("is named by %s", (_, text) => {
    expect(parsePerson(text)).toEqual({ key: BOB.key, hints: [] });
  });

  it.each([PROFILE, `nostr:${PROFILE}`, ` ${PROFILE.toUpperCase()} `])(
    "is named by an nprofile, whose relays are hints: %s",
    (text) => {
      expect(parsePerson(text)).toEqual({ key: BOB.key, hints: RELAYS });
    },
  );

  it.each([
    ["bob@example.com", "bob", "example.com"],
    [" Bob.B-1_x@Example.COM ", "bob.b-1_x", "example.com"],
    ["example.com", "_", "example.com"],
    ["_@example.com", "_", "example.com"],
    ["bob@bücher.example", "bob", "xn--bcher-kva.example"],
    ["bob@localhost", "bob", "localhost"],
  ])("is named by an address: %s", (text, name, domain) => {
    expect(parsePerson(text)).toEqual({ name, domain });
  });

  it.each([
    ["a letter that is wrong", NPUB.replace(/.$/, (last) => (last === "q" ? "p" : "q"))],
    ["a letter that no npub has", NPUB.replace(/.$/, "b")],
    ["two letters exchanged", NPUB.replace(/^(npub1.*?)(.)(?!\2)(.)/, "$1$3$2")],
    ["capitals among small letters", `N${NPUB.slice(1)}`],
  ])("is not named by an npub with %s, and is told so", (_, text) => {
    expect(text).not.toBe(NPUB);
    expect(whyNot(text)).toBe("the npub has a typing error: its checksum is wrong; copy it again");
  });

  it.each([
    [
      "an npub that is cut short",
      NPUB.slice(0, 40),
      /^the npub is cut short: it has 40 characters of 63/,
    ],
    ["an npub with more behind it", `${NPUB}q`, /^the npub is too long: it has 64 characters, 63/],
    [
      "an nprofile that is cut short",
      PROFILE.slice(0, -4),
      /^the nprofile has a typing error or is cut short/,
    ],
    ["hex that is cut short", BOB.key.slice(1), /^that has 63 hex digits, and a key has 64/],
    ["hex that is nobody's key", "0".repeat(64), /^that is the key of nobody/],
    ["a note", noteEncode(ID), /^note1… names a message, not a person; give npub1…/],
    ["an event", `nostr:${neventEncode({ id: ID })}`, /^nevent1… names a message, not a person/],
    [
      "an article",
      naddrEncode({ identifier: "x", pubkey: BOB.key, kind: 30_023 }),
      /^naddr1… names something/,
    ],
    ["a word", "bob", /^that is no person; give npub1…, nprofile1…, 64 hex/],
    ["nothing", "", /^that is no person/],
    ["a URL", "https://example.com/bob", /^that is no person/],
    ["an address with a port", "bob@example.com:8443", /^that is no person/],
    ["an address with two @", "bob@example.com@evil.example", /^that is no person/],
    ["a name that no address has", "bob+x@example.com", /^that is no person/],
    ["a number", "1.5", /^that is no person/],
  ])("is not named by %s, and is told so", (_, text, why) => {
    expect(whyNot(text)).toMatch(why);
  });

  it.each([
    ["a secret key", nsecEncode(BOB.secret)],
    ["one behind nostr:", `nostr:${nsecEncode(BOB.secret)}`],
    ["one in capitals", nsecEncode(BOB.secret).toUpperCase()],
    ["one with a typing error", `${nsecEncode(BOB.secret)}x`],
    ["one at a domain", `${nsecEncode(BOB.secret)}@example.com`],
    ["an encrypted one", encrypt(BOB.secret, "passphrase", 1)],
  ])("is not named by %s, which is not repeated", (_, text) => {
    const why = whyNot(text);
    expect(why).toMatch(/^that is a SECRET key.*nothing was sent\. Whoever saw it.*make a new key/);
    expect(why.toLowerCase()).not.toContain(
      text
        .replace(/^nostr:/, "")
        .slice(0, 12)
        .toLowerCase(),
    );
  });
});

/** A domain that answers so; what is asked of any domain comes to it. */
async function domainWith(answers: RequestListener): Promise<{ fetch: Fetch; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    answers(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    asked,
    fetch: (url, options) =>
      fetch(url.replace(/^https:\/\/[^/]+/, `http://127.0.0.1:${port}`), options),
  };
}

function saying(document: unknown): RequestListener {
  return (_, response) => response.end(JSON.stringify(document));
}

describe("an address at a domain", () => {
  it("is looked up there, with the relays that the domain names as hints", async () => {
    const names = { bob: BOB.key, _: BOB.key };
    const relays = { [BOB.key]: [...RELAYS, 7], [ID]: ["wss://other.example"] };
    const { fetch, asked } = await domainWith(saying({ names, relays }));
    const client = deadDrop(person(), [], { fetch });
    const found = { key: BOB.key, hints: RELAYS };
    expect(await client.findPerson("Bob@example.com")).toEqual(found);
    expect(await client.findPerson("example.com")).toEqual(found);
    expect(asked).toEqual(["/.well-known/nostr.json?name=bob", "/.well-known/nostr.json?name=_"]);
  });

  it("needs nobody to be asked where the key is there already", async () => {
    const { fetch, asked } = await domainWith(saying({}));
    const client = deadDrop(person(), [], { fetch });
    expect(await client.findPerson(PROFILE)).toEqual({ key: BOB.key, hints: RELAYS });
    expect(asked).toEqual([]);
  });

  it.each<[string, RequestListener, RegExp]>([
    [
      "a domain that redirects",
      (_, to) => to.writeHead(302, { location: "/elsewhere" }).end(),
      /could not be asked for bob@example\.com: it redirects .* not followed/,
    ],
    [
      "a domain without the document",
      (_, to) => to.writeHead(404).end("{}"),
      /could not be asked for bob@example\.com: it answers with status 404/,
    ],
    ["a page", (_, to) => to.end("<html>"), /could not be asked for .* no JSON/],
    [
      "a domain that knows others",
      saying({ names: { alice: BOB.key } }),
      /^example\.com knows nobody by the name of bob@example\.com/,
    ],
    ["a document without names", saying({ names: null }), /^example\.com knows nobody/],
    [
      "a key in the wrong form",
      saying({ names: { bob: NPUB } }),
      /^example\.com has no key for bob@example\.com, but something else/,
    ],
    [
      "a key that is nobody's",
      saying({ names: { bob: "0".repeat(64) } }),
      /^example\.com has no key for bob/,
    ],
  ])("is not found, and is told why, with %s", async (_, answers, why) => {
    const { fetch, asked } = await domainWith(answers);
    const looked = lookUpNip05(
      { name: "bob", domain: "example.com" },
      { patienceSeconds: 10, fetch },
    );
    await expect(looked).rejects.toThrow(Nip05Error);
    await expect(looked).rejects.toThrow(why);
    expect(asked).toHaveLength(1);
  });

  it("is not found at a domain that says nothing, after the time that was given", async () => {
    const { fetch } = await domainWith(() => {});
    const asked = { name: "bob", domain: "example.com" };
    const looked = lookUpNip05(asked, { patienceSeconds: 0.1, fetch });
    await expect(looked).rejects.toThrow(/could not be asked for .*: no answer within 0\.1 s/);
  });

  it.each(["bob@localhost", "bob@192.168.1.1", "bob@printer.local", "bob@127.1"])(
    "is not looked up within a private network: %s",
    async (text) => {
      const { fetch, asked } = await domainWith(saying({ names: { bob: BOB.key } }));
      const looked = deadDrop(person(), [], { fetch }).findPerson(text);
      await expect(looked).rejects.toThrow(/within a private network, and is not asked/);
      expect(asked).toEqual([]);
    },
  );
});
