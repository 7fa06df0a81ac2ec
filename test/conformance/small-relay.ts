import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { verifyEvent } from "nostr-tools/pure";
import { onTestFinished } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";

import { misauthenticated } from "../../src/nostr/auth.ts";
import { expiryOf, recipientOf, untimely } from "../../src/nostr/drop.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import { type Filter, matchFilter, parseFilter } from "../../src/nostr/filter.ts";
import { isReason } from "../../src/nostr/reason.ts";
import { type DoorSin, smallDoor } from "./small-door.ts";

/** A promise to break. Without any the relay keeps all of NIP-DD, as far as memory alone can. */
export type Sin =
  | DoorSin
  | "shows drops to everybody"
  | "delivers live to everybody"
  | "shows drops to their author"
  | "believes any AUTH"
  | "believes any host"
  | "believes any challenge"
  | "believes an old AUTH"
  | "knows one key a connection"
  | "reads without AUTH"
  | "counts for everybody"
  | "ignores foreign keys in silence"
  | "tells full boxes from empty ones"
  | "takes drops for two"
  | "takes every kind"
  | "wants AUTH from senders"
  | "evicts the oldest"
  | "stores kind 21059"
  | "answers kind 21059 by presence"
  | "keeps what has expired"
  | "uses the last expiration tag"
  | "reads a malformed expiration as none"
  | "takes what has expired"
  | "takes the distant future"
  | "delivers live by created_at"
  | "forgets what was acknowledged"
  | "obeys anybody's acknowledgement"
  | "ignores an early acknowledgement"
  | "ignores the grace"
  | "extends the expiry by the grace"
  | "acknowledges at EOSE"
  | "broadcasts acknowledgements"
  | "stores acknowledgements"
  | "tells acknowledged from held"
  | "refuses an acknowledgement of nothing"
  | "accepts a malformed acknowledgement"
  | "ignores kind 5 by the recipient"
  | "obeys kind 5 by the author of a wrap"
  | "ignores kind 5 by the author of a message"
  | "obeys kind 5 by a stranger"
  | "stores kind 5"
  | "vanishes again at a replay"
  | "vanishes for other relays"
  | "vanishes without tombstones"
  | "says finish always"
  | "gives no hints"
  | "serves no document"
  | "takes forged events"
  | "ignores CLOSE"
  | "ignores limit"
  | "checks no work";

type Held = { event: NostrEvent; recipient: string; expiry: number; until: number };
type Peer = {
  socket: WebSocket;
  challenge: string;
  keys: Set<string>;
  subscriptions: Map<string, Filter[]>;
};

const RETENTION = 2_592_000;
const RULE = [{ upTo: Infinity, seconds: RETENTION }];
const EVICTION_BOX = 2;
const BOX = 100;

/** Serves a small relay on the loopback until the test is over; answers its URL. */
export async function smallRelay(sins: readonly Sin[] = [], minPow = 0): Promise<string> {
  const relay = new SmallRelay(new Set(sins), minPow);
  const server = createServer((request, response) => void relay.http(request, response));
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => relay.connected(socket));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  onTestFinished(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  relay.hosts.add(host);
  return `ws://${host}`;
}

class SmallRelay {
  readonly hosts = new Set<string>();
  readonly #sins: ReadonlySet<Sin>;
  readonly #minPow: number;
  readonly #peers = new Set<Peer>();
  readonly #drops = new Map<string, Held>();
  readonly #tombstones = new Set<string>();
  readonly #graces = new Map<string, number>();
  readonly #consumed = new Set<string>();
  readonly #kept: NostrEvent[] = [];
  readonly #door: ReturnType<typeof smallDoor>;

  constructor(sins: ReadonlySet<Sin>, minPow: number) {
    this.#sins = sins;
    this.#minPow = minPow;
    const behind = {
      hosts: this.hosts,
      publish: (event: NostrEvent) => this.#outcome(new Set(), event),
      box: (recipient: string) => this.#box(recipient),
      remove: (id: string) => this.#drops.delete(id),
    };
    this.#door = smallDoor(behind, sins);
  }

