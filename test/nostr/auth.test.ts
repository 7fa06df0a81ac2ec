import { describe, expect, it } from "vitest";

import { misauthenticated } from "../../src/nostr/auth.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";

const NOW = 1_700_000_000;
const ANOTHER =
  "invalid: the relay tag names another relay, this one is known as drop.example.com, 127.0.0.1:7777";
const EXPECTED = {
  challenge: "c0ffee",
  urls: [
    { host: "drop.example.com", path: "/inbox" },
    { host: "127.0.0.1:7777", path: "" },
  ],
  now: NOW,
};

function auth(change: Partial<NostrEvent> = {}): NostrEvent {
  return {
    id: "1".repeat(64),
    pubkey: "2".repeat(64),
    created_at: NOW,
    kind: 22242,
    tags: [
      ["relay", "wss://drop.example.com/"],
      ["challenge", "c0ffee"],
    ],
    content: "",
    sig: "3".repeat(128),
    ...change,
  };
}

function answering(relay: string): string | undefined {
  return misauthenticated(
    auth({
      tags: [
        ["relay", relay],
        ["challenge", "c0ffee"],
      ],
    }),
    EXPECTED,
  );
}

describe("an answer to the challenge", () => {
  it("is accepted with the right kind, time, challenge and relay", () => {
    expect(misauthenticated(auth(), EXPECTED)).toBeUndefined();
  });

  it.each([1, 22241, 27235, 1059])("is refused as kind %i", (kind) => {
    expect(misauthenticated(auth({ kind }), EXPECTED)).toBe(
      "invalid: AUTH takes an event of kind 22242",
    );
  });

  it.each([-600, 0, 600])("is accepted %i seconds from now", (seconds) => {
    expect(misauthenticated(auth({ created_at: NOW + seconds }), EXPECTED)).toBeUndefined();
  });

  it.each([-601, 601, -NOW])("is refused %i seconds from now", (seconds) => {
    expect(misauthenticated(auth({ created_at: NOW + seconds }), EXPECTED)).toBe(
      "invalid: created_at is more than 10 minutes from now",
    );
  });

  it.each([
    ["another one", [["challenge", "c0ffef"]]],
    ["another case", [["challenge", "C0FFEE"]]],
    ["a part of it", [["challenge", "c0ffe"]]],
    ["an empty one", [["challenge", ""]]],
    ["a tag without a value", [["challenge"]]],
    ["none", []],
    [
      "the right one in second place",
      [
        ["challenge", "x"],
        ["challenge", "c0ffee"],
      ],
    ],
  ])("is refused for the wrong challenge: %s", (_, challenge) => {
    const tags = [["relay", "wss://drop.example.com"], ...challenge];
    expect(misauthenticated(auth({ tags }), EXPECTED)).toBe(
      "invalid: the challenge is not the one of this connection",
    );
  });

  it.each([
    "wss://drop.example.com",
    "wss://drop.example.com/",
    "wss://drop.example.com/any/path?and=query",
    "wss://drop.example.com:443",
    "ws://drop.example.com",
    "ws://drop.example.com:80/",
    "WSS://Drop.Example.COM",
    "ws://127.0.0.1:7777",
    "ws://127.0.0.1:7777/",
    "wss://127.0.0.1:7777",
    "https://drop.example.com",
    "http://drop.example.com:80/inbox",
    "drop.example.com",
    "drop.example.com/inbox",
    "DROP.example.com.",
    "wss://drop.example.com./inbox",
    "127.0.0.1:7777",
    "http://127.0.0.1:7777",
  ])("may call the relay %s", (relay) => {
    expect(answering(relay)).toBeUndefined();
  });

  it.each([
    "wss://relay.example.com",
    "wss://example.com",
    "wss://drop.example.com.evil.example",
    "wss://evil-drop.example.com",
    "wss://drop.example.com@evil.example/",
    "wss://evil.example/wss://drop.example.com",
    "wss://evil.example#drop.example.com",
    "wss://drop.example.com:8443",
    "wss://drop.example.com:80",
    "ws://drop.example.com:443",
    "ws://127.0.0.1",
    "ws://127.0.0.1:77777",
    "https://drop.example.com:80",
    "drop.example.com:443",
    "ftp://drop.example.com",
    "//drop.example.com",
    "wss:///drop.example.com",
    "wss:/drop.example.com",
    "wss:\\\\drop.example.com",
    "wss://drop.example.com\\@evil.example",
    "wss://evil.example\\@drop.example.com",
    "wss://user@drop.example.com",
    "wss://user:secret@drop.example.com",
    "wss://@drop.example.com",
    "wss://drop.example.com:443@evil.example",
    "wss://drop.example.com:",
    "wss://drop.example.com..",
    "wss://drop%2eexample.com",
    "wss://drop。example。com",
    "wss://ｄrop.example.com",
    "wss://drop.example.com\u00ad",
    "wss://dro\tp.example.com",
    "wss://drop.example.com\n",
    " wss://drop.example.com",
    "wss://drop.example.com ",
    "ws://127.1:7777",
    "ws://0x7f.1:7777",
    "ws://2130706433:7777",
    "ws://017700000001:7777",
    "ws://１２７.0.0.1:7777",
    "ws://127.0.0.1:７777",
    "wss://",
    "wss:drop.example.com",
    " ",
    "",
  ])("may not call the relay %j", (relay) => {
    expect(answering(relay)).toBe(ANOTHER);
  });

  it("is refused without a relay tag", () => {
    expect(misauthenticated(auth({ tags: [["challenge", "c0ffee"]] }), EXPECTED)).toBe(ANOTHER);
  });

  it("that is refused is told a few of the names, each once", () => {
    const urls = ["a", "a", "b", "c", "d", "e"].map((host, index) => ({ host, path: `/${index}` }));
    expect(misauthenticated(auth(), { ...EXPECTED, urls })).toBe(
      "invalid: the relay tag names another relay, this one is known as a, b, c, d, …",
    );
  });

  it("is refused by a relay that knows no name of its own", () => {
    const nameless = { ...EXPECTED, urls: [] };
    expect(misauthenticated(auth(), nameless)).toBe("invalid: the relay tag names another relay");
  });
});
