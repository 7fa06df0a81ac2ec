import { isIPv6, SocketAddress } from "node:net";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { ownUrl } from "../../src/nostr/own-url.ts";
import { hostOf, readUrl } from "../../src/nostr/url.ts";

describe("the host of a URL", () => {
  it.each([
    ["wss://Drop.Example.com", "drop.example.com"],
    ["wss://drop.example.com:443/inbox", "drop.example.com"],
    ["https://drop.example.com:443/inbox", "drop.example.com"],
    ["ws://drop.example.com:80", "drop.example.com"],
    ["http://drop.example.com:80", "drop.example.com"],
    ["wss://drop.example.com:80", "drop.example.com:80"],
    ["wss://drop.example.com:0443", "drop.example.com"],
    ["drop.example.com", "drop.example.com"],
    ["drop.example.com:443", "drop.example.com:443"],
    ["drop.example.com:7777/inbox?a=b#c", "drop.example.com:7777"],
    ["wss://drop.example.com./inbox", "drop.example.com"],
    ["wss://drop.example.com.:7777", "drop.example.com:7777"],
    ["wss://drop.example.com?x", "drop.example.com"],
    ["wss://drop.example.com/büro/@x:1", "drop.example.com"],
    ["wss://my_relay:7777", "my_relay:7777"],
    ["localhost", "localhost"],
    ["ws://127.0.0.1:7777", "127.0.0.1:7777"],
    ["127.0.0.1", "127.0.0.1"],
    ["ws://[::1]:7777", "[::1]:7777"],
    ["[::1]:7777", "[::1]:7777"],
    ["ws://[0:0:0:0:0:0:0:1]:07777", "[::1]:7777"],
    ["wss://xn--bcher-kva.example", "xn--bcher-kva.example"],
  ])("of %s is %s", (url, host) => {
    expect(hostOf(url)).toBe(host);
  });

  it.each([
    "ftp://drop.example.com",
    "wss://",
    "wss://a b",
    "",
    "/",
    "wss:x.example",
    "https:443",
    "WS:7777/inbox",
    "ftp:21",
    "//x.example",
    "\nwss://x",
    "wss://x\u00a0",
    "wss://x/\u0000",
    "wss://x/a\\b",
    "wss://x:",
    "wss://x:/",
    "wss://x:65536",
    "wss://x:-1",
    "wss://x:1e3",
    "wss://.x",
    "wss://x..",
    "wss://x..example",
    "wss://bücher.example",
    "wss://\u212aelvin.example",
    "wss://x.example\u3002",
    "wss://a%2e.example",
    "wss://a,b.example",
    "wss://1.2.3",
    "wss://1.2.3.04",
    "wss://256.1.1.1",
    "wss://0x7f000001",
    "wss://a.0x1",
    "wss://[::1]x",
    "wss://[::1].",
    "wss://[::1",
    "wss://[::1%25eth0]",
    "wss://[x]",
    "wss://::1",
  ])("of %j is none", (url) => {
    expect(hostOf(url)).toBeUndefined();
  });

  it("is the one that other parsers read, whatever is accepted", () => {
    let accepted = 0;
    fc.assert(
      fc.property(nearlyUrl, (text) => {
        const read = readUrl(text);
        if (read === undefined) return;
        accepted += 1;
        const full = text.includes("://") ? text : `none://${text}`;
        expect(read.host).toBe(byTheUrlStandard(full));
        expect(read.host).toBe(byRfc3986(full));
        expect(text.endsWith(read.target)).toBe(true);
      }),
      { numRuns: 20_000 },
    );
    expect(accepted).toBeGreaterThan(1_000);
  });
});

describe("a URL of one's own", () => {
  it.each([
    ["wss://drop.example.com", ""],
    ["wss://drop.example.com/", ""],
    ["wss://drop.example.com//", ""],
    ["wss://drop.example.com?x", ""],
    ["wss://drop.example.com/inbox", "/inbox"],
    ["wss://drop.example.com/inbox/", "/inbox"],
    ["wss://drop.example.com/a/../b/c//?x#y", "/b/c"],
    ["wss://drop.example.com//evil.example/x", "//evil.example/x"],
    ["wss://drop.example.com/büro", "/b%C3%BCro"],
  ])("%s has the path %j", (url, path) => {
    expect(ownUrl(url)).toEqual({ host: "drop.example.com", path });
  });

  it("is none that is no URL", () => {
    expect(ownUrl("wss://user@drop.example.com/inbox")).toBeUndefined();
  });
});

// URLs as they are, and with what makes parsers differ in the places where it does.
const ODD = [
  "@",
  "\\",
  ":",
  "/",
  "?",
  "#",
  " ",
  "\t",
  "%",
  "%2e",
  "．",
  "１",
  "ß",
  "\u00ad",
  "[",
  "]",
];
const label = fc.oneof(
  { weight: 4, arbitrary: fc.stringMatching(/^[a-zA-Z0-9_-]{1,8}$/) },
  fc.constantFrom("xn--bcher-kva", "0x7f", "017", "1", "127", "256", "0", ...ODD),
);
const name = fc.oneof(
  fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join(".")),
  fc.ipV4(),
  fc.ipV4Extended(),
  fc.ipV6().map((address) => `[${address}]`),
);
const nearlyUrl = fc
  .tuple(
    fc.constantFrom("wss://", "ws://", "https://", "http://", "WSS://", "", "//", "wss:/"),
    fc.constantFrom("", "", "", "", "user@", "a:b@", "@"),
    name,
    fc.constantFrom("", "", ".", "..", "@evil.example", "\\@evil.example"),
    fc.oneof(
      fc.constantFrom("", "", ":", ":80", ":443", ":0443", ":７"),
      fc.nat(99_999).map((port) => `:${port}`),
    ),
    fc.constantFrom("", "/", "/inbox", "?a=b", "#a", "/@x:1", "\\a", "/ü"),
  )
  .map((parts) => parts.join(""));

function byTheUrlStandard(text: string): string {
  const { protocol, hostname, port } = new URL(text.replace(/^none:/, "ws:"));
  const given = protocol === "ws:" && text.startsWith("none:") ? portIn(text) : port;
  return joined(hostname.replace(/\.$/, ""), given);
}

// RFC 3986, appendix B and 3.2, as a parser that knows no more would read it.
function byRfc3986(text: string): string {
  const [, scheme = "", authority = ""] = /^([^:/?#]+):\/\/([^/?#]*)/.exec(text) ?? [];
  const [, host = "", port = ""] = /^(?:.*@)?(\[.*\]|[^:]*)(?::(.*))?$/.exec(authority) ?? [];
  const bare = host.toLowerCase().replace(/\.$/, "");
  const own = { wss: 443, https: 443, ws: 80, http: 80 }[scheme.toLowerCase()];
  const given = port === "" || Number(port) === own ? "" : String(Number(port));
  return joined(shortest(bare), given);
}

function portIn(text: string): string {
  const [, port = ""] =
    /^[a-z]+:\/\/[^/?#]*?:(\d+)(?:[/?#]|$)/.exec(text.replace(/\[.*\]/, "x")) ?? [];
  return port === "" ? "" : String(Number(port));
}

function joined(host: string, port: string): string {
  return port === "" ? host : `${host}:${port}`;
}

// An IPv6 address as the system writes it, which is as the URL Standard does but for IPv4 in its end.
function shortest(host: string): string {
  const address = host.replace(/^\[|\]$/g, "");
  if (!isIPv6(address)) return host;
  const words = new SocketAddress({ address, family: "ipv6" }).address;
  const ended = words.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  return `[${ended}]`;
}
