// What a person with a browser reads at `/`.

import { createHash } from "node:crypto";

import * as fc from "fast-check";
import { npubEncode } from "nostr-tools/nip19";
import { decodeQR } from "qr/decode.js";
import { describe, expect, it } from "vitest";

import { type RelayInformation, relayInformation } from "../../src/http/information.ts";
import { keptPage } from "../../src/http/page/kept-page.ts";
import { page } from "../../src/http/page/page.ts";
import { loadConfig } from "../../src/config/load.ts";
import { text as anyText } from "../support/arbitrary.ts";
import { startProxy } from "../support/proxy.ts";
import { sharedRelay, startRelay } from "../support/relay.ts";
import { type Answer, ask } from "./support.ts";

// As Chromium and Firefox send it.
const BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
const HTML = "text/html; charset=utf-8";
const KEY = "ab".repeat(32);

function asBrowser(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  return ask(url, { headers: { accept: BROWSER, ...headers } });
}

/** What a reader sees of it, in one line. */
function readable(html: string): string {
  return html
    .replace(/<(style|title)>.*?<\/\1>/gs, "")
    .replaceAll(/<[^>]*>/g, " ")
    .replaceAll(/&(?:lt|gt|quot|#39|amp);/g, (entity) => UNESCAPED[entity] ?? "")
    .replaceAll(/\s+/g, " ");
}

const UNESCAPED: Record<string, string> = {
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
  "&amp;": "&",
};

describe("the page at /", () => {
  const shared = sharedRelay({
    env: {
      DEADDROP_NAME: "Under the third bench",
      DEADDROP_DESCRIPTION: "For friends of the park.",
      DEADDROP_CONTACT: "mailto:park@bench.example",
      DEADDROP_PUBKEY: KEY,
      DEADDROP_URL: "wss://drop.example.com",
      DEADDROP_ALIASES: "ws://drop.onion/box, wss://other.example",
      DEADDROP_RETENTION: "36h",
      DEADDROP_PROOF_OF_WORK: "12",
      DEADDROP_LIMITS_EVENT_BYTES: "48KiB",
      DEADDROP_LIMITS_BOX_DROPS: "1234",
      DEADDROP_LIMITS_BOX_BYTES: "5MiB",
    },
  });

  it("says who runs the relay, where it is, and what its limits are", async () => {
    const { status, text } = await asBrowser(shared().http);
    expect(status).toBe(200);
    const said = readable(text);
    for (const part of [
      "Under the third bench",
      "For friends of the park.",
      "mailto:park@bench.example",
      npubEncode(KEY),
      "wss://drop.example.com",
      "ws://drop.onion/box",
      "at most 1 day and 12 hours, counted from 2 days after",
      "at most 48 KiB",
      "at most 1,234 messages or 5 MiB",
      "12 bits (NIP-13)",
      "deaddrop relays set wss://drop.example.com",
      "kind 10050",
    ]) {
      expect(said).toContain(part);
    }
  });

  it("says what the operator can see and what not", async () => {
    const said = readable((await asBrowser(shared().http)).text);
    expect(said).toMatch(/Can for whom a message is .* Cannot what a message says/);
  });

  it("tells how the relay is in the words of /readyz", async () => {
    const relay = await startRelay({
      env: { DEADDROP_LIMITS_DISK_RESERVE_BYTES: "900000GiB" },
    });
    for (const { http } of [relay, shared()]) {
      const { text: words } = await ask(`${http}/readyz`);
      expect(readable((await asBrowser(http)).text)).toContain(`Right now: ${words.trim()} `);
    }
  });

  it.each(["*/*", "text/plain", "text/html;q=0", undefined])(
    "is a line of text for who accepts %s, such as curl",
    async (accept) => {
      const { headers, text } = await ask(shared().http, {
        headers: accept === undefined ? {} : { accept },
      });
      expect(headers.get("content-type")).toBe("text/plain; charset=utf-8");
      expect(text.trim().split("\n")).toHaveLength(1);
    },
  );

  it("is told apart by caches from the other answers, and kept for a minute by the browser alone", async () => {
    for (const accept of [BROWSER, "*/*", "application/nostr+json"]) {
      const { headers } = await ask(shared().http, { headers: { accept } });
      expect([accept, headers.get("vary")]).toEqual([accept, "accept"]);
    }
    const { headers } = await asBrowser(shared().http);
    expect(headers.get("content-type")).toBe(HTML);
    expect(headers.get("cache-control")).toBe("private, max-age=60");
  });

  it("may load nothing, run nothing, send nothing and be framed by nobody; its style is the one that is allowed", async () => {
    const { headers, text } = await asBrowser(shared().http);
    const [, style = ""] = /<style>(.*)<\/style>/s.exec(text) ?? [];
    const hash = createHash("sha256").update(style).digest("base64");
    expect(headers.get("content-security-policy")?.split("; ")).toEqual([
      "default-src 'none'",
      `style-src 'sha256-${hash}'`,
      "img-src data:",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ]);
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(text).not.toMatch(/<script|\sstyle=|\son\w+=/i);
  });

  it("is answered to HEAD with its length alone", async () => {
    const get = await asBrowser(shared().http);
    const head = await ask(shared().http, { method: "HEAD", headers: { accept: BROWSER } });
    expect(head.text).toBe("");
    expect(head.headers.get("content-type")).toBe(HTML);
    expect(head.headers.get("content-length")).toBe(String(Buffer.byteLength(get.text)));
  });

  it("has links to the relay itself and to its operator alone, and they lead somewhere", async () => {
    const { text } = await asBrowser(shared().http);
    const links = [...text.matchAll(/<a href="([^"]*)"/g)].map(([, link]) => link ?? "");
    const [own, others] = [
      links.filter((l) => l.startsWith("/")),
      links.filter((l) => !l.startsWith("/")),
    ];
    expect(others).toEqual([`nostr:${npubEncode(KEY)}`, "mailto:park@bench.example"]);
    expect(own.length).toBeGreaterThan(0);
    for (const link of own) expect((await ask(shared().http + link)).status).toBe(200);
  });
});

describe("a relay without a url", () => {
  const shared = sharedRelay();

  it("shows the address at which it listens, whatever Host says", async () => {
    const relay = shared();
    const { text } = await asBrowser(relay.http);
    expect(text).toContain(`<code class="all">${relay.url}</code>`);
    expect(readable(text)).toContain("The operator has not said.");
  });
});

describe.each(["strips", "keeps"] as const)("behind a proxy that %s its path", (passing) => {
  it("links below the path, and shows the address by which the reader came first", async () => {
    const cleaning: (() => void)[] = [];
    const proxy = await startProxy("/in%20box", passing, (clean) => void cleaning.push(clean));
    const env = { DEADDROP_URL: "wss://drop.example.com", DEADDROP_ALIASES: `${proxy.url}/` };
    const relay = await startRelay({ env });
    proxy.passTo(relay.url);
    const http = proxy.url.replace("ws", "http");
    for (const path of ["", "/"]) {
      const { text } = await asBrowser(http + path);
      const [, address] = /<code class="all">([^<]*)</.exec(text) ?? [];
      expect(address).toBe(`${proxy.url}/`);
      const [, link = ""] = /<a href="(\/[^"]*openapi\.json)"/.exec(text) ?? [];
      expect((await ask(new URL(link, http).href)).status).toBe(200);
    }
    for (const clean of cleaning) clean();
  });
});

