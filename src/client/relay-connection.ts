// A conversation with one relay in NIP-01's words.
//
// - What is wanted survives a broken connection: an event without an answer is published again, byte for byte the same, a subscription is asked for again.
// - A connection has keys, or none. With keys it has the relay send its challenge by asking for nothing, authenticates, and wants nothing before that is
//   answered: of several keys each REQ would be about those that were believed by then. Without, it stays anonymous; only a relay that refuses drops with
//   `auth-required` is shown a key, a throw-away one.

import { type NostrEvent, parseEvent } from "../nostr/event.ts";
import { GIFT_WRAP } from "../nostr/kinds.ts";
import { isReason } from "../nostr/reason.ts";
import { Authentication, type Refusal } from "./authentication.ts";
import type { Runtime } from "./runtime.ts";
import type { Signer } from "./signer.ts";
import { RelaySocket, type SocketSettings, type WebSocketFactory } from "./socket.ts";

export type ConnectionParts = {
  readonly webSocket: WebSocketFactory;
  readonly runtime: Runtime;
  /** The keys to authenticate with. */
  readonly signers: readonly Signer[];
  /** The connection is there, and authenticated. */
  readonly ready?: () => void;
  /** The relay does not believe a key, or says something to people. */
  readonly notice?: (text: string) => void;
};

/** What a relay says to an event (NIP-01's OK), or why it says nothing. */
export type PublishResult =
  | { readonly accepted: boolean; readonly reason: string }
  | { readonly unreachable: string };

export type Filter = Readonly<Record<string, unknown>>;

export type SubscriptionListener = {
  /** The relay is asked: at first, and after each reconnection, when it sends everything again. */
  requested?(): void;
  event(event: NostrEvent): void;
  /** What is stored was sent. NIP-67's hint where the relay gives one. */
  eose?(hint: "finish" | "more" | undefined): void;
  /** The relay is not there, or not any more. It is tried again, and asked again. */
  lost?(why: string): void;
  /** The relay ended it. Nothing is called after this. */
  closed?(reason: string): void;
};

// A relay that sends no challenge is asked all the same, this long after it connected.
const CHALLENGE_MS = 1_000;
// Relays challenge who asks for wraps. There is nothing to send to it, so a relay that asks for no key says EOSE at once.
const PROBE = "challenge";
const NOTHING = { kinds: [GIFT_WRAP], limit: 0 };
const HEARTBEAT = "heartbeat";
const GIVEN_UP = "given up";

type Publication = {
  readonly event: NostrEvent;
  readonly answered: (result: PublishResult) => void;
};
type Subscription = {
  readonly filters: readonly Filter[];
  readonly listener: SubscriptionListener;
};

