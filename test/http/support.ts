// A small client of the relay's HTTP door. It asks what the test says and reads the answers of all three kinds: JSON, an event a line, server-sent events.

import type { EventTemplate, NostrEvent } from "nostr-tools";
import { expect, onTestFinished } from "vitest";

import { now } from "../support/client.ts";
import { inOrder, signed } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import type { RelayProcess } from "../support/relay.ts";
import { finalizeEvent } from "../support/sign.ts";

export type Answer = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
};

export type Asked = {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly signal?: AbortSignal;
};

/** What the relay answers to one request, read to its end. */
export async function ask(url: string, asked: Asked = {}): Promise<Answer> {
  const response = await fetch(url, asked);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Everything that an answer consists of, but for its date: to compare answers byte for byte. */
export function bytesOf({ status, headers, text }: Answer): string {
  const lines = [...headers].filter(([name]) => name !== "date").map((line) => line.join(": "));
  return [`HTTP ${status}`, ...lines, "", text].join("\n");
}

/** What a refusal says when it is put as it should be: as JSON that names no drop. */
export function refusal(reason: unknown): object {
  return { accepted: false, reason };
}

// --- dropping and acknowledging

/** The parts of an OK, in JSON. */
export type Said = {
  readonly id?: string;
  readonly accepted: boolean;
  readonly reason: string;
};

export type Answered = { readonly status: number; readonly said: Said };

/** Sends an event, or a body that only looks like one, and answers what was said. */
export async function post(
  relay: RelayProcess,
  path: "/drop" | "/ack",
  event: NostrEvent | string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answered> {
  const body = typeof event === "string" ? event : JSON.stringify(event);
  const { status, text } = await ask(relay.http + path, { method: "POST", body, headers });
  return { status, said: JSON.parse(text) as Said };
}

export const HELD = 201;
export const KNOWN = 200;

/** That an event was taken, with this status. */
export function taken(status: number, { id }: { id: string }): Answered {
  const reason = status === KNOWN ? "duplicate: already have this event" : "";
  return { status, said: { id, accepted: true, reason } };
}

/** That an acknowledgement was taken. */
export function done({ id }: { id: string }): Answered {
  return { status: 200, said: { id, accepted: true, reason: "" } };
}

// As many as a browser would have on their way.
const AT_ONCE = 20;

/** Has drops held that were never seen before. */
export async function hold(relay: RelayProcess, drops: readonly NostrEvent[]): Promise<void> {
  for (let at = 0; at < drops.length; at += AT_ONCE) {
    const some = drops.slice(at, at + AT_ONCE);
    const answers = await Promise.all(some.map((drop) => post(relay, "/drop", drop)));
    expect(answers).toEqual(some.map((drop) => taken(HELD, drop)));
  }
}

/** So many drops for somebody: of the last few seconds, so that many share theirs, and in no order. */
export function dropsFor(to: Person, count: number, { bytes = 0, kind = 1059 } = {}): NostrEvent[] {
  const { secret } = person();
  const time = now();
  return Array.from({ length: count }, (_, index) => {
    const created_at = time - ((index * 7) % 5);
    const content = String(index).padEnd(bytes, "x");
    return finalizeEvent({ kind, created_at, tags: [["p", to.key]], content }, secret);
  });
}

export function idsOf(events: readonly { id: string }[]): string[] {
  return events.map(({ id }) => id);
}

// --- picking up

type AuthorizationChange = Partial<EventTemplate> & { method?: string };

/** The event that lets somebody ask for a URL (NIP-98). */
export function authorizationEvent(
  by: Person,
  url: string,
  { method = "GET", ...change }: AuthorizationChange = {},
): NostrEvent {
  const tags = [
    ["u", url],
    ["method", method],
  ];
  return signed(by, { kind: 27235, tags, ...change });
}

/** An event, or whatever else, as it stands in an Authorization header. */
export function inHeader(event: unknown): string {
  return `Nostr ${Buffer.from(JSON.stringify(event)).toString("base64")}`;
}

/** Where somebody's box is: the path, with `rest` behind the key. */
export function boxOf(relay: RelayProcess, owner: { key: string }, rest = ""): string {
  return new URL(`${relay.http}/pickup/${owner.key}${rest}`).href;
}

/** What the relay answers to a request that somebody signs. */
export function askAs(by: Person, url: string, asked: Asked = {}): Promise<Answer> {
  const event = authorizationEvent(by, url, { method: asked.method ?? "GET" });
  const headers = { ...asked.headers, authorization: inHeader(event) };
  return ask(url, { ...asked, headers });
}

export type Pickup = Answer & { readonly events: readonly NostrEvent[] };

/** Picks up one's own box, and fails unless that is allowed. */
export async function pickup(
  relay: RelayProcess,
  owner: Person,
  query = "",
  asked: Asked = {},
): Promise<Pickup> {
  const answer = await askAs(owner, boxOf(relay, owner, query), asked);
  if (answer.status !== 200) throw new Error(bytesOf(answer));
  return { ...answer, events: eventsIn(answer.text) };
}

/** How many drops are in one's own box. */
export async function count(relay: RelayProcess, owner: Person): Promise<unknown> {
  return JSON.parse((await askAs(owner, boxOf(relay, owner, "/count"))).text);
}

// Newline-delimited JSON, the last line ended as well.
function eventsIn(text: string): NostrEvent[] {
  const lines = text.split("\n");
  if (lines.pop() !== "") throw new Error("the last line is cut off");
  return lines.map((line) => JSON.parse(line) as NostrEvent);
}

// --- listening

export type Heard = { readonly event: string; readonly data: unknown };

/** The end of what is held, as a stream says it. */
export const ALL: Heard = { event: "stored", data: { finished: true } };

/** A drop, as a stream brings it. */
export function brought(drop: NostrEvent): Heard {
  return { event: "drop", data: drop };
}

/** Server-sent events (HTML Living Standard, 9.2), heard one by one. */
export class EventStream {
  readonly headers: Headers;
  /** How many comments came so far. */
  comments = 0;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #leaving: AbortController;
  readonly #decoder = new TextDecoder();
  #text = "";

  private constructor(response: Response, leaving: AbortController) {
    if (response.body === null) throw new Error("an answer without a body");
    this.headers = response.headers;
    this.#reader = response.body.getReader();
    this.#leaving = leaving;
  }

  /** Opens one's own box as a stream. It is left after the test. */
  static async open(
    relay: RelayProcess,
    owner: Person,
    query = "",
    headers: Readonly<Record<string, string>> = {},
  ): Promise<EventStream> {
    const leaving = new AbortController();
    onTestFinished(() => leaving.abort());
    const url = boxOf(relay, owner, query);
    const authorization = inHeader(authorizationEvent(owner, url));
    const response = await fetch(url, {
      headers: { ...headers, accept: "text/event-stream", authorization },
      signal: leaving.signal,
    });
    if (response.status !== 200) throw new Error(`HTTP ${response.status}`);
    return new EventStream(response, leaving);
  }

  /** The next event, comments left out; undefined when the relay has ended the stream. Rejects when it was broken off. */
  async hear(): Promise<Heard | undefined> {
    for (;;) {
      const block = await this.#block();
      if (block === undefined) return undefined;
      const lines = block.split("\n");
      if (lines.every((line) => line.startsWith(":"))) {
        this.comments += 1;
        continue;
      }
      const [, event, data] = /^event: (\w+)\ndata: (.+)$/.exec(block) ?? [];
      if (event === undefined || data === undefined) throw new Error(`no event: ${block}`);
      return { event, data: JSON.parse(data) };
    }
  }

  /** The next so many events. */
  async hearMany(length: number): Promise<(Heard | undefined)[]> {
    const heard: (Heard | undefined)[] = [];
    while (heard.length < length) heard.push(await this.hear());
    return heard;
  }

  /** Hears until the comment that comes before everything else. */
  async hearComment(): Promise<string | undefined> {
    return this.#block();
  }

  /** Hangs up. */
  leave(): void {
    this.#leaving.abort();
  }

  // What comes before the next empty line.
  async #block(): Promise<string | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end >= 0) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        return block;
      }
      const { done, value } = await this.#reader.read();
      if (done && this.#text !== "") throw new Error(`half an event: ${this.#text}`);
      if (done) return undefined;
      this.#text += this.#decoder.decode(value, { stream: true });
    }
  }
}