// --- what an operator may write

const CONFIG = loadConfig({}, "/dev/null");

function informationOf(settings: Partial<typeof CONFIG>): RelayInformation {
  const rule = [{ upTo: Infinity, seconds: CONFIG.retention }];
  const config = { ...CONFIG, ...settings };
  return relayInformation({ config, policies: [], rule, version: "1.2.3" }, 1_800_000_000);
}

function pageOf(settings: Partial<typeof CONFIG>, urls: readonly string[]): string {
  const [url = "", ...otherUrls] = urls;
  return page({
    information: informationOf(settings),
    state: "ready",
    takesDrops: true,
    url,
    otherUrls,
    base: "",
  });
}

const HOSTILE = [
  "<script>alert(1)</script>",
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  "javascript:alert(1)",
  "data:text/html,<script>alert(1)</script>",
  'https://x/" onclick="alert(1)',
  "</style></title></pre><svg onload=alert(1)>",
  "<!--",
  "-->",
  "&lt;b&gt;&amp;&#39;",
  "]]>",
];
const written = fc.oneof(
  anyText,
  fc.constantFrom(...HOSTILE),
  fc.tuple(fc.constantFrom(...HOSTILE), anyText).map((both) => both.join("")),
);

/** Its tags with the names of their attributes and nothing of its text; without those of links, for a contact may be one or not. */
function skeleton(html: string): string[] {
  const tags = html.match(/<[^>]*>/g) ?? [];
  return tags
    .map((tag) => tag.replaceAll(/="[^"]*"/g, "="))
    .filter((tag) => !/^<(?:\/a|a href=|a href= rel=)>$/.test(tag));
}

describe("the page's HTML", () => {
  it("is made once for an address, and again when what it says has changed", () => {
    const shown = keptPage();
    const asked = { information: informationOf({}), state: "ready", takesDrops: true };
    const urls = ["wss://a.example", "wss://b.example"];
    const first = shown({ ...asked, urls, host: "a.example" });
    expect(shown({ ...asked, urls, host: "stranger.example" })).toBe(first);
    const other = shown({ ...asked, urls, host: "B.example" });
    expect(other?.body).toContain(`<p class="url"><code class="all">wss://b.example<`);
    expect(shown({ ...asked, urls, host: "a.example" })).toBe(first);
    const changed = shown({ ...asked, state: "not ready", urls, host: "a.example" });
    expect(changed?.body).toContain("Right now: not ready<");
  });
});

describe("what an operator wrote", () => {
  it("is text on the page, whatever it is", () => {
    const usual = skeleton(pageOf({ contact: "somebody", name: "a" }, ["wss://a.example"]));
    fc.assert(
      fc.property(written, written, written, written, (name, description, contact, path) => {
        fc.pre(contact !== "");
        const made = pageOf({ name, description, contact }, [`wss://a.example/${path}`]);
        expect(skeleton(made)).toEqual(usual);
        const links = [...made.matchAll(/<a href="([^"]*)"/g)].map(([, link]) => link ?? "");
        for (const link of links) expect(link).toMatch(/^(?:\/|https?:\/\/|mailto:|nostr:)/i);
        expect(readable(made)).toContain(name.replaceAll(/\s+/g, " "));
      }),
    );
  });

  it("is one word to the shell that a command is pasted into", () => {
    const made = readable(pageOf({}, ["wss://a.example/$(reboot);'x'"]));
    expect(made).toContain(String.raw`relays set 'wss://a.example/$(reboot);'\''x'\'''`);
  });

  it.each(["ftp://a.example", "javascript:alert(1)", "data:,x", "somebody"])(
    "is no link when it is %s",
    (contact) => {
      const made = pageOf({ contact }, ["wss://a.example"]);
      expect(readable(made)).toContain(contact);
      expect(made).not.toContain(`href="${contact}`);
    },
  );

  it("fits into 30 KB when there is much of it", () => {
    const long = pageOf(
      {
        name: "N & N ".repeat(20),
        description: "“We hold what you leave” & nothing else.\n".repeat(100),
        contact: `https://a.example/${"c".repeat(200)}`,
        pubkey: KEY,
        limits: { ...CONFIG.limits, boxBytes: 987_654_321_987 },
      },
      Array.from({ length: 8 }, (_, index) => `wss://a.example/${"path/".repeat(40)}${index}`),
    );
    expect(long).toContain("<svg");
    expect(Buffer.byteLength(long)).toBeLessThan(30_000);
  });

  it("has the address in the code, to whoever scans it", () => {
    const url = "wss://drop.example.com/inbox";
    expect(decodeQR(imageOf(pageOf({}, [url])))).toBe(url);
  });

  it("has no code to scan where the address is too long for one", () => {
    expect(pageOf({}, [`wss://a.example/${"x".repeat(3_000)}`])).not.toContain("<svg");
  });
});

/** What a camera sees of the code on a page, four pixels a module. */
function imageOf(html: string): { width: number; height: number; data: Uint8Array } {
  const side = 4 * Number(/viewBox="0 0 (\d+)/.exec(html)?.[1]);
  const data = new Uint8Array(3 * side * side).fill(255);
  const [, path = ""] = /<path stroke="#000" d="([^"]*)"/.exec(html) ?? [];
  let [x, y] = [0, 0];
  for (const [, verb, length, to] of path.matchAll(/([Mmh])(\d+)(?: ([\d.]+))?/g)) {
    if (verb === "M") [x, y] = [0, 4 * Math.floor(Number(to))];
    const end = x + 4 * Number(length);
    const rows = verb === "h" ? [y, y + 1, y + 2, y + 3] : [];
    for (const row of rows) {
      data.fill(0, 3 * (row * side + x), 3 * (row * side + end));
    }
    x = end;
  }
  return { width: side, height: side, data };
}
