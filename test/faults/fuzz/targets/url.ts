// A URL in a tag or a setting, and the target of an HTTP request: what is read from them is what the URL Standard reads, or nothing.

import { ownUrl } from "../../../../src/nostr/own-url.ts";
import { readUrl } from "../../../../src/nostr/url.ts";
import { originForm } from "../../../../src/transport/request-head.ts";
import { must, type Target } from "../target.ts";

export const target: Target = {
  seeds: [
    "wss://Drop.Example.com",
    "ws://drop.example.com:80/inbox?a=b#c",
    "https://drop.example.com:0443/%2e%2e/x",
    "drop.example.com.:7777/",
    "ws://[0:0:0:0:0:0:0:1]:07777",
    "wss://xn--bcher-kva.example",
    "wss://0x7f.1",
    "wss://1.2.3.4",
    "wss://a@b:c",
    "wss:x.example",
    "https:443",
    "wss://x\\y",
    "/pickup/npub1?limit=1",
    "http://x.example?limit=1",
    "http://a//b",
    "*",
    "",
  ],
  words: [
    "wss://",
    "http://",
    "https://",
    "//",
    "/",
    "?",
    "#",
    "@",
    ":",
    "[::1]",
    "[",
    "]",
    ".",
    "%2e",
    "xn--",
    "0x",
    "\\",
    "\t",
    ":443",
    ":80",
  ],
  steps: { fixed: 500, perChar: 0.5 },
  check(text) {
    const read = readUrl(text);
    const own = ownUrl(text);
    must(
      (own === undefined) === (read === undefined),
      "one reading of it as an own URL, and none as a URL",
    );
    if (read !== undefined) {
      const url = urlOf(/^(?:ws|http)s?:\/\//i.test(text) ? text : `http://${text}`);
      must(url.username === "" && url.password === "", "a name and password");
      const host = url.host.replace(/\.(?=:\d+$|$)/, "");
      // Without a scheme there is no port of its own.
      must(
        host === read.host || `${host}:80` === read.host,
        "another host than the URL Standard reads",
      );
      const scheme = read.host.endsWith(":80") ? "wss" : "ws";
      must(readUrl(`${scheme}://${read.host}`)?.host === read.host, "a host that is not itself");
      must(text.endsWith(read.target), "a target that does not stand there");
      must(own?.host === read.host, "another own host");
    }

    const asked = originForm(text);
    must(originForm(asked) === asked, "an origin form that has another one");
    // A backslash, white space and the like are no part of a target (RFC 9112, 3.2); the URL Standard takes some for something else.
    if (!/^https?:\/\/[^/?#]/i.test(text) || !/^[!-~]*$/.test(text) || /[\\^`{|}"<>]/.test(text))
      return;
    if (!URL.canParse(text)) return;
    const [absolute, origin] = [urlOf(text), urlOf(`http://x.example${asked}`)];
    must(
      absolute.pathname === origin.pathname && absolute.search === origin.search,
      "another path or query",
    );
  },
};

function urlOf(text: string): URL {
  must(URL.canParse(text), "a URL that the URL Standard cannot read");
  return new URL(text);
}
