// One socket to one relay: opened when something is wanted of it, kept while it is, reconnected when it breaks, closed when it has been idle for a while.
//
// - What is wanted survives a broken connection: an event without an answer is published again, byte for byte the same, a subscription is asked for again.
// - A link has keys, or none. With keys it authenticates as soon as the challenge comes, and asks nothing before that is answered. Without, it stays
//   anonymous; only a relay that refuses drops with `auth-required` is shown a key, a throw-away one.
// - Between two tries it waits, each time up to twice as long, a random part of that: a relay that comes back is not met by everybody at once.

import { type NostrEvent, parseEvent } from "../nostr/event.ts";
import { AUTHENTICATION } from "../nostr/kinds.ts";
import { isReason } from "../nostr/reason.ts";
import { type Signer, throwAwaySigner } from "./signer.ts";
import type { Chance } from "./wrap.ts";

/** The WebSocket of browsers and of Node 22; `ws` is one too. */
export type WebSocketLike = {
  send(text: string): void;
  close(): void;
  addEventListener(type: "open" | "close", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "error", listener: (event: object) => void): void;
};
export type WebSocketFactory = new (url: string) => WebSocketLike;

export type LinkParts = {
  readonly webSocket: WebSocketFactory;
  readonly chance: Chance;
  /** The keys to authenticate with. */
  readonly signers: readonly Signer[];
  /** The connection is there, and authenticated. */
  readonly ready?: () => void;
  /** The relay does not believe a key, or says something to people. */
  readonly notice?: (text: string) => void;
};

export type LinkSettings = {
  /** How long a relay may take to answer before it counts as not there, seconds. */
  readonly patienceSeconds: number;
  /** The first and the longest wait before another try, seconds. */
  readonly retrySeconds: number;
  readonly maxRetrySeconds: number;
  readonly idleSeconds: number;
  /** A connection that was silent for so long is asked something, and given up when it does not answer. */
  readonly heartbeatSeconds: number;
};

/** What a relay says to an event (NIP-01's OK), or why it says nothing. */
export type Answer =
  | { readonly accepted: boolean; readonly reason: string }
  | { readonly unreachable: string };

export type Filter = Readonly<Record<string, unknown>>;

export type Listener = {
  event(event: NostrEvent): void;
  /** What is stored was sent. NIP-67's hint where the relay gives one. After a reconnection it is called again. */
  stored?(hint: "finish" | "more" | undefined): void;
  /** The relay ended it. Nothing is called after this. */
  closed?(reason: string): void;
};

// A relay that sends more than this in one message does not keep to any limit that a drop could need.
const MAX_MESSAGE_CHARS = 4 * 1024 * 1024;
// A relay without a challenge is asked all the same, this long after it connected.
const CHALLENGE_MS = 1_000;
const HEARTBEAT = "heartbeat";

type Publishing = { readonly event: NostrEvent; readonly answered: (answer: Answer) => void };
type Wanted = { readonly filters: readonly Filter[]; readonly listener: Listener };
type Counting = {
  readonly filters: readonly Filter[];
  readonly counted: (count: number | undefined) => void;
};

export class Link {
  readonly url: string;
  readonly #parts: LinkParts;
  readonly #settings: LinkSettings;
  readonly #publishing = new Map<string, Publishing>();
  readonly #subscriptions = new Map<string, Wanted>();
  readonly #counting = new Map<string, Counting>();
  readonly #authenticating = new Map<string, (isBelieved: boolean) => void>();
  #socket: WebSocketLike | undefined;
  #challenge: string | undefined;
  #isReady = false;
  #isAuthenticating = false;
  #isClosed = false;
  #tries = 0;
  #named = 0;
  #failure = "no answer";
  #retry: ReturnType<typeof setTimeout> | undefined;
  // Until the relay is there: the handshake, the challenge, the answer to AUTH, or to a heartbeat.
  #grace: ReturnType<typeof setTimeout> | undefined;
  #heartbeat: ReturnType<typeof setTimeout> | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #throwAway: Signer | undefined;

