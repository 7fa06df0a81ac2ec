// What is asked of a box over HTTP: the key in the path, the parameters with the cursor, and the Accept header, one a line.

import { decode, npubEncode } from "nostr-tools/nip19";

import {
  cursorOf,
  parameters,
  parseQuery,
  type PickupQuery,
} from "../../../../src/http/pickup-query.ts";
import { isReason } from "../../../../src/nostr/reason.ts";
import { must, type Target } from "../target.ts";
import { plain } from "../written.ts";

const KEY = "0123456789abcdef".repeat(4);
const NPUB = npubEncode(KEY);
const PREFIX = "ab".repeat(16);
const MAX_WAIT = 60;
const KNOWN: ReadonlySet<string> = new Set(parameters(MAX_WAIT).map(({ name }) => name));

export const target: Target = {
  seeds: [
    `${KEY}\n\n`,
    `${NPUB}\nlimit=1&cursor=1700000000-${PREFIX}&wait=60\n`,
    `${NPUB.toUpperCase()}\n\n`,
    `${KEY}\nlimit=5000\ntext/event-stream`,
    `${KEY}\n\napplication/json, text/event-stream;q=0.0, "a,b"`,
    // Quotes that do not end.
    `${KEY}\n\n"${'\\"'.repeat(2_000)}`,
    `${KEY}\nlimit=1&limit=2\n`,
    `${KEY}\nlimit=%31\n`,
  ],
  words: [
    KEY,
    NPUB,
    "limit=",
    "cursor=",
    "wait=",
    "&",
    "%2d",
    "%",
    "+",
    "-",
    "\n",
    "text/event-stream",
    '\\"',
    ";q=0",
    ",",
    '"',
    PREFIX,
    "99999999999",
  ],
  steps: { fixed: 1_000, perChar: 4 },
  check(text) {
    const [named = "", query = "", ...accept] = text.split("\n");
    const read = readQuery(named, query, accept.join("\n"));
    if (isReason(read)) {
      must(/^(?:invalid|unsupported): ./s.test(read), "another kind of refusal");
      return;
    }
    const { recipient, limit, after, wait, isStream } = read;
    must(named === recipient || decode(named).data === recipient, "another key than NIP-19 has");
    must(
      limit === undefined || (Number.isSafeInteger(limit) && limit >= 1),
      "a limit that is none",
    );
    must(Number.isInteger(wait) && wait >= 0 && wait <= MAX_WAIT, "too long a wait");
    must(
      !isStream || accept.join("\n").toLowerCase().includes("text/event-stream"),
      "a stream that nobody asked for",
    );
    must(after === undefined || after.recipient === recipient, "a cursor of another box");
    const again = readQuery(recipient, written(read), isStream ? "text/event-stream" : "");
    must(plain(again) === plain(read), "written and read again it is another query");
  },
};

function readQuery(named: string, query: string, accept: string): ReturnType<typeof parseQuery> {
  const request = {
    method: "GET",
    path: `/pickup/${named}`,
    query,
    headers: { accept },
    address: "127.0.0.1",
    body: new Uint8Array(0),
    gone: new AbortController().signal,
  };
  return parseQuery(request, named, MAX_WAIT, KNOWN);
}

function written({ limit, after, wait, isStream }: PickupQuery): string {
  const query = new URLSearchParams();
  if (limit !== undefined) query.set("limit", String(limit));
  if (after !== undefined) {
    query.set("cursor", cursorOf({ ...after, seq: 0, kind: 1059, expiry: 0, bytes: 0 }));
  }
  if (!isStream) query.set("wait", String(wait));
  return query.toString();
}
