// A conversation with one relay in NIP-01's words.
//
// - What is wanted survives a broken connection: an event without an answer is published again, byte for byte the same, a subscription is asked for again.
// - A link has keys, or none. With keys it authenticates as soon as the challenge comes, and asks nothing before that is answered. Without, it stays
//   anonymous; only a relay that refuses drops with `auth-required` is shown a key, a throw-away one.

import { type NostrEvent, parseEvent } from "../nostr/event.ts";
import { AUTHENTICATION } from "../nostr/kinds.ts";
import { isReason } from "../nostr/reason.ts";
import { Line, type LineSettings, type WebSocketFactory } from "./line.ts";
import { type Signer, throwAwaySigner } from "./signer.ts";
import type { Chance } from "./wrap.ts";

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

// A relay without a challenge is asked all the same, this long after it connected.
const CHALLENGE_MS = 1_000;
const HEARTBEAT = "heartbeat";
const NO_ANSWER_TO_AUTH = "no answer to AUTH";
const GIVEN_UP: Answer = { unreachable: "given up" };

type Publishing = { readonly event: NostrEvent; readonly answered: (answer: Answer) => void };
type Wanted = { readonly filters: readonly Filter[]; readonly listener: Listener };

export class Link {
  readonly #url: string;
  readonly #parts: LinkParts;
  readonly #patienceSeconds: number;
  readonly #line: Line;
  readonly #publishing = new Map<string, Publishing>();
  readonly #subscriptions = new Map<string, Wanted>();
  readonly #authenticating = new Map<string, () => void>();
  #challenge: string | undefined;
  #throwAway: Signer | undefined;
  #isReady = false;
  #isAuthenticating = false;
  #isClosed = false;
  #subscribed = 0;
  #unchallenged: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string, parts: LinkParts, settings: LineSettings) {
    this.#url = url;
    this.#parts = parts;
    this.#patienceSeconds = settings.patienceSeconds;
    const { webSocket, chance } = parts;
    this.#line = new Line(
      url,
      {
        webSocket,
        chance,
        isWanted: () => this.#isWanted,
        opened: () => this.#opened(),
        heard: (message) => this.#hear(message),
        broken: () => this.#forget(),
        beat: () => this.#beat(),
      },
      settings,
    );
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
      const aborted = (): void => done(GIVEN_UP);
      const timer = setTimeout(
        () => done({ unreachable: this.#line.failure }),
        this.#patienceSeconds * 1_000,
      );
      const publishing = { event, answered: done };
      this.#publishing.set(id, publishing);
      if (this.#isClosed || signal?.aborted === true) return aborted();
      signal?.addEventListener("abort", aborted);
      if (this.#isReady) this.#line.say(["EVENT", event]);
      this.#line.want();
    });
  }

  /** Asks for stored events and those that come. Answers how to stop. */
  subscribe(filters: readonly Filter[], listener: Listener): () => void {
    if (this.#isClosed) return () => {};
    this.#subscribed += 1;
    const id = `s${this.#subscribed}`;
    this.#subscriptions.set(id, { filters, listener });
    if (this.#isReady) this.#line.say(["REQ", id, ...filters]);
    this.#line.want();
    return () => {
      if (!this.#subscriptions.delete(id)) return;
      if (this.#isReady) this.#line.say(["CLOSE", id]);
      this.#rest();
    };
  }

  /** Why the last try did not lead to an answer. */
  get failure(): string {
    return this.#line.failure;
  }

  /** Gives up what is wanted and closes the connection. */
  close(): void {
    this.#isClosed = true;
    for (const { answered } of this.#publishing.values()) answered(GIVEN_UP);
    this.#subscriptions.clear();
    this.#line.close();
    this.#forget();
  }

  get #isWanted(): boolean {
    return this.#publishing.size + this.#subscriptions.size > 0;
  }

  get #isAnonymous(): boolean {
    return this.#parts.signers.length === 0;
  }

  #rest(): void {
    if (!this.#isClosed) this.#line.rest();
  }

  // --- the connection comes and goes

  #opened(): void {
    if (this.#isAnonymous) this.#ready();
    else this.#unchallenged = setTimeout(() => this.#ready(), CHALLENGE_MS);
  }

  #ready(): void {
    clearTimeout(this.#unchallenged);
    if (this.#isReady) return;
    this.#isReady = true;
    for (const { event } of this.#publishing.values()) this.#line.say(["EVENT", event]);
    for (const [id, { filters }] of this.#subscriptions) this.#line.say(["REQ", id, ...filters]);
    this.#parts.ready?.();
  }

  #forget(): void {
    clearTimeout(this.#unchallenged);
    this.#isReady = this.#isAuthenticating = false;
    this.#challenge = this.#throwAway = undefined;
    for (const answered of this.#authenticating.values()) answered();
    this.#authenticating.clear();
  }

  #beat(): boolean {
    const [asked] = this.#subscriptions.values();
    if (!this.#isReady || asked === undefined) return false;
    this.#line.say(["REQ", HEARTBEAT, { ...asked.filters[0], limit: 0 }]);
    this.#line.say(["CLOSE", HEARTBEAT]);
    return true;
  }

  // --- what the relay says

  #hear([verb, id, ...rest]: readonly [unknown, ...unknown[]]): void {
    // Anything heard is a sign of life; the answers to AUTH are still owed.
    if (this.#isAuthenticating && !this.#isAnonymous) this.#line.expect(NO_ANSWER_TO_AUTH);
    if (typeof id !== "string") return;
    switch (verb) {
      case "AUTH":
        this.#challenge = id;
        if (!this.#isAnonymous) void this.#authenticate(this.#parts.signers);
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
      case "NOTICE":
        this.#parts.notice?.(id);
        break;
      default:
      // Something of another NIP.
    }
  }

  #heardOk(id: string, accepted: boolean, reason: string): void {
    const authenticated = this.#authenticating.get(id);
    if (authenticated !== undefined) {
      if (!accepted) this.#parts.notice?.(reason);
      this.#authenticating.delete(id);
      authenticated();
      return;
    }
    const publishing = this.#publishing.get(id);
    if (publishing === undefined) return;
    const isAsked = !accepted && reason.startsWith("auth-required:");
    if (isAsked && this.#isAnonymous && this.#mayHide()) {
      void this.#authenticate([(this.#throwAway = throwAwaySigner())]).then(() => {
        if (this.#isReady && this.#publishing.has(id)) this.#line.say(["EVENT", publishing.event]);
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
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) return;
    // A relay that sends its challenge only now: it is answered, and then everything is asked for again.
    if (reason.startsWith("auth-required:") && this.#isAuthenticating) return;
    this.#subscriptions.delete(id);
    subscription.listener.closed?.(reason);
    this.#rest();
  }

  async #authenticate(signers: readonly Signer[]): Promise<void> {
    const { chance, notice } = this.#parts;
    const { current } = this.#line;
    clearTimeout(this.#unchallenged);
    this.#isAuthenticating = true;
    if (!this.#isAnonymous) {
      // What is asked before this is answered would be refused, so it is asked after.
      this.#isReady = false;
      this.#line.expect(NO_ANSWER_TO_AUTH);
    }
    const tags = [
      ["relay", this.#url],
      ["challenge", this.#challenge ?? ""],
    ];
    const template = { kind: AUTHENTICATION, created_at: chance.now(), tags, content: "" };
    const answered: Promise<void>[] = [];
    for (const signer of signers) {
      let event: NostrEvent;
      try {
        event = await signer.sign(template);
      } catch (error) {
        notice?.(`not authenticated: ${(error as Error).message}`);
        continue;
      }
      if (this.#line.current !== current) return;
      answered.push(
        new Promise((resolve) => {
          this.#authenticating.set(event.id, resolve);
        }),
      );
      this.#line.say(["AUTH", event]);
    }
    await Promise.all(answered);
    if (this.#line.current !== current) return;
    this.#isAuthenticating = false;
    this.#ready();
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
