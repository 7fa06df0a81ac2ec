import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { verifyEvent } from "nostr-tools/pure";
import { WebSocketServer } from "ws";

import { isGenuine } from "../../src/client/genuine.ts";
import { misauthenticated } from "../../src/nostr/auth.ts";
import { type NostrEvent, tagValue } from "../../src/nostr/event.ts";
import { type Filter, matchFilter, parseFilter } from "../../src/nostr/filter.ts";
import type { OwnUrl } from "../../src/nostr/own-url.ts";
import { isReason } from "../../src/nostr/reason.ts";
import { inOrder } from "../support/events.ts";
import type { Fault } from "./fault.ts";
import type { AtEnd } from "./report.ts";
import { type Held, now as systemNow, SmallBoxes } from "./small-boxes.ts";
import { smallDoor } from "./small-door.ts";
import { completed, isTimeAlone, matchesNothing } from "./small-filters.ts";
import { SmallReconciliations } from "./small-reconciliations.ts";
import { documentOf, RULES, type SmallRules } from "./small-rules.ts";

const SILENCE_MS = 1_000;

const FOR_WEB_PAGES = {
  "access-control-allow-origin": "*",
  "access-control-allow-headers": "*",
  "access-control-allow-methods": "GET",
};
// Long enough for an acknowledgement that is sent at the same moment.
const LOOKED_BEFORE_MS = 100;

type Say = (text: string) => void;

/** `keys` are those that were authenticated when it came. */
type Subscription = { readonly filters: readonly Filter[]; readonly keys: ReadonlySet<string> };

type Peer = {
  say: Say;
  hangUp: () => void;
  challenge: string;
  isChallenged: boolean;
  keys: Set<string>;
  /** Requests that came before a key did. */
  held: (readonly [answer: () => void, timer: NodeJS.Timeout | undefined])[];
  subscriptions: Map<string, Subscription>;
  /** Until it has said something. */
  silence: NodeJS.Timeout | undefined;
  reconciliations: SmallReconciliations;
};

export type SmallRelayOptions = Partial<SmallRules> & {
  readonly faults?: readonly Fault[];
  /** Unix seconds. */
  readonly now?: () => number;
  /** Whether the id and the signature of an event are right. */
  readonly isGenuine?: (event: NostrEvent) => boolean;
};

/** A connection, as the relay sees it. */
export type SmallConnection = {
  readonly heard: (text: string) => void;
  readonly closed: () => void;
  /** The ids of what is open. */
  readonly subscriptions: () => string[];
};

