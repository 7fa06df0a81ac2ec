// Somebody who steers a relay: requests of NIP-86, right ones and wrong ones.

import { createHash } from "node:crypto";

import type { EventTemplate, NostrEvent } from "nostr-tools";
import { expect } from "vitest";

import { ask, authorizationEvent, inHeader } from "../http/support.ts";
import type { Person } from "../support/people.ts";
import type { LogLine, RelayProcess } from "../support/relay.ts";

export const MANAGEMENT_TYPE = "application/nostr+json+rpc";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const canSharePorts = process.platform === "linux" && (major > 23 || (major === 22 && minor >= 12));

/** How many event loops a relay is tried with, and the setting for it. */
export const LOOPS: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ["one event loop", {}],
  ...(canSharePorts ? [["two event loops", { DEADDROP_WORKERS: "2" }] as const] : []),
];

// The system gives each loop its share of connections: of so many, hardly ever all to one.
export const CONNECTIONS = 12;

export type Managed = { readonly status: number; readonly body: Readonly<Record<string, unknown>> };

/** The text of a request. */
export function request(method: string, ...params: readonly unknown[]): string {
  return JSON.stringify({ method, params });
}

/** The authorization of a request: the event of NIP-98. */
export function authorizes(
  admin: Person,
  relay: RelayProcess,
  body: string,
  change: Partial<EventTemplate> = {},
): NostrEvent {
  const tags = [
    ["u", relay.url],
    ["method", "POST"],
    ["payload", createHash("sha256").update(body).digest("hex")],
  ];
  return authorizationEvent(admin, relay.url, { method: "POST", tags, ...change });
}

/** What the relay answers to the text of a request with this authorization. */
export async function send(
  relay: RelayProcess,
  body: string,
  authorization: NostrEvent | string | undefined,
  headers: Readonly<Record<string, string>> = {},
): Promise<Managed> {
  const header = typeof authorization === "object" ? inHeader(authorization) : authorization;
  const answer = await ask(`${relay.http}/`, {
    method: "POST",
    body,
    headers: {
      "content-type": MANAGEMENT_TYPE,
      ...(header !== undefined && { authorization: header }),
      ...headers,
    },
  });
  expect(answer.headers.get("content-type")).toBe(MANAGEMENT_TYPE);
  return { status: answer.status, body: JSON.parse(answer.text) as Managed["body"] };
}

let made = 0;

/** Asks as an admin does, and answers whatever is answered. */
export function manage(
  relay: RelayProcess,
  admin: Person,
  method: string,
  ...params: readonly unknown[]
): Promise<Managed> {
  const body = request(method, ...params);
  // Two requests of one second with the same words must not be one authorization.
  const content = String(made++);
  return send(relay, body, authorizes(admin, relay, body, { content }));
}

/** The same, and fails unless it is done; answers the result. */
export async function done(
  relay: RelayProcess,
  admin: Person,
  method: string,
  ...params: readonly unknown[]
): Promise<unknown> {
  const { status, body } = await manage(relay, admin, method, ...params);
  expect({ method, status, body }).toEqual({
    method,
    status: 200,
    body: { result: body["result"] },
  });
  return body["result"];
}

/** What the lists say, and what the relay says of itself: all that a request can change but for boxes. */
export async function state(relay: RelayProcess, admin: Person): Promise<unknown[]> {
  const lists = ["listbannedpubkeys", "listallowedpubkeys", "listblockedips"];
  const listed: unknown[] = [];
  for (const list of lists) listed.push(await done(relay, admin, list));
  const { name, description, icon } = await information(relay);
  return [...listed, { name, description, icon }];
}

/** The NIP-11 document. */
export async function information(relay: RelayProcess): Promise<Record<string, unknown>> {
  const { text } = await ask(relay.http, { headers: { accept: "application/nostr+json" } });
  return JSON.parse(text) as Record<string, unknown>;
}

/** Waits for a line of the log, after so many others of them, and answers it. */
export async function logged(
  relay: RelayProcess,
  msg: string | RegExp,
  before = 0,
): Promise<LogLine> {
  const found = (log: readonly LogLine[]): LogLine | undefined =>
    log.filter((one) => one.msg.match(msg) !== null)[before];
  await relay.wrote((log) => found(log) !== undefined);
  return found(relay.log) as LogLine;
}