export class RelayConnection {
  readonly #parts: ConnectionParts;
  readonly #patienceSeconds: number;
  readonly #socket: RelaySocket;
  readonly #authentication: Authentication;
  readonly #publications = new Map<string, Publication>();
  readonly #subscriptions = new Map<string, Subscription>();
  #isReady = false;
  #isClosed = false;
  #subscribed = 0;
  #unchallenged: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string, parts: ConnectionParts, settings: SocketSettings) {
    this.#parts = parts;
    this.#patienceSeconds = settings.patienceSeconds;
    const { webSocket, runtime, signers, notice } = parts;
    this.#socket = new RelaySocket(
      url,
      {
        webSocket,
        runtime,
        isWanted: () => this.#isWanted,
        opened: () => this.#opened(),
        received: (message) => this.#receive(message),
        closed: () => this.#lost(),
        heartbeat: () => this.#heartbeat(),
      },
      settings,
    );
    this.#authentication = new Authentication({
      url,
      runtime,
      signers,
      socket: this.#socket,
      started: () => this.#authenticating(),
      finished: () => this.#authenticated(),
      notice,
    });
  }

  /** Publishes an event and answers what the relay says to it; the same event again while it is not answered, until the patience is over. */
  publish(event: NostrEvent, signal?: AbortSignal): Promise<PublishResult> {
    return new Promise((resolve) => {
      const { id } = event;
      const before = this.#publications.get(id);
      const done = (result: PublishResult): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", aborted);
        if (this.#publications.get(id) === publication) this.#publications.delete(id);
        before?.answered(result);
        resolve(result);
        this.#release();
      };
      const aborted = (): void => done({ unreachable: GIVEN_UP });
      const wait = (): ReturnType<typeof setTimeout> =>
        setTimeout(() => {
          // As long as it takes to sign is not the relay's silence.
          if (this.isAuthenticating) timer = wait();
          else done({ unreachable: this.#socket.failure });
        }, this.#patienceSeconds * 1_000);
      let timer = wait();
      const publication = { event, answered: done };
      this.#publications.set(id, publication);
      if (this.#isClosed || signal?.aborted === true) return aborted();
      signal?.addEventListener("abort", aborted);
      if (this.#isReady) this.#socket.send(["EVENT", event]);
      this.#socket.connect();
    });
  }

  /** Asks for stored events and those that come. Answers how to stop. */
  subscribe(filters: readonly Filter[], listener: SubscriptionListener): () => void {
    if (this.#isClosed) {
      queueMicrotask(() => listener.closed?.(GIVEN_UP));
      return () => {};
    }
    this.#subscribed += 1;
    const id = `s${this.#subscribed}`;
    this.#subscriptions.set(id, { filters, listener });
    if (this.#isReady) this.#request(id, { filters, listener });
    this.#socket.connect();
    return () => {
      if (!this.#subscriptions.delete(id)) return;
      if (this.#isReady) this.#socket.send(["CLOSE", id]);
      this.#release();
    };
  }

  /** Why the last try did not lead to an answer. */
  get failure(): string {
    return this.#socket.failure;
  }

  /** Whether the relay is there. */
  get isOpen(): boolean {
    return this.#socket.isOpen;
  }

  /** Connects anew, to be asked for the keys once more. */
  renew(): void {
    this.#socket.close();
    if (this.#isWanted) this.#socket.connect();
  }

  /** Whether keys are being shown to the relay, which takes as long as there are keys and as their signers take. */
  get isAuthenticating(): boolean {
    return this.#authentication.isRunning;
  }

  /** Why one of its keys is not authenticated; undefined when it is, or has not been tried. */
  refusalOf(key: string): Refusal | undefined {
    return this.#authentication.refusalOf(key);
  }

  /** Gives up what is wanted and closes the connection. */
  close(): void {
    this.#isClosed = true;
    for (const { answered } of this.#publications.values()) answered({ unreachable: GIVEN_UP });
    const subscriptions = [...this.#subscriptions.values()];
    this.#subscriptions.clear();
    for (const { listener } of subscriptions) listener.closed?.(GIVEN_UP);
    this.#socket.close();
  }

  get #isWanted(): boolean {
    return this.#publications.size + this.#subscriptions.size > 0;
  }

  #release(): void {
    if (!this.#isClosed) this.#socket.release();
  }

  // --- the connection comes and goes

  #opened(): void {
    if (this.#authentication.isAnonymous) return this.#ready();
    this.#unchallenged = setTimeout(() => this.#probed(), CHALLENGE_MS);
    this.#socket.send(["REQ", PROBE, NOTHING]);
  }

  // The relay wants no key, or does not say how it would be shown one.
  #probed(): void {
    if (this.#isReady || this.#authentication.isRunning) return;
    this.#socket.send(["CLOSE", PROBE]);
    this.#ready();
  }

  #authenticating(): void {
    clearTimeout(this.#unchallenged);
    if (this.#authentication.isAnonymous) return;
    // What is asked before this is answered would be refused, so it is asked after.
    this.#isReady = false;
    this.#socket.send(["CLOSE", PROBE]);
  }

  #authenticated(): void {
    // It was refused without a key.
    if (this.#authentication.isAnonymous) this.#publishAll();
    else this.#ready();
  }

  #ready(): void {
    clearTimeout(this.#unchallenged);
    if (this.#isReady) return;
    this.#isReady = true;
    this.#publishAll();
    for (const [id, subscription] of this.#subscriptions) this.#request(id, subscription);
    this.#parts.ready?.();
  }

  #publishAll(): void {
    for (const { event } of this.#publications.values()) this.#socket.send(["EVENT", event]);
  }

  #request(id: string, { filters, listener }: Subscription): void {
    this.#socket.send(["REQ", id, ...filters]);
    listener.requested?.();
  }

  #lost(): void {
    clearTimeout(this.#unchallenged);
    this.#isReady = false;
    this.#authentication.closed();
    const { failure } = this.#socket;
    for (const { listener } of this.#subscriptions.values()) listener.lost?.(failure);
  }

  #heartbeat(): boolean {
    const [subscription] = this.#subscriptions.values();
    if (!this.#isReady || subscription === undefined) return false;
    this.#socket.send(["REQ", HEARTBEAT, { ...subscription.filters[0], limit: 0 }]);
    this.#socket.send(["CLOSE", HEARTBEAT]);
    return true;
  }

  // --- what the relay says

  #receive([verb, id, ...rest]: readonly [unknown, ...unknown[]]): void {
    this.#authentication.sawLife();
    if (typeof id !== "string") return;
    switch (verb) {
      case "AUTH":
        this.#authentication.challenged(id);
        break;
      case "OK":
        this.#receiveOk(id, rest[0] === true, textOf(rest[1]));
        break;
      case "EVENT":
        this.#receiveEvent(id, rest[0]);
        break;
      case "EOSE":
        if (id === PROBE) return this.#probed();
        this.#socket.resetBackoff();
        this.#subscriptions.get(id)?.listener.eose?.(hintIn(rest[0]));
        break;
      case "CLOSED":
        this.#receiveClosed(id, textOf(rest[0]) || "closed without a reason");
        break;
      case "NOTICE":
        this.#parts.notice?.(id);
        break;
      default:
      // Something of another NIP.
    }
  }

  #receiveOk(id: string, accepted: boolean, reason: string): void {
    if (this.#authentication.answered(id, accepted, reason)) return;
    const publication = this.#publications.get(id);
    if (publication === undefined) return;
    const wantsKey = !accepted && reason.startsWith("auth-required:");
    if (wantsKey && this.#authentication.isAnonymous && this.#authentication.hide()) return;
    this.#socket.resetBackoff();
    publication.answered({
      accepted,
      reason: accepted ? reason : reason || "refused without a reason",
    });
  }

  #receiveEvent(id: string, value: unknown): void {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) return;
    const event = parseEvent(value);
    if (!isReason(event)) subscription.listener.event(event);
  }

  #receiveClosed(id: string, reason: string): void {
    if (id === PROBE && !reason.startsWith("auth-required:")) return this.#probed();
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) return;
    // A relay that sends its challenge only now: it is answered, and then everything is asked for again.
    if (reason.startsWith("auth-required:") && this.#authentication.isRunning) return;
    this.#subscriptions.delete(id);
    subscription.listener.closed?.(reason);
    this.#release();
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function hintIn(hints: unknown): "finish" | "more" | undefined {
  if (!Array.isArray(hints)) return undefined;
  if (hints.includes("more")) return "more";
  return hints.includes("finish") ? "finish" : undefined;
}