  constructor(url: string, parts: LinkParts, settings: LinkSettings) {
    this.url = url;
    this.#parts = parts;
    this.#settings = settings;
  }

  /** Publishes an event and answers what the relay says to it; the same event again while it is not answered, until the patience is over. */
  publish(event: NostrEvent, signal?: AbortSignal): Promise<Answer> {
    return new Promise((resolve) => {
      const { id } = event;
      const before = this.#publishing.get(id);
      const done = (answer: Answer): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", aborted);
        if (this.#publishing.get(id) === publishing) this.#publishing.delete(id);
        before?.answered(answer);
        resolve(answer);
        this.#rest();
      };
      const aborted = (): void => done({ unreachable: "given up" });
      const timer = setTimeout(
        () => done({ unreachable: this.#failure }),
        this.#settings.patienceSeconds * 1_000,
      );
      const publishing = { event, answered: done };
      this.#publishing.set(id, publishing);
      if (this.#isClosed || signal?.aborted === true) return aborted();
      signal?.addEventListener("abort", aborted);
      if (this.#isReady) this.#say(["EVENT", event]);
      this.#want();
    });
  }

  /** Asks for stored events and those that come. Answers how to stop. */
  subscribe(filters: readonly Filter[], listener: Listener): () => void {
    const id = this.#name("s");
    this.#subscriptions.set(id, { filters, listener });
    if (this.#isReady) this.#say(["REQ", id, ...filters]);
    this.#want();
    return () => {
      if (!this.#subscriptions.delete(id)) return;
      if (this.#isReady) this.#say(["CLOSE", id]);
      this.#rest();
    };
  }

  /** Asks how many stored events match (NIP-45); undefined when the relay does not say. */
  count(filters: readonly Filter[]): Promise<number | undefined> {
    return new Promise((resolve) => {
      const id = this.#name("c");
      const counted = (count: number | undefined): void => {
        clearTimeout(timer);
        this.#counting.delete(id);
        resolve(count);
        this.#rest();
      };
      const timer = setTimeout(() => counted(undefined), this.#settings.patienceSeconds * 1_000);
      this.#counting.set(id, { filters, counted });
      if (this.#isReady) this.#say(["COUNT", id, ...filters]);
      this.#want();
    });
  }

  /** Why the last try did not lead to an answer. */
  get failure(): string {
    return this.#failure;
  }

  /** Gives up what is wanted and closes the connection. */
  close(): void {
    this.#isClosed = true;
    for (const { answered } of this.#publishing.values()) answered({ unreachable: "given up" });
    for (const { counted } of this.#counting.values()) counted(undefined);
    this.#subscriptions.clear();
    this.#disconnect();
  }

  get #isWanted(): boolean {
    const wanted = this.#publishing.size + this.#subscriptions.size + this.#counting.size;
    return !this.#isClosed && wanted > 0;
  }

  #name(kind: string): string {
    this.#named += 1;
    return `${kind}${this.#named}`;
  }

  #want(): void {
    clearTimeout(this.#idle);
    this.#idle = undefined;
    if (this.#socket !== undefined) return;
    // Somebody waits for an answer now, however long it was not there.
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#tries = 0;
    this.#connect();
  }

  #rest(): void {
    if (this.#isClosed || this.#isWanted || this.#idle !== undefined) return;
    this.#idle = setTimeout(() => this.#disconnect(), this.#settings.idleSeconds * 1_000);
  }

  #disconnect(): void {
    for (const timer of [this.#retry, this.#idle]) clearTimeout(timer);
    this.#retry = this.#idle = undefined;
    const socket = this.#socket;
    this.#forget();
    socket?.close();
  }

  #forget(): void {
    clearTimeout(this.#grace);
    clearTimeout(this.#heartbeat);
    this.#socket = undefined;
    this.#isReady = this.#isAuthenticating = false;
    this.#challenge = undefined;
    this.#throwAway = undefined;
    for (const believed of this.#authenticating.values()) believed(false);
    this.#authenticating.clear();
  }

  #connect(): void {
    let socket: WebSocketLike;
    try {
      socket = new this.#parts.webSocket(this.url);
    } catch (error) {
      this.#failure = (error as Error).message;
      this.#again();
      return;
    }
    this.#socket = socket;
    this.#expectAnswer("no connection");
    // What an earlier socket still says is of no interest.
    const isCurrent = (): boolean => this.#socket === socket;
    socket.addEventListener("open", () => {
      if (!isCurrent()) return;
      clearTimeout(this.#grace);
      this.#failure = "no answer";
      const isAnonymous = this.#parts.signers.length === 0;
      if (isAnonymous) this.#ready();
      else this.#grace = setTimeout(() => this.#ready(), CHALLENGE_MS);
    });
    socket.addEventListener("message", ({ data }) => {
      if (isCurrent()) this.#hear(data);
    });
    socket.addEventListener("error", (event) => {
      const { message } = event as { message?: unknown };
      if (isCurrent() && typeof message === "string" && message !== "") this.#failure = message;
    });
    socket.addEventListener("close", () => {
      if (isCurrent()) this.#broken(this.#isReady ? "the connection broke" : this.#failure);
    });
  }

  #broken(why: string): void {
    const socket = this.#socket;
    this.#failure = why === "no answer" ? "no connection" : why;
    this.#forget();
    socket?.close();
    if (this.#isWanted) this.#again();
  }

  #again(): void {
    const { retrySeconds, maxRetrySeconds } = this.#settings;
    const most = Math.min(maxRetrySeconds, retrySeconds * 2 ** this.#tries);
    this.#tries += 1;
    const seconds = most * (0.5 + this.#parts.chance.random() / 2);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      if (this.#isWanted) this.#connect();
    }, seconds * 1_000);
  }

  #expectAnswer(otherwise: string): void {
    clearTimeout(this.#grace);
    const { patienceSeconds } = this.#settings;
    this.#grace = setTimeout(() => this.#broken(otherwise), patienceSeconds * 1_000);
  }

  // A connection that breaks without a word, as one behind a sleeping router does, tells neither side.
  #listenFor(): void {
    clearTimeout(this.#heartbeat);
    this.#heartbeat = setTimeout(() => {
      if (!this.#isReady || this.#subscriptions.size === 0) return;
      this.#expectAnswer("the connection is dead");
      const [asked] = this.#subscriptions.values();
      const [filter] = asked?.filters ?? [];
      this.#say(["REQ", HEARTBEAT, { ...filter, limit: 0 }]);
      this.#say(["CLOSE", HEARTBEAT]);
    }, this.#settings.heartbeatSeconds * 1_000);
  }

  #ready(): void {
    clearTimeout(this.#grace);
    if (this.#isReady || this.#socket === undefined) return;
    this.#isReady = true;
    this.#listenFor();
    for (const { event } of this.#publishing.values()) this.#say(["EVENT", event]);
    for (const [id, { filters }] of this.#subscriptions) this.#say(["REQ", id, ...filters]);
    for (const [id, { filters }] of this.#counting) this.#say(["COUNT", id, ...filters]);
    this.#parts.ready?.();
  }

  #hear(data: unknown): void {
    if (typeof data !== "string" || data.length > MAX_MESSAGE_CHARS) return;
    let message: unknown;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (!Array.isArray(message)) return;
    const [verb, id, ...rest] = message as unknown[];
    if (typeof id !== "string") return;
    // It talks sense, so the next break is a new one.
    this.#tries = 0;
    if (this.#isReady) {
      clearTimeout(this.#grace);
      this.#listenFor();
    }
    switch (verb) {
      case "AUTH":
        this.#challenge = id;
        if (this.#parts.signers.length > 0) void this.#authenticate(this.#parts.signers);
        break;
      case "OK":
        this.#heardOk(id, rest[0] === true, textOf(rest[1]));
        break;
      case "EVENT":
        this.#heardEvent(id, rest[0]);
        break;
      case "EOSE":
        this.#subscriptions.get(id)?.listener.stored?.(hintIn(rest[0]));
        break;
      case "CLOSED":
        this.#heardClosed(id, textOf(rest[0]));
        break;
      case "COUNT":
        this.#counting.get(id)?.counted(countIn(rest[0]));
        break;
      case "NOTICE":
        this.#parts.notice?.(id);
        break;
      default:
      // Something of another NIP.
    }
  }

  #heardOk(id: string, accepted: boolean, reason: string): void {
    const believed = this.#authenticating.get(id);
    if (believed !== undefined) {
      if (!accepted) this.#parts.notice?.(reason);
      this.#authenticating.delete(id);
      believed(accepted);
      return;
    }
    const publishing = this.#publishing.get(id);
    if (publishing === undefined) return;
    const isAnonymous = this.#parts.signers.length === 0;
    if (isAnonymous && !accepted && reason.startsWith("auth-required:") && this.#mayHide()) {
      void this.#authenticate([(this.#throwAway = throwAwaySigner())]).then(() => {
        if (this.#isReady && this.#publishing.has(id)) this.#say(["EVENT", publishing.event]);
      });
      return;
    }
    publishing.answered({ accepted, reason });
  }

  // Once for each connection: a relay that is not content with a throw-away key wants to know who sends.
  #mayHide(): boolean {
    return this.#challenge !== undefined && this.#throwAway === undefined;
  }

  #heardEvent(id: string, value: unknown): void {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) return;
    const event = parseEvent(value);
    if (!isReason(event)) subscription.listener.event(event);
  }

  #heardClosed(id: string, reason: string): void {
    this.#counting.get(id)?.counted(undefined);
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) return;
    // A relay that sends its challenge only now: it is answered, and then everything is asked for again.
    if (reason.startsWith("auth-required:") && this.#isAuthenticating) return;
    this.#subscriptions.delete(id);
    subscription.listener.closed?.(reason);
    this.#rest();
  }

  async #authenticate(signers: readonly Signer[]): Promise<void> {
    const challenge = this.#challenge ?? "";
    const socket = this.#socket;
    // What is asked before this is answered would be refused, so it is asked after.
    this.#isAuthenticating = true;
    if (this.#parts.signers.length > 0) {
      this.#isReady = false;
      this.#expectAnswer("no answer to AUTH");
    }
    const tags = [
      ["relay", this.url],
      ["challenge", challenge],
    ];
    const template = {
      kind: AUTHENTICATION,
      created_at: this.#parts.chance.now(),
      tags,
      content: "",
    };
    const answered: Promise<boolean>[] = [];
    for (const signer of signers) {
      let event: NostrEvent;
      try {
        event = await signer.sign(template);
      } catch (error) {
        this.#parts.notice?.(`not authenticated: ${(error as Error).message}`);
        continue;
      }
      if (this.#socket !== socket) return;
      answered.push(
        new Promise((resolve) => {
          this.#authenticating.set(event.id, resolve);
        }),
      );
      this.#say(["AUTH", event]);
    }
    await Promise.all(answered);
    if (this.#socket !== socket) return;
    this.#isAuthenticating = false;
    this.#ready();
  }

  #say(message: readonly unknown[]): void {
    this.#socket?.send(JSON.stringify(message));
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

function countIn(value: unknown): number | undefined {
  const { count } = Object(value) as { count?: unknown };
  return Number.isSafeInteger(count) && (count as number) >= 0 ? (count as number) : undefined;
}
