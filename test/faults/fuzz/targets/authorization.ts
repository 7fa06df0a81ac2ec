// The Authorization header of a request over HTTP, as it is read, and its signature checked: method, target and header, one a line. The fuzzer cannot sign, so
// whatever is let in is one of the events below, written in some other way.

import { finalizeEvent, verifyEvent } from "nostr-tools/pure";

import { provenKeys } from "../../../../src/http/authorization.ts";
import { isReason } from "../../../../src/nostr/reason.ts";
import { idOf, isEvent } from "../nip01.ts";
import { must, type Target } from "../target.ts";
import { inProcessAuthenticator } from "../authenticator.ts";
import { mustAuthorize, NOW, OWN_URLS } from "./http-auth.ts";

const SECRET = new Uint8Array(32).fill(7);

function header(u: string, method: string, change: { created_at?: number } = {}): string {
  const template = {
    kind: 27_235,
    created_at: NOW,
    tags: [
      ["u", u],
      ["method", method],
    ],
    content: "",
    ...change,
  };
  const event = finalizeEvent(template, SECRET);
  return Buffer.from(JSON.stringify(event)).toString("base64");
}

const PICKUP = header("https://drop.example/pickup/x?limit=1", "GET");
const authenticator = await inProcessAuthenticator(OWN_URLS, NOW);
const genuine = new Map<string, boolean>();

export const target: Target = {
  seeds: [
    `GET\n/pickup/x?limit=1\nNostr ${PICKUP}`,
    `GET\n/pickup/x?limit=1\nnostr  ${PICKUP.replaceAll("=", "")}`,
    `GET\n/pickup/x\nNostr ${header("http://127.0.0.1:7777/pickup/x", "GET")}`,
    `POST\n/pickup/x\nNostr ${header("http://127.0.0.1:7777/pickup/x", "GET")}`,
    `GET\n/pickup/x\nNostr ${header("wss://host.example/relay/pickup/x", "GET", { created_at: NOW - 61 })}`,
    "GET\n/pickup/x\nBasic YTpi",
    "GET\n/pickup/x\nNostr e30=",
    "GET\n/pickup/x\n",
  ],
  words: [
    "Nostr ",
    "GET",
    "POST",
    "/pickup/x",
    "?limit=1",
    "=",
    "-",
    "_",
    "+",
    "/",
    " ",
    "e30",
    PICKUP,
    "IiI",
    "fX0",
  ],
  maxChars: 2_048,
  steps: { fixed: 1_000, perChar: 4 },
  async check(text) {
    const [method = "", asked = "", ...lines] = text.split("\n");
    const mark = asked.indexOf("?");
    const authorization = lines.join("\n");
    const keys = await provenKeys(authenticator, {
      method,
      path: mark < 0 ? asked : asked.slice(0, mark),
      query: mark < 0 ? "" : asked.slice(mark + 1),
      headers: { authorization },
      address: "127.0.0.1",
      body: new Uint8Array(0),
      gone: new AbortController().signal,
    });
    if (isReason(keys)) {
      must(keys.startsWith("auth-required: "), "another kind of refusal");
      return;
    }
    must(keys.size === 1, "more keys than one, or none");
    // "base64 encoded", in either alphabet, with or without padding.
    const encoded = authorization.trim().replace(/^nostr +/i, "");
    const event = JSON.parse(Buffer.from(encoded, "base64").toString()) as unknown;
    must(isEvent(event), "an event that is none");
    must(keys.has(event.pubkey), "another key than the event's");
    must(idOf(event) === event.id, "an id that is not its hash");
    const known = genuine.get(event.sig + event.id) ?? verifyEvent(event);
    genuine.set(event.sig + event.id, known);
    must(known, "a signature that is none");
    mustAuthorize(event, method, asked.replace(/\?$/, ""));
  },
};
