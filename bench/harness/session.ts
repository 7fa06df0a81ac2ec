// A recipient's connection: authenticated, and reading the recipient's box.

import { acknowledgement, auth, type Person } from "./events.ts";
import type { Prepared } from "./load.ts";
import type { Subject } from "./scenario.ts";
import { frame, type OnMessage, Wire } from "./wire.ts";

export type Session = { readonly wire: Wire; readonly who: Person };

type Relay = Pick<Subject, "answersAuth" | "isOurs" | "pageLimit">;

/** How long a relay may take for one answer before it counts as stuck. */
const STUCK_MS = 60_000;
// More at once overflow the queue of connections that wait to be accepted, and wait a second for their next try.
const AT_ONCE = 100;
const GIFT_WRAP = 1_059;
const SUBSCRIPTION = "s";
// nostr-rs-relay ignores a REQ that repeats an open one.
const CLOSE = frame(JSON.stringify(["CLOSE", SUBSCRIPTION]));
// Two letters tell one verb from another; it stands behind `["`.
const VERB_AT = 2;
const EVENT = verb("EVENT");
const EOSE = verb("EOSE");
const CLOSED = verb("CLOSED");
const NOTICE = verb("NOTICE");

function verb(text: string): number {
  return Buffer.from(text).readUInt16BE();
}

/** Has this relay send its challenge, and nothing else: a question that is taken back. Others greet with theirs. */
export const ASK_FOR_CHALLENGE = Buffer.concat([
  frame(JSON.stringify(["REQ", SUBSCRIPTION, { limit: 0 }])),
  CLOSE,
]);

/** Connects, from `address` where one is given, and authenticates. */
export async function signIn(
  relay: Relay,
  url: string,
  who: Person,
  address?: string,
): Promise<Session> {
  const challenge = Promise.withResolvers<string>();
  const accepted = Promise.withResolvers<void>();
  const hear: OnMessage = (buffer, start, end) => {
    const text = buffer.toString("utf8", start, end);
    const [verb, first, isTrue] = JSON.parse(text) as [string, string, boolean?];
    if (verb === "AUTH") challenge.resolve(first);
    else if (verb === "OK" && isTrue === true) accepted.resolve();
    // Earlier versions greet with the challenge, and refuse the question.
    else if (verb !== "CLOSED") accepted.reject(new Error(`AUTH was answered ${text}`));
  };
  const wire = await Wire.connect(url, hear, address);
  // A refusal may come while nobody waits for it.
  accepted.promise.catch(() => {});
  if (relay.isOurs) wire.send(ASK_FOR_CHALLENGE);
  const event = auth(who, await inTime(challenge.promise, "the challenge"), url);
  wire.send(frame(JSON.stringify(["AUTH", event])));
  if (relay.answersAuth) await inTime(accepted.promise, "the OK of an AUTH");
  return { wire, who };
}

export async function signInAll(
  relay: Relay,
  url: string,
  people: readonly Person[],
  address?: string,
): Promise<Session[]> {
  const sessions: Session[] = [];
  for (let from = 0; from < people.length; from += AT_ONCE) {
    const some = people.slice(from, from + AT_ONCE);
    sessions.push(...(await Promise.all(some.map((who) => signIn(relay, url, who, address)))));
  }
  return sessions;
}

/** Asks for the box, leaves the subscription open, and resolves at EOSE. */
export function subscribe(session: Session, onEvent: OnMessage = () => {}): Promise<void> {
  return ask(session, request(session), onEvent);
}

/** The same for many, some at a time. */
export async function subscribeAll(sessions: readonly Session[]): Promise<void> {
  for (let from = 0; from < sessions.length; from += AT_ONCE) {
    await Promise.all(sessions.slice(from, from + AT_ONCE).map((session) => subscribe(session)));
  }
}

/** A pickup, REQ to EOSE and a CLOSE, that is ready to be sent as often as one likes. Answers how many events came. */
export function pickup(session: Session, { pageLimit }: Relay): () => Promise<number> {
  if (pageLimit < Number.MAX_SAFE_INTEGER) return () => pickUpPages(session, pageLimit);
  const req = request(session);
  return async () => {
    let events = 0;
    await ask(session, req, () => (events += 1));
    session.wire.send(CLOSE);
    return events;
  };
}

/** The ids in a box. */
export async function idsIn(session: Session): Promise<string[]> {
  const ids: string[] = [];
  await subscribe(session, (buffer, start, end) => ids.push(eventIn(buffer, start, end).id));
  return ids;
}

/** An acknowledgement ready to be published. */
export function prepareAcknowledgement(who: Person, ids: readonly string[]): Prepared {
  const event = acknowledgement(who, ids);
  return { id: event.id, frame: frame(JSON.stringify(["EVENT", event])) };
}

// NIP-01: `until` is inclusive, so the last second of a page is seen twice and counted once.
async function pickUpPages(session: Session, limit: number): Promise<number> {
  const seen = new Set<string>();
  let until: number | undefined;
  for (;;) {
    const before = seen.size;
    let events = 0;
    const page = until === undefined ? { limit } : { limit, until };
    await ask(session, request(session, page), (buffer, start, end) => {
      const { id, created_at } = eventIn(buffer, start, end);
      events += 1;
      seen.add(id);
      until = Math.min(until ?? created_at, created_at);
    });
    session.wire.send(CLOSE);
    if (events < limit || seen.size === before) return seen.size;
  }
}

function request({ who }: Session, page: { limit?: number; until?: number } = {}): Buffer {
  const filter = { kinds: [GIFT_WRAP], "#p": [who.pubkey], ...page };
  return frame(JSON.stringify(["REQ", SUBSCRIPTION, filter]));
}

function ask({ wire }: Session, req: Buffer, onEvent: OnMessage): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  wire.onMessage = (buffer, start, end) => {
    const said = buffer.readUInt16BE(start + VERB_AT);
    if (said === EVENT) onEvent(buffer, start, end);
    else if (said === EOSE) resolve();
    else if (said === CLOSED || said === NOTICE)
      reject(new Error(`a REQ was answered ${buffer.toString("utf8", start, end)}`));
  };
  wire.send(req);
  return inTime(promise, "EOSE");
}

function eventIn(buffer: Buffer, start: number, end: number): { id: string; created_at: number } {
  const text = buffer.toString("utf8", start, end);
  return (JSON.parse(text) as [string, string, { id: string; created_at: number }])[2];
}

async function inTime<Answer>(answer: Promise<Answer>, what: string): Promise<Answer> {
  let late: NodeJS.Timeout | undefined;
  const stuck = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(new Error(`${what} never came`)), STUCK_MS);
  });
  try {
    return await Promise.race([answer, stuck]);
  } finally {
    clearTimeout(late);
  }
}
