import type { IncomingMessage, ServerResponse } from "node:http";
import { text as textOf } from "node:stream/consumers";

import { decode } from "nostr-tools/nip19";

import { isGenuine } from "../../src/client/genuine.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import { unauthorized } from "../../src/nostr/http-auth.ts";
import type { OwnUrl } from "../../src/nostr/own-url.ts";
import { inOrder } from "../support/events.ts";
import type { DoorFault } from "./fault.ts";

/** What the door leads to. */
export type Behind = {
  readonly urls: readonly OwnUrl[];
  /** Whether an event is accepted, and the reason, as in OK. */
  publish(event: NostrEvent): [accepted: boolean, reason: string];
  /** What is held for a recipient. */
  box(recipient: string): NostrEvent[];
  remove(id: string): void;
  readonly pageDrops: number;
  readonly isOpen: boolean;
};

type Answer = { status: number; body: string; headers?: Record<string, string> };

const OF_PREFIX: Record<string, number> = { invalid: 400, blocked: 403, pow: 422 };

/** Answers the requests that NIP-DD names; false for all others. */
export function smallDoor(behind: Behind, faults: ReadonlySet<string>) {
  const has = (fault: DoorFault): boolean => faults.has(fault);

  return async (request: IncomingMessage, response: ServerResponse): Promise<boolean> => {
    const target = request.url ?? "";
    const answer = target.startsWith("/pickup/")
      ? read(target, request.headers.authorization)
      : target === "/drop" || target === "/ack"
        ? publish(target, JSON.parse(await textOf(request)) as NostrEvent)
        : undefined;
    if (answer === undefined) return false;
    const { status, headers = {}, body } = behind.isOpen ? answer : NOTHING_HERE;
    response.writeHead(status, headers).end(body);
    return true;
  };

  function publish(target: string, event: NostrEvent): Answer {
    const isForeign = target === "/ack" && event.kind !== 20_221 && event.kind !== 5;
    const [accepted, said] =
      isForeign && !has("takes drops at /ack")
        ? [false, "invalid: an acknowledgement is of kind 20221 or 5"]
        : behind.publish(event);
    const reason = has("answers over HTTP otherwise than on the socket")
      ? `invalid: ${accepted ? "but never mind" : "no"}`
      : said;
    const [, recipient = ""] = event.tags.find(([name]) => name === "p") ?? [];
    const isGone =
      has("tells over HTTP that a drop was acknowledged before it came") &&
      !behind.box(recipient).some(({ id }) => id === event.id);
    const isAlways = has("answers every event over HTTP with 200") || (accepted && isGone);
    const status = isAlways ? 200 : statusOf(event, accepted, reason);
    return { status, body: JSON.stringify({ id: event.id, accepted, reason }) };
  }

  function read(target: string, header: string | undefined): Answer {
    const { pathname, searchParams } = new URL(target, "http://relay");
    const [, , named = "", count] = pathname.split("/");
    const recipient = named.startsWith("npub1") ? (decode(named).data as string) : named;
    const box = inOrder(behind.box(recipient));
    const isOpen =
      has("shows boxes over HTTP to everybody") ||
      (count !== undefined && has("counts over HTTP for everybody"));
    const key = keyIn(header, target);
    if (key === undefined && !isOpen) return { status: 401, body: "auth-required: who are you?" };
    if (key !== recipient && !isOpen && !has("shows boxes over HTTP to any key")) {
      const isTold = has("tells full boxes from empty ones over HTTP") && box.length > 0;
      return { status: 403, body: `restricted: not yours${isTold ? ", but not empty" : ""}` };
    }
    if (count !== undefined) return { status: 200, body: JSON.stringify({ count: box.length }) };
    const cursor = searchParams.get("cursor");
    const rest = cursor === null ? box : box.filter((event) => isBehind(event, cursor));
    const asked = Number(searchParams.get("limit") ?? Infinity);
    const page = rest.slice(0, Math.min(asked, behind.pageDrops));
    if (has("deletes what is read over HTTP")) for (const { id } of page) behind.remove(id);
    const last = page.at(-1);
    return {
      status: 200,
      headers: {
        "dead-drop-finished": String(page.length === rest.length),
        ...(last !== undefined && { "dead-drop-cursor": `${last.created_at}-${last.id}` }),
      },
      body: page.map((event) => `${JSON.stringify(event)}\n`).join(""),
    };
  }

  function isBehind({ created_at, id }: NostrEvent, cursor: string): boolean {
    const [time, lastId = ""] = cursor.split("-");
    if (created_at !== Number(time)) return created_at < Number(time);
    return id > lastId && !has("loses drops of one second between pages");
  }

  function keyIn(header: string | undefined, target: string): string | undefined {
    if (header === undefined) return undefined;
    const event = JSON.parse(
      Buffer.from(header.slice("Nostr ".length), "base64").toString(),
    ) as NostrEvent;
    if (!isGenuine(event)) return undefined;
    const now = Math.floor(Date.now() / 1_000);
    const why = unauthorized(event, { method: "GET", target, urls: behind.urls, now });
    const isBelieved = why === undefined || has("believes an authorization for another request");
    return isBelieved ? event.pubkey : undefined;
  }
}

const NOTHING_HERE: Answer = { status: 404, body: "nothing here" };

function statusOf({ kind }: NostrEvent, accepted: boolean, reason: string): number {
  if (!accepted) return OF_PREFIX[reason.slice(0, reason.indexOf(":"))] ?? 507;
  if (kind === 21_059) return 202;
  return !reason.startsWith("duplicate:") && (kind === 4 || kind === 1059) ? 201 : 200;
}