/** Serves a small relay on the loopback until the test is over; answers its URL. `awayMs`: how long a message is under way to it, or from it. */
export async function smallRelay(
  { awayMs = 0, ...options }: SmallRelayOptions & { readonly awayMs?: number },
  atEnd: AtEnd,
): Promise<string> {
  const relay = new SmallRelay(options);
  const server = createServer((request, response) => void relay.http(request, response));
  const sockets = new WebSocketServer({ server });
  const later = (work: () => void): void => {
    if (awayMs === 0) work();
    else setTimeout(work, awayMs);
  };
  sockets.on("connection", (socket) => {
    const connection = relay.connected(
      (text) => later(() => socket.send(text)),
      () => socket.terminate(),
    );
    socket.on("close", connection.closed);
    socket.on("error", () => {});
    socket.on("message", (frame: Buffer) => later(() => connection.heard(frame.toString())));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  atEnd(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  relay.urls.push({ host, path: "" });
  return `ws://${host}`;
}

/** The relay itself, whatever carries its messages. `urls` are its names. */
export class SmallRelay {
  readonly urls: OwnUrl[] = [];
  readonly #faults: ReadonlySet<Fault>;
  readonly #rules: SmallRules;
  readonly #now: () => number;
  readonly #isGenuine: (event: NostrEvent) => boolean;
  readonly #peers = new Set<Peer>();
  readonly #boxes: SmallBoxes;
  readonly #door: ReturnType<typeof smallDoor>;
  readonly #freedChallenges: string[] = [];
  #isDown = false;

  constructor({
    faults: given = [],
    now = systemNow,
    isGenuine: isRight = isGenuine,
    ...rules
  }: SmallRelayOptions) {
    const faults = new Set(given);
    this.#faults = faults;
    this.#rules = { ...RULES, ...rules };
    this.#now = now;
    this.#isGenuine = isRight;
    const boxes = new SmallBoxes({
      faults,
      rules: this.#rules,
      now,
      urls: this.urls,
      deliver: (held) => this.#deliver(held),
      broadcast: (event) => this.#broadcast(event),
    });
    this.#boxes = boxes;
    const behind = {
      urls: this.urls,
      publish: (event: NostrEvent) => this.#outcome(new Set(), event),
      box: (recipient: string) => boxes.of(recipient),
      remove: (id: string) => boxes.remove(id),
      pageDrops: this.#rules.pageDrops,
      isOpen: this.#rules.hasDoor,
    };
    this.#door = smallDoor(behind, faults);
  }

  async http(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (await this.#door(request, response)) return;
    if (this.#faults.has("serves no document")) {
      response.writeHead(404).end("nothing here");
      return;
    }
    const isHidden = this.#faults.has("hides its document from web pages");
    response.writeHead(200, {
      "content-type": "application/nostr+json",
      ...(isHidden ? {} : FOR_WEB_PAGES),
    });
    response.end(JSON.stringify(this.document()));
  }

  /** Its NIP-11 document. */
  document(): ReturnType<typeof documentOf> {
    return documentOf(this.#rules);
  }

  /** What a recipient may still pick up. */
  box(recipient: string): NostrEvent[] {
    return this.#boxes.of(recipient);
  }

  /** A client is there. `say` sends it a message, `hangUp` ends the connection. */
  connected(say: Say, hangUp = (): void => {}): SmallConnection {
    const behind = {
      read: (filter: Filter) => this.#reconcilable(peer, filter),
      remove: (id: string) => this.#boxes.remove(id),
    };
    const peer: Peer = {
      say,
      hangUp,
      challenge: this.#newChallenge(),
      isChallenged: false,
      keys: new Set(),
      held: [],
      subscriptions: new Map(),
      reconciliations: new SmallReconciliations(behind, this.#faults),
      silence: undefined,
    };
    this.#peers.add(peer);
    if (this.#rules.challengesSilence) {
      peer.silence = setTimeout(() => this.#challenge(peer), SILENCE_MS);
    }
    if (this.#faults.has("challenges everybody")) this.#challenge(peer);
    return {
      heard: (text) => {
        clearTimeout(peer.silence);
        if (this.#isDown) return;
        try {
          this.#hear(peer, JSON.parse(text) as unknown[]);
        } catch {
          this.#misunderstand(peer);
        }
      },
      closed: () => {
        this.#peers.delete(peer);
        clearTimeout(peer.silence);
        this.#freedChallenges.push(peer.challenge);
        for (const [, timer] of peer.held.splice(0)) clearTimeout(timer);
      },
      subscriptions: () => [...peer.subscriptions.keys()],
    };
  }

  /** Whether it takes an event, and the reason, as in OK. */
  publish(event: NostrEvent): [accepted: boolean, reason: string] {
    return this.#outcome(new Set(), event);
  }

  #misunderstand(peer: Peer): void {
    if (this.#faults.has("starts anew at what is no message")) {
      for (const { hangUp } of this.#peers) hangUp();
    }
    this.#isDown = this.#faults.has("says nothing more after what is no message");
    if (!this.#isDown) tell(peer, "NOTICE", "invalid: what?");
  }

  #newChallenge(): string {
    if (this.#faults.has("sends everybody one challenge")) return "challenge";
    const again = this.#faults.has("sends a challenge again")
      ? this.#freedChallenges.pop()
      : undefined;
    return again ?? Math.random().toString(36);
  }

  #challenge(peer: Peer): void {
    if (peer.isChallenged && this.#faults.has("challenges once")) return;
    if (this.#faults.has("challenges nobody")) return;
    peer.isChallenged = true;
    tell(peer, "AUTH", peer.challenge);
  }

  #hear(peer: Peer, message: readonly unknown[]): void {
    const [verb, second, ...rest] = message;
    if (verb === "EVENT") return this.#publish(peer, second as NostrEvent);
    if (this.#faults.has("answers nothing but events")) return this.#challenge(peer);
    if (verb === "AUTH") return this.#authenticate(peer, second as NostrEvent);
    if (verb === "CLOSE") {
      if (!this.#faults.has("ignores CLOSE")) peer.subscriptions.delete(second as string);
      return;
    }
    const id = second as string;
    const faults = this.#faults;
    const isOpen = faults.has("reads without AUTH");
    if (verb === "REQ" && this.#rules.answersStrangers && matchesNothing(rest)) {
      return tell(peer, "EOSE", id);
    }
    if (verb === "REQ" || verb === "COUNT") {
      const isHeld =
        !isOpen &&
        !faults.has("refuses what overtakes AUTH") &&
        !(verb === "COUNT" && faults.has("holds no COUNT"));
      return this.#ask(peer, isHeld, () => this.#read(peer, verb, id, rest));
    }
    const { reconciliations } = peer;
    if (verb === "NEG-OPEN") {
      const isHeld =
        !faults.has("reconciles without AUTH") &&
        !faults.has("refuses NEG-OPEN that overtakes AUTH");
      return this.#ask(peer, isHeld, () => {
        tell(peer, ...reconciliations.open(id, rest[0], rest[1] as string));
      });
    }
    if (verb === "NEG-MSG") return tell(peer, ...reconciliations.answer(id, rest[0] as string));
    if (verb === "NEG-CLOSE") return reconciliations.close(id);
    throw new Error("unknown verb");
  }

  #authenticate(peer: Peer, event: NostrEvent): void {
    this.#believe(peer, event);
    for (const [answer, timer] of peer.held.splice(0)) {
      clearTimeout(timer);
      answer();
    }
  }

  #believe(peer: Peer, event: NostrEvent): void {
    const expected = { challenge: peer.challenge, urls: this.urls, now: this.#now() };
    const forgiven: Partial<Record<Fault, RegExp>> = {
      "believes any AUTH": /./,
      "believes any host": /another relay/,
      "believes any challenge": /challenge/,
      "believes an old AUTH": /10 minutes/,
    };
    const isSigned = this.#isGenuine(event);
    const why = isSigned ? misauthenticated(event, expected) : "invalid: bad signature";
    for (const [fault, pattern] of Object.entries(forgiven)) {
      if (why !== undefined && this.#faults.has(fault as Fault) && pattern.test(why)) {
        peer.keys.add(event.pubkey);
        return tell(peer, "OK", event.id, true, "");
      }
    }
    const isNamed = this.urls.some(({ host }) => nameOf(tagValue(event, "relay")) === nameOf(host));
    if (
      isNamed &&
      /another relay/.test(why ?? "") &&
      this.#faults.has("ignores the port in AUTH")
    ) {
      peer.keys.add(event.pubkey);
      return tell(peer, "OK", event.id, true, "");
    }
    const isOther =
      this.#faults.has("compares the whole URL in AUTH") &&
      !this.urls.some(({ host }) => tagValue(event, "relay") === `ws://${host}`);
    if (isOther) return tell(peer, "OK", event.id, false, "invalid: another URL");
    if (why !== undefined) {
      if (this.#faults.has("forgets its keys at a refused AUTH")) peer.keys.clear();
      return tell(peer, "OK", event.id, false, why);
    }
    if (this.#faults.has("ends subscriptions at AUTH")) peer.subscriptions.clear();
    if (this.#faults.has("knows one key a connection")) peer.keys.clear();
    peer.keys.add(event.pubkey);
    tell(peer, "OK", event.id, true, "");
  }

  #publish(peer: Peer, event: NostrEvent): void {
    const isLate =
      this.#faults.has("does not look again for an acknowledgement") &&
      this.#rules.kinds.includes(event.kind) &&
      !this.#boxes.isExpected(event);
    if (!isLate) return this.#take(peer, event);
    setTimeout(() => {
      this.#boxes.forget(event);
      this.#take(peer, event);
    }, LOOKED_BEFORE_MS);
  }

  #take(peer: Peer, event: NostrEvent): void {
    const answer = this.#outcome(peer.keys, event);
    tell(peer, "OK", event.id, ...answer);
    if (this.#faults.has("says words of its own")) tell(peer, "SEEN", event.id);
    if (this.#faults.has("challenges who publishes") && peer.keys.size === 0) this.#challenge(peer);
  }

  #outcome(keys: ReadonlySet<string>, event: NostrEvent): [boolean, string] {
    const faults = this.#faults;
    const isSigned = faults.has("knows one spelling of an id")
      ? verifyEvent({ ...event, tags: event.tags.map((tag) => [...tag]) })
      : this.#isGenuine(event);
    if (!isSigned && !faults.has("takes forged events")) return [false, "invalid: bad signature"];
    const zeros = 256 - BigInt(`0x${event.id}`).toString(2).length;
    if (zeros < this.#rules.minPow && !faults.has("checks no work"))
      return [false, "pow: too little"];
    if (faults.has("wants AUTH from senders") && keys.size === 0) {
      return [false, "auth-required: who are you?"];
    }
    const isSender = keys.size === 0 || keys.has(event.pubkey);
    if (!isSender && faults.has("takes from who is authenticated what that key signed")) {
      return [false, "restricted: somebody else signed this"];
    }
    return this.#boxes.publish(event);
  }

  #ask(peer: Peer, isHeld: boolean, answer: () => void): void {
    if (peer.keys.size > 0) return answer();
    if (!peer.isChallenged) this.#challenge(peer);
    if (!isHeld) return answer();
    const timer = this.#faults.has("holds a REQ for ever")
      ? undefined
      : setTimeout(() => {
          peer.held = peer.held.filter(([held]) => held !== answer);
          answer();
        }, this.#rules.heldMs);
    peer.held.push([answer, timer]);
  }

  #read(peer: Peer, verb: "REQ" | "COUNT", id: string, asked: readonly unknown[]): void {
    const faults = this.#faults;
    if (faults.has("takes simple subscription ids alone") && !/^\w+$/.test(id)) {
      return tell(peer, "CLOSED", id, "invalid: a subscription id is letters and digits");
    }
    const given = faults.has("completes ids and keys")
      ? asked.map((filter) => completed(filter, this.#boxes.held))
      : asked;
    if (peer.keys.size === 0 && !faults.has("reads without AUTH")) {
      if (verb === "REQ" && faults.has("answers a REQ without a key with nothing")) {
        return tell(peer, "EOSE", id);
      }
      this.#challenge(peer);
      return tell(peer, "CLOSED", id, "auth-required: who are you?");
    }
    const filters: Filter[] = [];
    for (const value of faults.has("reads the first filter alone") ? given.slice(0, 1) : given) {
      const filter = parseFilter(value, 1_000);
      if (isReason(filter)) {
        if (faults.has("says nothing to a REQ it cannot read")) return;
        return tell(peer, "CLOSED", id, filter);
      }
      filters.push(faults.has("ignores until") ? { ...filter, until: Infinity } : filter);
    }
    const isKnown = this.#boxes.held.some(({ event }) =>
      filters.some(({ ids }) => ids?.has(event.id)),
    );
    if (isKnown && faults.has("tells ids that it holds")) {
      return tell(peer, "CLOSED", id, "restricted: not yours");
    }
    const isOpen =
      faults.has("shows drops to everybody") ||
      faults.has("ignores foreign keys in silence") ||
      faults.has("reads without AUTH") ||
      (verb === "COUNT" && faults.has("counts for everybody"));
    const foreign = filters.filter(({ tags }) => {
      const named = [...(tags.get("p") ?? [])];
      const own = named.filter((key) => peer.keys.has(key));
      const isMixed = own.length > 0 && own.length < named.length;
      if (isMixed && faults.has("refuses filters that name other keys, too")) return true;
      return !isOpen && named.length > 0 && own.length === 0;
    });
    const spoils = faults.has("lets one filter spoil the rest") && foreign.length > 0;
    if (spoils || foreign.length === filters.length) {
      const named = new Set(foreign.flatMap(({ tags }) => Array.from(tags.get("p") ?? [])));
      const box = this.#boxes.held.filter(({ recipient }) => named.has(recipient));
      this.#challenge(peer);
      const isTold = faults.has("tells full boxes from empty ones") && box.length > 0;
      return tell(peer, "CLOSED", id, `restricted: not yours${isTold ? ", but not empty" : ""}`);
    }
    const matching = this.#matching(peer, verb, filters);
    const limit = faults.has("ignores limit")
      ? Infinity
      : Math.min(this.#rules.pageDrops, ...filters.map(({ limit = Infinity }) => limit));
    if (verb === "COUNT") {
      const surplus = faults.has("counts one too many") ? 1 : 0;
      return tell(peer, "COUNT", id, { count: matching.length + surplus });
    }
    const sent = matching.slice(0, limit);
    for (const event of sent) tell(peer, "EVENT", id, this.#served(event));
    const isWhole = sent.length === matching.length || faults.has("says finish always");
    const hints = faults.has("gives no hints") ? [] : [[isWhole ? "finish" : "more"]];
    tell(peer, "EOSE", id, ...hints);
    if (faults.has("acknowledges at EOSE")) {
      for (const event of sent) this.#boxes.remove(event.id);
    }
    const isFollowing =
      faults.has("lets a subscription follow a later AUTH") || faults.has("reads without AUTH");
    const { filters: former = [] } = peer.subscriptions.get(id) ?? {};
    peer.subscriptions.set(id, {
      filters: faults.has("adds a REQ to the subscription with its id")
        ? [...former, ...filters]
        : filters,
      keys: isFollowing ? peer.keys : new Set(peer.keys),
    });
  }

  #served(event: NostrEvent): NostrEvent {
    if (!this.#faults.has("serves content without control characters")) return event;
    return { ...event, content: event.content.replace(/\p{Cc}/gu, " ") };
  }

  #reconcilable(peer: Peer, filter: Filter): readonly NostrEvent[] | string {
    const faults = this.#faults;
    if (peer.keys.size === 0 && !faults.has("reconciles without AUTH")) {
      this.#challenge(peer);
      return "auth-required: who are you?";
    }
    const named = [...(filter.tags.get("p") ?? [])];
    const isMine = named.length === 0 || named.some((key) => peer.keys.has(key));
    if (!isMine && !faults.has("reconciles everybody's boxes")) {
      this.#challenge(peer);
      return "restricted: not yours";
    }
    return this.#matching(peer, "NEG-OPEN", [filter]).slice(0, filter.limit);
  }

  #matching(
    peer: Peer,
    verb: "REQ" | "COUNT" | "NEG-OPEN",
    filters: readonly Filter[],
  ): NostrEvent[] {
    const faults = this.#faults;
    const isEverybodys =
      faults.has("shows drops to everybody") ||
      (verb === "COUNT" && faults.has("counts for everybody")) ||
      (verb === "NEG-OPEN" && faults.has("reconciles everybody's boxes")) ||
      (faults.has("reads without AUTH") && peer.keys.size === 0);
    const isNamed = (recipient: string): boolean =>
      verb === "REQ" &&
      faults.has("shows the boxes that are named beside one's own") &&
      filters.some(({ tags }) => {
        const named = [...(tags.get("p") ?? [])];
        return named.includes(recipient) && named.some((key) => peer.keys.has(key));
      });
    const isAll = verb === "NEG-OPEN" && faults.has("reconciles what was acknowledged");
    const all = isAll ? [...this.#boxes.held, ...this.#boxes.acknowledged] : this.#boxes.held;
    const visible = all.filter(
      (held) =>
        (isEverybodys ||
          isNamed(held.recipient) ||
          peer.keys.has(held.recipient) ||
          (faults.has("shows drops to their author") && peer.keys.has(held.event.pubkey))) &&
        (this.#now() < held.until || faults.has("keeps what has expired")),
    );
    const kept = [...visible.map(({ event }) => event), ...this.#boxes.kept];
    const findable = faults.has("finds nothing by time alone")
      ? filters.filter((filter) => !isTimeAlone(filter))
      : filters;
    return inOrder(kept.filter((event) => findable.some((filter) => matchFilter(filter, event))));
  }

  #deliver({ event, recipient }: Held): number {
    const faults = this.#faults;
    if (faults.has("sends nothing live")) return 0;
    const isShown = ({ keys }: Subscription): boolean =>
      keys.has(recipient) ||
      faults.has("delivers live to everybody") ||
      (faults.has("shows drops to their author") && keys.has(event.pubkey));
    return [...this.#peers].filter((peer) => this.#send(peer, event, isShown)).length;
  }

  #broadcast(event: NostrEvent): void {
    for (const peer of this.#peers) this.#send(peer, event, () => true);
  }

  #send(peer: Peer, event: NostrEvent, isShown: (subscription: Subscription) => boolean): boolean {
    let isSent = false;
    for (const [id, subscription] of peer.subscriptions) {
      if (!isShown(subscription)) continue;
      if (!subscription.filters.some((filter) => matchFilter(filter, event))) continue;
      tell(peer, "EVENT", id, event);
      isSent = true;
    }
    return isSent;
  }
}

function nameOf(text: string | undefined): string | undefined {
  return text?.replace(/^\w+:\/\//, "").replace(/[:/].*$/, "");
}

function tell(peer: Peer, ...message: readonly unknown[]): void {
  peer.say(JSON.stringify(message));
}