// --- what the relay says of itself

/** The lines of the metrics, as name and value. */
export async function metricsOf({ metrics = "" }: RelayProcess): Promise<Map<string, number>> {
  const lines = (await ask(metrics)).text.split("\n").filter((line) => !/^#|^$/.test(line));
  return new Map(
    lines.map((line) => {
      const end = line.lastIndexOf(" ");
      return [line.slice(0, end), Number(line.slice(end + 1))];
    }),
  );
}

/** Waits until so many connections are open, requests that are being answered among them. */
export function untilOpen(relay: RelayProcess, connections: number): Promise<void> {
  return until(relay, (metrics) => metrics.get("deaddrop_connections") === connections);
}

/**
 * Waits until so many connections are open, and so many keys were proven since the relay began: until then a pickup that waits may not have been let in,
 * and one that does not wait is gone by then.
 */
export function untilWaiting(
  relay: RelayProcess,
  { connections, proven }: { connections: number; proven: number },
): Promise<void> {
  return until(
    relay,
    (metrics) =>
      metrics.get("deaddrop_connections") === connections &&
      metrics.get("deaddrop_keys_authenticated_total") === proven,
  );
}

async function until(
  relay: RelayProcess,
  isSo: (metrics: ReadonlyMap<string, number>) => boolean,
): Promise<void> {
  for (;;) {
    const metrics = await metricsOf(relay);
    if (!metrics.has("deaddrop_connections")) throw new Error("a relay without metrics");
    if (isSo(metrics)) return;
  }
}

/** Somebody with so many drops in the box, and these drops in the order in which they are shown. */
export async function recipientOf(
  relay: RelayProcess,
  length: number,
): Promise<{ bob: Person; drops: NostrEvent[] }> {
  const bob = person();
  const drops = dropsFor(bob, length);
  await hold(relay, drops);
  return { bob, drops: inOrder(drops) };
}

/** The ids of what a box holds, as they are shown. */
export async function heldFor(relay: RelayProcess, owner: Person): Promise<string[]> {
  return idsOf((await pickup(relay, owner)).events);
}
