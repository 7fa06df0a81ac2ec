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
  /** The relay is asked: at first, and after each reconnection, when it sends everything again. */
  asked?(): void;
  event(event: NostrEvent): void;
  /** What is stored was sent. NIP-67's hint where the relay gives one. */
  stored?(hint: "finish" | "more" | undefined): void;
  /** The relay ended it. Nothing is called after this. */
  closed?(reason: string): void;
};

// A relay without a challenge is asked all the same, this long after it connected.
const CHALLENGE_MS = 1_000;
const HEARTBEAT = "heartbeat";
const NO_ANSWER_TO_AUTH = "no answer to AUTH";
const GIVEN_UP = "given up";
// A relay that challenges again and again would have every key sign for ever.
const MAX_CHALLENGES = 3;
// Signing is milliseconds of arithmetic for each key; the page, and what the relay sends, has its turn in between.
const TURN_MS = 20;

type Publishing = { readonly event: NostrEvent; readonly answered: (answer: Answer) => void };
type Wanted = { readonly filters: readonly Filter[]; readonly listener: Listener };

export class Link {
  readonly #url: string;
  readonly #parts: LinkParts;
  readonly #patienceSeconds: number;
  readonly #line: Line;
  readonly #publishing = new Map<string, Publishing>();
  readonly #subscriptions = new Map<string, Wanted>();
  readonly #authenticating = new Map<string, (refusal: string | undefined) => void>();
  // Keys that did not authenticate on this connection, and why.
  readonly #refused = new Map<string, string>();
  #challenge: string | undefined;
  #challenges = 0;
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
        gone: () => this.#forget(),
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
      const aborted = (): void => done({ unreachable: GIVEN_UP });
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
    if (this.#isClosed) {
      queueMicrotask(() => listener.closed?.(GIVEN_UP));
      return () => {};
    }
    this.#subscribed += 1;
    const id = `s${this.#subscribed}`;
    this.#subscriptions.set(id, { filters, listener });
    if (this.#isReady) this.#ask(id, { filters, listener });
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

  /** Whether keys are being shown to the relay, which takes as long as there are keys. */
  get isAuthenticating(): boolean {
    return this.#isAuthenticating;
  }

  /** Why one of its keys is not authenticated; undefined when it is, or has not been tried. */
  refusalOf(key: string): string | undefined {
    return this.#refused.get(key);
  }

  /** Gives up what is wanted and closes the connection. */
  close(): void {
    this.#isClosed = true;
    for (const { answered } of this.#publishing.values()) answered({ unreachable: GIVEN_UP });
    const subscriptions = [...this.#subscriptions.values()];
    this.#subscriptions.clear();
    for (const { listener } of subscriptions) listener.closed?.(GIVEN_UP);
    this.#line.close();
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
    this.#publishAll();
    for (const [id, wanted] of this.#subscriptions) this.#ask(id, wanted);
    this.#parts.ready?.();
  }

  #publishAll(): void {
    for (const { event } of this.#publishing.values()) this.#line.say(["EVENT", event]);
  }

  #ask(id: string, { filters, listener }: Wanted): void {
    this.#line.say(["REQ", id, ...filters]);
    listener.asked?.();
  }

  #forget(): void {
    clearTimeout(this.#unchallenged);
    this.#isReady = this.#isAuthenticating = false;
    this.#challenge = this.#throwAway = undefined;
    this.#challenges = 0;
    this.#refused.clear();
    for (const answered of this.#authenticating.values()) answered("the connection broke");
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
        this.#heardChallenge(id);
        break;
      case "OK":
        this.#heardOk(id, rest[0] === true, textOf(rest[1]));
        break;
      case "EVENT":
        this.#heardEvent(id, rest[0]);
        break;
      case "EOSE":
        this.#line.worked();
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

  #heardChallenge(challenge: string): void {
    const isNew = challenge !== this.#challenge;
    if (this.#isAuthenticating || !isNew || this.#challenges >= MAX_CHALLENGES) return;
    this.#challenge = challenge;
    this.#challenges += 1;
    if (!this.#isAnonymous) void this.#authenticate(this.#parts.signers);
  }

  #heardOk(id: string, accepted: boolean, reason: string): void {
    const authenticated = this.#authenticating.get(id);
    if (authenticated !== undefined) {
      this.#authenticating.delete(id);
      authenticated(accepted ? undefined : reason);
      return;
    }
    const publishing = this.#publishing.get(id);
    if (publishing === undefined) return;
    const isAsked = !accepted && reason.startsWith("auth-required:");
    if (isAsked && this.#isAnonymous && this.#hides()) return;
    this.#line.worked();
    publishing.answered({ accepted, reason });
  }

  // Shows the relay a throw-away key and publishes again what was refused without one. Once for each connection: a relay that is not content with it
  // wants to know who sends.
  #hides(): boolean {
    if (this.#challenge === undefined) return false;
    if (this.#throwAway !== undefined) return this.#isAuthenticating;
    this.#throwAway = throwAwaySigner();
    void this.#authenticate([this.#throwAway]).then(() => {
      if (this.#isReady) this.#publishAll();
    });
    return true;
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
    const { chance } = this.#parts;
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
    let turn = performance.now();
    for (const signer of signers) {
      let event: NostrEvent;
      try {
        event = await signer.sign(template);
      } catch (error) {
        this.#refuse(signer, (error as Error).message);
        continue;
      }
      if (performance.now() - turn > TURN_MS) {
        await new Promise((resolve) => setTimeout(resolve));
        turn = performance.now();
      }
      if (this.#line.current !== current) return;
      answered.push(
        new Promise<string | undefined>((resolve) => {
          this.#authenticating.set(event.id, resolve);
        }).then((refusal) => {
          if (refusal !== undefined) this.#refuse(signer, refusal);
        }),
      );
      this.#line.say(["AUTH", event]);
      if (!this.#isAnonymous) this.#line.expect(NO_ANSWER_TO_AUTH);
    }
    await Promise.all(answered);
    if (this.#line.current !== current) return;
    this.#isAuthenticating = false;
    this.#ready();
  }

  #refuse({ key }: Signer, why: string): void {
    this.#refused.set(key, why);
    this.#parts.notice?.(`${key} is not authenticated: ${why}`);
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
