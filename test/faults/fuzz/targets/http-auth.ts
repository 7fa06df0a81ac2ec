// What authorizes a request over HTTP (NIP-98), but for its id and signature: an event's fields, a method and a target. Whoever is let in must be let in by the
// NIP to the letter, where the host may be any of the relay's own and the scheme is whatever a proxy in front was asked for.

import { unauthorized } from "../../../../src/nostr/http-auth.ts";
import { parseEvent } from "../../../../src/nostr/event.ts";
import { type OwnUrl, ownUrl } from "../../../../src/nostr/own-url.ts";
import { isReason } from "../../../../src/nostr/reason.ts";
import type { PlainEvent } from "../nip01.ts";
import { must, type Target } from "../target.ts";

/** Unix seconds: when the requests come. */
export const NOW = 1_700_000_000;

const OWN = ["wss://drop.example", "ws://127.0.0.1:7777", "wss://host.example/relay/"];
export const OWN_URLS: readonly OwnUrl[] = OWN.flatMap((url) => ownUrl(url) ?? []);

const KEY = "0123456789abcdef".repeat(4);

function seed(u: string, target: string, change: object = {}, method = "GET"): string {
  const tags = [
    ["u", u],
    ["method", method],
  ];
  const event = {
    id: KEY,
    pubkey: KEY,
    created_at: NOW,
    kind: 27_235,
    tags,
    content: "",
    sig: KEY + KEY,
  };
  return JSON.stringify([{ ...event, ...change }, "GET", target]);
}

export const target: Target = {
  seeds: [
    seed("https://drop.example/pickup/x", "/pickup/x"),
    seed("http://127.0.0.1:7777/pickup/x?limit=1", "/pickup/x?limit=1"),
    seed("https://host.example/relay/pickup/x", "/pickup/x"),
    seed("https://host.example/relay/pickup/x", "/relay/pickup/x"),
    seed("https://drop.example:443/pickup/x?", "/pickup/x"),
    seed("https://drop.example/pickup/x", "/pickup/x", { created_at: NOW - 61 }),
    seed("https://drop.example/pickup/x", "/pickup/x", { kind: 22_242 }),
    seed("https://drop.example/pickup/x", "/pickup/x", {}, "POST"),
    seed("https://other.example/pickup/x", "/pickup/x"),
    seed("drop.example/pickup/x", "/pickup/x"),
  ],
  words: [
    "https://",
    "drop.example",
    "127.0.0.1:7777",
    "/relay",
    "/pickup/x",
    "?",
    "#",
    "//",
    "@",
    ".",
    ":443",
    "%2e",
    "GET",
    "POST",
    "u",
    "method",
  ],
  isJson: true,
  steps: { fixed: 1_000, perChar: 4 },
  check(text) {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return;
    }
    if (!Array.isArray(value)) return;
    const [given, method, asked] = value as unknown[];
    const event = parseEvent(given);
    if (isReason(event) || typeof method !== "string" || typeof asked !== "string") return;
    // As it comes from a transport: a path, no fragment.
    if (!/^\/[!-"$-~]*$/.test(asked)) return;
    const reason = unauthorized(event, { method, target: asked, urls: OWN_URLS, now: NOW });
    if (reason === undefined) mustAuthorize(given as PlainEvent, method, asked);
    else must(reason.startsWith("auth-required: "), "another kind of refusal");
  },
};

/** NIP-98, "the server MUST perform the following checks". */
export function mustAuthorize(event: PlainEvent, method: string, asked: string): void {
  must(event.kind === 27_235, "another kind");
  must(Math.abs(event.created_at - NOW) <= 60, "another time");
  const valueOf = (name: string): string | undefined =>
    event.tags.find((tag) => tag[0] === name)?.[1];
  must(valueOf("method") === method, "another method");
  const u = valueOf("u") ?? "";
  const url = /^(?:ws|http)s?:\/\//i.test(u) ? u : `https://${u}`;
  must(URL.canParse(url), "a u tag that is no URL");
  const { host, pathname, search, hash, username } = new URL(url);
  must(username === "" && hash === "", "a u tag with more than a URL of a request");
  const own = OWN.map((one) => new URL(one)).find(
    (one) => one.host === host.replace(/\.$|\.(?=:)/, ""),
  );
  must(own !== undefined, "another host");
  const base = own.pathname.replace(/\/$/, "");
  const here = new URL(`http://relay${asked}`);
  const isSame = search === here.search && [here.pathname, base + here.pathname].includes(pathname);
  must(isSame, "another path or query");
}
