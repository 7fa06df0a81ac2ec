// Shows a relay the keys of one connection (NIP-42).
//
// - A connection with keys shows all of them as soon as the challenge comes, and again when the relay sends another challenge, a few times.
// - One without keys stays anonymous. Only where a relay refuses a drop with `auth-required` does the connection ask for `hide`, which shows it a key that
//   was made for this moment: once, as a relay that is not content with it wants to know who sends.
// - `started` and `finished` come in pairs, but for a connection that breaks in between: then `closed` ends it, and what was not answered is refused.
// - Signing may take as long as a person takes to say yes. That is nobody's silence: the relay's time to answer begins when it has the signature. A
//   signature that is not wanted any more when its turn comes, since the connection is gone, is not asked for.

import type { NostrEvent } from "../nostr/event.ts";
import { AUTHENTICATION } from "../nostr/kinds.ts";
import { withoutPassword } from "./relay-url.ts";
import type { Runtime } from "./runtime.ts";
import { type EventTemplate, type Signer, throwAwaySigner, wordsOf } from "./signer.ts";
import { oneAtATime } from "./signing-queue.ts";
import type { RelaySocket } from "./socket.ts";

export type AuthenticationParts = {
  readonly url: string;
  readonly runtime: Runtime;
  /** The keys to authenticate with; none: stay anonymous. */
  readonly signers: readonly Signer[];
  readonly socket: Pick<RelaySocket, "current" | "send" | "expectAnswer">;
  /** From now on the relay would refuse what needs a key. */
  readonly started: () => void;
  /** The relay has answered for every key. */
  readonly finished: () => void;
  readonly notice: ((text: string) => void) | undefined;
};

/** Why a key is not authenticated: the relay does not believe it, or its signer did not sign. */
export type Refusal = { readonly by: "relay" | "signer"; readonly why: string };

const NO_ANSWER_TO_AUTH = "no answer to AUTH";
// A relay that challenges again and again would have every key sign for ever.
const MAX_CHALLENGES = 3;
// Signing is milliseconds of arithmetic for each key; the page, and what the relay sends, has its turn in between.
const TURN_MS = 20;

export class Authentication {
  readonly #parts: AuthenticationParts;
  // By the id of the AUTH event: what to do with the answer to it.
  readonly #pending = new Map<string, (refusal: string | undefined) => void>();
  // Keys that did not authenticate on this connection.
  readonly #refused = new Map<string, Refusal>();
  #challenge: string | undefined;
  #challenges = 0;
  #throwAway: Signer | undefined;
  #isRunning = false;

  constructor(parts: AuthenticationParts) {
    this.#parts = parts;
  }

  /** Whether keys are being shown to the relay, which takes as long as there are keys. */
  get isRunning(): boolean {
    return this.#isRunning;
  }

  get isAnonymous(): boolean {
    return this.#parts.signers.length === 0;
  }

  /** Why a key is not authenticated; undefined when it is, or has not been tried. */
  refusalOf(key: string): Refusal | undefined {
    return this.#refused.get(key);
  }

  /** The relay sent a challenge. */
  challenged(challenge: string): void {
    const isNew = challenge !== this.#challenge;
    if (this.#isRunning || !isNew || this.#challenges >= MAX_CHALLENGES) return;
    this.#challenge = challenge;
    this.#challenges += 1;
    if (!this.isAnonymous) void this.#show(this.#parts.signers);
  }

  /** The relay answered an event. Answers whether that was one of these here. */
  answered(id: string, accepted: boolean, reason: string): boolean {
    const resolve = this.#pending.get(id);
    if (resolve === undefined) return false;
    this.#pending.delete(id);
    resolve(accepted ? undefined : reason);
    return true;
  }

  /** The relay said anything at all: a sign of life, though its answers to AUTH are still owed. */
  sawLife(): void {
    const isOwed = this.#pending.size > 0;
    if (isOwed && !this.isAnonymous) this.#parts.socket.expectAnswer(NO_ANSWER_TO_AUTH);
  }

  /** Shows the relay a throw-away key. Answers whether one is on its way to it; false: it has seen one, or sent no challenge. */
  hide(): boolean {
    if (this.#challenge === undefined) return false;
    if (this.#throwAway !== undefined) return this.#isRunning;
    this.#throwAway = throwAwaySigner();
    void this.#show([this.#throwAway]);
    return true;
  }

  /** The connection broke: the next one begins anew. */
  closed(): void {
    this.#isRunning = false;
    this.#challenge = this.#throwAway = undefined;
    this.#challenges = 0;
    this.#refused.clear();
    for (const resolve of this.#pending.values()) resolve(undefined);
    this.#pending.clear();
  }

  async #show(signers: readonly Signer[]): Promise<void> {
    const { url, runtime, socket } = this.#parts;
    const { current } = socket;
    this.#isRunning = true;
    this.#parts.started();
    const tags = [
      ["relay", withoutPassword(url)],
      ["challenge", this.#challenge ?? ""],
    ];
    const template = (): EventTemplate | undefined =>
      socket.current === current
        ? { kind: AUTHENTICATION, created_at: runtime.now(), tags, content: "" }
        : undefined;
    const answers: Promise<void>[] = [];
    let turn = performance.now();
    for (const signer of signers) {
      let event: NostrEvent | undefined;
      try {
        event = await oneAtATime(signer).signWanted(template);
      } catch (error) {
        if (socket.current !== current) return;
        this.#refuse(signer, { by: "signer", why: wordsOf(error) });
        continue;
      }
      if (performance.now() - turn > TURN_MS) {
        await new Promise((resolve) => setTimeout(resolve));
        turn = performance.now();
      }
      if (event === undefined || socket.current !== current) return;
      answers.push(this.#answerTo(event, signer));
      socket.send(["AUTH", event]);
      this.sawLife();
    }
    await Promise.all(answers);
    if (socket.current !== current) return;
    this.#isRunning = false;
    this.#parts.finished();
  }

  async #answerTo({ id }: NostrEvent, signer: Signer): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#pending.set(id, (why) => {
        if (why !== undefined) this.#refuse(signer, { by: "relay", why });
        resolve();
      });
    });
  }

  #refuse({ key }: Signer, refusal: Refusal): void {
    this.#refused.set(key, refusal);
    this.#parts.notice?.(`${key} is not authenticated: ${refusal.why}`);
  }
}
