// A request over HTTP, as a transport hands it on: method and target, headers, an empty line, the body. Whatever it is, it has an answer that the relay tells of, and
// what is held is in none but its recipient's.

import { setImmediate as turn } from "node:timers/promises";

import type { HttpResponse } from "../../../../src/transport/transport.ts";
import { ACKNOWLEDGEMENT, answer, authorization, BOX, CONTENT, faultSince, HELD } from "../held.ts";
import { must, type Target } from "../target.ts";

const STATUSES: ReadonlySet<number> = new Set([
  200, 201, 202, 204, 400, 401, 403, 404, 405, 413, 415, 422, 429,
]);
const PICKUP = `/pickup/${BOX}`;

function request(
  method: string,
  target: string,
  headers: readonly string[] = [],
  body = "",
): string {
  return [`${method} ${target}`, ...headers, "", body].join("\n");
}

export const target: Target = {
  seeds: [
    request("GET", "/"),
    request("GET", PICKUP),
    request("GET", PICKUP, [`authorization: ${authorization(PICKUP)}`]),
    request("HEAD", PICKUP, [`authorization: ${authorization(PICKUP)}`]),
    request("GET", PICKUP, [
      "accept: text/event-stream",
      `authorization: ${authorization(PICKUP)}`,
    ]),
    request("GET", `${PICKUP}?limit=1`, [`authorization: ${authorization(`${PICKUP}?limit=1`)}`]),
    request("GET", `${PICKUP}/count`, [`authorization: ${authorization(`${PICKUP}/count`)}`]),
    request("POST", "/drop", ["content-type: application/json"], JSON.stringify(HELD)),
    request("POST", "/ack", [], JSON.stringify(ACKNOWLEDGEMENT)),
    request("POST", "/drop", ["content-encoding: gzip, identity ,  x"], "{}"),
    request("OPTIONS", "*"),
    request("GET", "/openapi.json", ["accept: */*"]),
    request("GET", "/healthz"),
    request("DELETE", PICKUP),
  ],
  words: [
    "GET ",
    "POST ",
    "HEAD ",
    "OPTIONS ",
    PICKUP,
    "/drop",
    "/ack",
    "/count",
    "/pickup/",
    "?",
    "limit=1",
    "cursor=",
    "%2e",
    "//",
    "\n",
    "accept: ",
    "text/event-stream",
    "authorization: Nostr ",
    "content-encoding: ",
    "identity",
    "__proto__",
    "constructor",
    "{",
    "}",
    "[",
    '"kind":1059',
  ],
  maxChars: 4_096,
  steps: { fixed: 200_000, perChar: 40 },
  async check(text) {
    const [head = "", ...rest] = text.split("\n\n");
    const [line = "", ...headers] = head.split("\n");
    const [method = "", asked = ""] = line.split(" ");
    const [path = "", ...query] = asked.split("?");
    const gone = new AbortController();
    const named = headers.map((header): [string, string] => {
      const [name = "", ...value] = header.split(":");
      return [name.toLowerCase(), value.join(":").trim()];
    });
    const given = Object.fromEntries(named);
    const answered = await answer({
      method,
      path,
      query: query.join("?"),
      headers: given,
      address: "127.0.0.1",
      body: Buffer.from(rest.join("\n\n")),
      gone: gone.signal,
    });
    const body = await bodyOf(answered);
    gone.abort();
    must(faultSince() === undefined, "a fault of the relay's own");
    must(STATUSES.has(answered.status), `status ${answered.status}`);
    if (typeof answered.body === "string" && answered.headers["content-type"]?.includes("json")) {
      JSON.parse(answered.body === "" ? "null" : answered.body);
    }
    const isShown = body.includes(CONTENT) && !text.includes(CONTENT);
    must(!isShown || isRecipients(given), "shown to another");
  },
};

function isRecipients(headers: Record<string, string>): boolean {
  const [, encoded = ""] = /^nostr +(.*)$/i.exec(headers["authorization"] ?? "") ?? [];
  return Buffer.from(encoded, "base64").toString().includes(`"pubkey":"${BOX}"`);
}

// A stream goes on for ever: what comes within a few turns is all there is.
async function bodyOf({ body }: HttpResponse): Promise<string> {
  if (typeof body === "string") return body;
  let text = "";
  const handlers = body({
    bufferedBytes: 0,
    send: (piece) => {
      text += piece;
    },
    cork: (work) => work(),
    end: () => {},
    terminate: () => {},
  });
  for (let turns = 0; turns < 4; turns++) await turn();
  handlers.closed();
  return text;
}