  async http(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (await this.#door(request, response)) return;
    if (this.#sins.has("serves no document")) {
      response.writeHead(404).end("nothing here");
      return;
    }
    response.writeHead(200, {
      "content-type": "application/nostr+json",
      "access-control-allow-origin": "*",
      "access-control-allow-headers": "*",
      "access-control-allow-methods": "GET",
    });
    response.end(
      JSON.stringify({
        supported_nips: [1, 9, 11, 13, 17, 40, 42, 45, 59, 62, 67],
        limitation: { restricted_writes: true, min_pow_difficulty: this.#minPow },
        dead_drop: {
          kinds: [4, 1059],
          acknowledgement_kind: 20_221,
          retention: RETENTION,
          timestamp_fuzz: 172_800,
          clock_skew: 900,
          max_drops: BOX,
          max_bytes: 1_000_000,
          max_acknowledgement_ids: 100,
          max_early_acknowledgements: 100,
          max_auth_keys: 10,
          author_deletes_wraps: false,
          http: !this.#sins.has("has no HTTP door"),
        },
      }),
    );
  }

  connected(socket: WebSocket): void {
    const peer = {
      socket,
      challenge: Math.random().toString(36),
      keys: new Set<string>(),
      subscriptions: new Map<string, Filter[]>(),
    };
    this.#peers.add(peer);
    socket.on("close", () => this.#peers.delete(peer));
    socket.on("error", () => {});
    socket.on("message", (frame: Buffer) => {
      try {
        this.#hear(peer, JSON.parse(frame.toString()) as unknown[]);
      } catch {
        say(peer, "NOTICE", "invalid: what?");
      }
    });
    say(peer, "AUTH", peer.challenge);
  }

  #hear(peer: Peer, message: readonly unknown[]): void {
    const [verb, second, ...rest] = message;
    if (verb === "EVENT") return this.#publish(peer, second as NostrEvent);
    if (verb === "AUTH") return this.#authenticate(peer, second as NostrEvent);
    if (verb === "CLOSE") {
      if (!this.#sins.has("ignores CLOSE")) peer.subscriptions.delete(second as string);
      return;
    }
    if (verb === "REQ" || verb === "COUNT") return this.#read(peer, verb, second as string, rest);
    throw new Error("unknown verb");
  }

  #authenticate(peer: Peer, event: NostrEvent): void {
    const expected = { challenge: peer.challenge, hosts: this.hosts, now: now() };
    const forgiven: Partial<Record<Sin, RegExp>> = {
      "believes any AUTH": /./,
      "believes any host": /another relay/,
      "believes any challenge": /challenge/,
      "believes an old AUTH": /10 minutes/,
    };
    const isSigned = verifyEvent({ ...event, tags: event.tags.map((tag) => [...tag]) });
    const why = isSigned ? misauthenticated(event, expected) : "invalid: bad signature";
    for (const [sin, pattern] of Object.entries(forgiven)) {
      if (why !== undefined && this.#sins.has(sin as Sin) && pattern.test(why)) {
        peer.keys.add(event.pubkey);
        return say(peer, "OK", event.id, true, "");
      }
    }
    if (why !== undefined) return say(peer, "OK", event.id, false, why);
    if (this.#sins.has("knows one key a connection")) peer.keys.clear();
    peer.keys.add(event.pubkey);
    say(peer, "OK", event.id, true, "");
  }

  #publish(peer: Peer, event: NostrEvent): void {
    const answer = this.#outcome(peer.keys, event);
    say(peer, "OK", event.id, ...answer);
  }

  #outcome(keys: ReadonlySet<string>, event: NostrEvent): [boolean, string] {
    const sins = this.#sins;
    const isSigned = verifyEvent({ ...event, tags: event.tags.map((tag) => [...tag]) });
    if (!isSigned && !sins.has("takes forged events")) return [false, "invalid: bad signature"];
    const zeros = 256 - BigInt(`0x${event.id}`).toString(2).length;
    if (zeros < this.#minPow && !sins.has("checks no work")) return [false, "pow: too little"];
    if (sins.has("wants AUTH from senders") && keys.size === 0) {
      return [false, "auth-required: who are you?"];
    }
    if (event.kind === 20_221 || event.kind === 5) return this.#acknowledge(event);
    if (event.kind === 62) return this.#vanish(event);
    if (![4, 1059, 21_059].includes(event.kind)) {
      return sins.has("takes every kind") ? [true, ""] : [false, "blocked: not here"];
    }
    return this.#drop(event);
  }

  #drop(event: NostrEvent): [boolean, string] {
    const sins = this.#sins;
    let recipient = recipientOf(event);
    if (typeof recipient !== "string") {
      const [, first] = event.tags.find(([name]) => name === "p") ?? [];
      if (!sins.has("takes drops for two") || first === undefined) return [false, recipient.reason];
      recipient = first;
    }
    const tags = event.tags.filter(([name]) => name === "expiration");
    const read = sins.has("uses the last expiration tag")
      ? { ...event, tags: tags.slice(-1) }
      : event;
    let expiry = expiryOf(read, RULE);
    if (typeof expiry !== "number") {
      if (!sins.has("reads a malformed expiration as none")) return [false, expiry.reason];
      expiry = event.created_at + 172_800 + RETENTION;
    }
    const why = untimely(event.created_at, expiry, now());
    const isForgiven = sins.has(
      why === "invalid: expired" ? "takes what has expired" : "takes the distant future",
    );
    if (why !== undefined && !isForgiven) return [false, why];
    const held = { event, recipient, expiry, until: expiry };
    if (event.kind === 21_059) {
      const listeners = this.#deliver(held);
      if (sins.has("stores kind 21059")) this.#drops.set(event.id, held);
      return sins.has("answers kind 21059 by presence")
        ? [true, listeners > 0 ? "" : "nobody listens"]
        : [true, ""];
    }
    if (this.#isAcknowledged(event.id, recipient)) {
      return [true, `duplicate: ${sins.has("tells acknowledged from held") ? "gone" : HAVE}`];
    }
    if (this.#drops.has(event.id)) return [true, `duplicate: ${HAVE}`];
    const box = [...this.#drops.values()].filter((other) => other.recipient === recipient);
    if (sins.has("evicts the oldest") && box.length >= EVICTION_BOX) {
      const oldest = box.toSorted((a, b) => a.event.created_at - b.event.created_at)[0];
      if (oldest !== undefined) this.#drops.delete(oldest.event.id);
    } else if (box.length >= BOX) return [false, "rate-limited: mailbox full"];
    const grace = this.#graces.get(`${event.id} ${recipient}`);
    if (grace !== undefined) held.until = Math.min(expiry, grace);
    this.#drops.set(event.id, held);
    const isOld = event.created_at < now() - 600;
    if (!isOld || !sins.has("delivers live by created_at")) this.#deliver(held);
    return [true, ""];
  }

  #isAcknowledged(id: string, recipient: string): boolean {
    return (
      !this.#sins.has("forgets what was acknowledged") && this.#tombstones.has(`${id} ${recipient}`)
    );
  }

  #acknowledge(event: NostrEvent): [boolean, string] {
    const sins = this.#sins;
    const isMalformed = event.kind === 20_221 && !isAcknowledgement(event);
    if (isMalformed && !sins.has("accepts a malformed acknowledgement")) {
      return [false, "invalid: malformed acknowledgement"];
    }
    if (event.kind === 5 && sins.has("stores kind 5")) this.#kept.push(event);
    if (event.kind === 20_221 && sins.has("stores acknowledgements")) this.#kept.push(event);
    if (sins.has("broadcasts acknowledgements")) this.#broadcast(event);
    const expiration = event.tags.find(([name]) => name === "expiration")?.[1];
    const grace = event.kind === 20_221 && !sins.has("ignores the grace") ? expiration : undefined;
    let found = 0;
    for (const [name, id = ""] of event.tags) {
      if (name !== "e") continue;
      const held = this.#drops.get(id);
      if (held !== undefined) found++;
      if (!this.#mayDelete(event, held)) continue;
      const owner = held?.recipient ?? event.pubkey;
      if (held === undefined && sins.has("ignores an early acknowledgement")) continue;
      if (grace !== undefined && held !== undefined && Number(grace) > now()) {
        held.until = Math.min(held.until, Number(grace));
        if (sins.has("extends the expiry by the grace")) held.until = held.expiry = Number(grace);
        if (!sins.has("extends the expiry by the grace")) {
          // The tombstone begins where the grace ends; until then the drop itself answers.
          setTimeout(
            () => this.#tombstones.add(`${id} ${owner}`),
            Number(grace) * 1_000 - Date.now(),
          ).unref();
        }
        continue;
      }
      this.#tombstones.add(`${id} ${owner}`);
      this.#drops.delete(id);
    }
    if (sins.has("refuses an acknowledgement of nothing") && found === 0) {
      return [false, "invalid: no such drop"];
    }
    return [true, ""];
  }

  #mayDelete(event: NostrEvent, held: Held | undefined): boolean {
    const sins = this.#sins;
    if (sins.has("obeys anybody's acknowledgement") && event.kind === 20_221) return true;
    if (sins.has("obeys kind 5 by a stranger") && event.kind === 5) return true;
    if (held === undefined || held.recipient === event.pubkey) {
      return event.kind !== 5 || !sins.has("ignores kind 5 by the recipient");
    }
    if (event.kind !== 5 || held.event.pubkey !== event.pubkey) return false;
    return held.event.kind === 4
      ? !sins.has("ignores kind 5 by the author of a message")
      : sins.has("obeys kind 5 by the author of a wrap");
  }

  #vanish(event: NostrEvent): [boolean, string] {
    const names = event.tags.filter(([name]) => name === "relay").map(([, value = ""]) => value);
    const isHere = names.some(
      (name) => name === "ALL_RELAYS" || this.hosts.has(name.replace(/^wss?:\/\/|\/$/g, "")),
    );
    if (!isHere && !this.#sins.has("vanishes for other relays")) return [true, ""];
    if (this.#consumed.has(event.id) && !this.#sins.has("vanishes again at a replay")) {
      return [true, ""];
    }
    this.#consumed.add(event.id);
    for (const [id, { event: drop, recipient }] of this.#drops) {
      if (recipient !== event.pubkey || drop.created_at > event.created_at) continue;
      this.#drops.delete(id);
      if (!this.#sins.has("vanishes without tombstones")) {
        this.#tombstones.add(`${id} ${recipient}`);
      }
    }
    return [true, ""];
  }

  #read(peer: Peer, verb: "REQ" | "COUNT", id: string, given: readonly unknown[]): void {
    const sins = this.#sins;
    if (peer.keys.size === 0 && !sins.has("reads without AUTH")) {
      return say(peer, "CLOSED", id, "auth-required: who are you?");
    }
    const filters: Filter[] = [];
    for (const value of given) {
      const filter = parseFilter(value, 1_000);
      if (isReason(filter)) return say(peer, "CLOSED", id, filter);
      filters.push(filter);
    }
    const isOpen =
      sins.has("shows drops to everybody") ||
      sins.has("ignores foreign keys in silence") ||
      sins.has("reads without AUTH") ||
      (verb === "COUNT" && sins.has("counts for everybody"));
    for (const filter of filters) {
      const named = [...(filter.tags.get("p") ?? [])];
      if (isOpen || named.length === 0 || named.some((key) => peer.keys.has(key))) continue;
      const box = [...this.#drops.values()].filter(({ recipient }) => named.includes(recipient));
      const isTold = sins.has("tells full boxes from empty ones") && box.length > 0;
      return say(peer, "CLOSED", id, `restricted: not yours${isTold ? ", but not empty" : ""}`);
    }
    const matching = this.#matching(peer, verb, filters);
    const limit = sins.has("ignores limit")
      ? Infinity
      : Math.min(...filters.map(({ limit = Infinity }) => limit));
    if (verb === "COUNT") return say(peer, "COUNT", id, { count: matching.length });
    const sent = matching.slice(0, limit);
    for (const event of sent) say(peer, "EVENT", id, event);
    const isWhole = sent.length === matching.length || sins.has("says finish always");
    const hints = sins.has("gives no hints") ? [] : [[isWhole ? "finish" : "more"]];
    say(peer, "EOSE", id, ...hints);
    if (sins.has("acknowledges at EOSE")) {
      for (const event of sent) this.#drops.delete(event.id);
    }
    peer.subscriptions.set(id, filters);
  }

  #box(recipient: string): NostrEvent[] {
    return [...this.#drops.values()]
      .filter((held) => held.recipient === recipient && now() < held.until)
      .map(({ event }) => event);
  }

  #matching(peer: Peer, verb: "REQ" | "COUNT", filters: readonly Filter[]): NostrEvent[] {
    const sins = this.#sins;
    const isEverybodys =
      sins.has("shows drops to everybody") ||
      (verb === "COUNT" && sins.has("counts for everybody")) ||
      (sins.has("reads without AUTH") && peer.keys.size === 0);
    const visible = [...this.#drops.values()].filter(
      (held) =>
        (isEverybodys ||
          peer.keys.has(held.recipient) ||
          (sins.has("shows drops to their author") && peer.keys.has(held.event.pubkey))) &&
        (now() < held.until || sins.has("keeps what has expired")),
    );
    return [...visible.map(({ event }) => event), ...this.#kept]
      .filter((event) => filters.some((filter) => matchFilter(filter, event)))
      .toSorted((a, b) => b.created_at - a.created_at);
  }

  #deliver({ event, recipient }: Held): number {
    let listeners = 0;
    for (const peer of this.#peers) {
      const isAllowed =
        peer.keys.has(recipient) ||
        this.#sins.has("delivers live to everybody") ||
        (this.#sins.has("shows drops to their author") && peer.keys.has(event.pubkey));
      if (isAllowed && this.#send(peer, event)) listeners++;
    }
    return listeners;
  }

  #broadcast(event: NostrEvent): void {
    for (const peer of this.#peers) this.#send(peer, event);
  }

  #send(peer: Peer, event: NostrEvent): boolean {
    let isSent = false;
    for (const [id, filters] of peer.subscriptions) {
      if (!filters.some((filter) => matchFilter(filter, event))) continue;
      say(peer, "EVENT", id, event);
      isSent = true;
    }
    return isSent;
  }
}

const HAVE = "already have this event";

function now(): number {
  return Math.floor(Date.now() / 1_000);
}

function say(peer: Peer, ...message: readonly unknown[]): void {
  peer.socket.send(JSON.stringify(message));
}

function isAcknowledgement({ tags }: NostrEvent): boolean {
  const values = (wanted: string): string[] =>
    tags.filter(([name]) => name === wanted).map(([, value = ""]) => value);
  const ids = values("e");
  return (
    ids.length > 0 &&
    ids.length <= 100 &&
    ids.every((id) => /^[0-9a-f]{64}$/.test(id)) &&
    values("expiration").every((time) => /^\d+$/.test(time))
  );
}
