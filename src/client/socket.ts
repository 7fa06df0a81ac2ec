// One WebSocket to one relay, kept while something is wanted of it.
//
// - Connects when asked to `connect`, and again when it breaks while it is still wanted. Between two tries it waits, longer each time.
// - A relay that does not take part in the handshake, or does not answer what is `expected` of it, counts as broken; so does one that goes silent and
//   does not answer a heartbeat.
// - `opened` and `received` are called for the newest socket alone; `closed` whenever there was one and is none any more, for whatever
//   reason, `close` included, and when one could not be made.

import { backoffSeconds } from "./backoff.ts";
import type { Runtime } from "./runtime.ts";

/** The WebSocket of browsers and of Node 22; `ws` is one too. */
export type WebSocketLike = {
  send(text: string): void;
  close(): void;
  addEventListener(type: "open" | "close", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "error", listener: (event: object) => void): void;
};
export type WebSocketFactory = new (url: string) => WebSocketLike;

export type SocketSettings = {
  /** How long a relay may take to answer before it counts as not there, seconds. */
  readonly patienceSeconds: number;
  /** The first and the longest wait before another try, seconds. */
  readonly retrySeconds: number;
  readonly maxRetrySeconds: number;
  /** A connection of which nothing is wanted is closed after so long. */
  readonly idleSeconds: number;
  /** A connection that was silent for so long is asked something, and given up when it does not answer. */
  readonly heartbeatSeconds: number;
};

export type SocketParts = {
  readonly webSocket: WebSocketFactory;
  readonly runtime: Runtime;
  readonly isWanted: () => boolean;
  readonly opened: () => void;
  /** A message: its verb, and what follows. */
  readonly received: (message: readonly [unknown, ...unknown[]]) => void;
  readonly closed: () => void;
  /** Asks the relay something that it answers; false when there is nothing to ask. */
  readonly heartbeat: () => boolean;
};

// A relay that sends more than this in one message does not keep to any limit that a drop could need.
const MAX_MESSAGE_CHARS = 4 * 1024 * 1024;
const NO_ANSWER = "no answer";

type Timer = ReturnType<typeof setTimeout> | undefined;

export class RelaySocket {
  readonly #url: string;
  readonly #parts: SocketParts;
  readonly #settings: SocketSettings;
  #socket: WebSocketLike | undefined;
  #isOpen = false;
  #attempts = 0;
  #failure = NO_ANSWER;
  #retryTimer: Timer;
  #answerTimer: Timer;
  #heartbeatTimer: Timer;
  #idleTimer: Timer;

  constructor(url: string, parts: SocketParts, settings: SocketSettings) {
    this.#url = url;
    this.#parts = parts;
    this.#settings = settings;
  }

  /** Why the last try did not lead to an answer. */
  get failure(): string {
    return this.#failure;
  }

  /** The socket of this moment, to tell whether it is still the same later. */
  get current(): object | undefined {
    return this.#socket;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  send(message: readonly unknown[]): void {
    if (this.#isOpen) this.#socket?.send(JSON.stringify(message));
  }

  /** Somebody waits for an answer now: connects, however long the relay was not there. */
  connect(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
    if (this.#socket !== undefined) return;
    clearTimeout(this.#retryTimer);
    this.#attempts = 0;
    this.#open();
  }

  /** Something is wanted no more. If that was the last, the connection is closed after a while. */
  release(): void {
    if (this.#parts.isWanted() || this.#idleTimer !== undefined) return;
    this.#idleTimer = setTimeout(() => this.close(), this.#settings.idleSeconds * 1_000);
  }

  /** Whatever the relay says next is an answer; without one in time it counts as broken, for the reason `otherwise`. */
  expectAnswer(otherwise: string): void {
    clearTimeout(this.#answerTimer);
    if (this.#socket === undefined) return;
    const { patienceSeconds } = this.#settings;
    this.#answerTimer = setTimeout(() => this.#break(otherwise), patienceSeconds * 1_000);
  }

  /** The relay did what it was asked: the next break is a new one. One that only talks and hangs up is met less and less often. */
  resetBackoff(): void {
    this.#attempts = 0;
  }

  /** Closes the connection until somebody wants it again. */
  close(): void {
    for (const timer of [this.#retryTimer, this.#idleTimer]) clearTimeout(timer);
    this.#idleTimer = undefined;
    this.#discard();
  }

  #open(): void {
    let socket: WebSocketLike;
    try {
      socket = new this.#parts.webSocket(this.#url);
    } catch (error) {
      this.#failure = (error as Error).message;
      this.#parts.closed();
      this.#reconnectLater();
      return;
    }
    this.#socket = socket;
    this.expectAnswer("no connection");
    // What an earlier socket still says is of no interest.
    const isCurrent = (): boolean => this.#socket === socket;
    socket.addEventListener("open", () => {
      if (!isCurrent()) return;
      this.#isOpen = true;
      this.#failure = NO_ANSWER;
      this.#sawLife();
      this.#parts.opened();
    });
    socket.addEventListener("message", ({ data }) => {
      if (isCurrent()) this.#receive(data);
    });
    socket.addEventListener("error", (event) => {
      const { message } = event as { message?: unknown };
      if (isCurrent() && typeof message === "string" && message !== "") this.#failure = message;
    });
    socket.addEventListener("close", () => {
      if (!isCurrent()) return;
      const isKnown = !this.#isOpen && this.#failure !== NO_ANSWER;
      this.#break(isKnown ? this.#failure : "the connection broke");
    });
  }

  #receive(data: unknown): void {
    if (typeof data !== "string" || data.length > MAX_MESSAGE_CHARS) return;
    let message: unknown;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (!Array.isArray(message) || message.length === 0) return;
    this.#sawLife();
    this.#parts.received(message as unknown as readonly [unknown, ...unknown[]]);
  }

  // A connection that breaks without a word, as one behind a sleeping router does, tells neither side.
  #sawLife(): void {
    clearTimeout(this.#answerTimer);
    clearTimeout(this.#heartbeatTimer);
    this.#heartbeatTimer = setTimeout(() => {
      if (this.#parts.heartbeat()) this.expectAnswer("the connection is dead");
    }, this.#settings.heartbeatSeconds * 1_000);
  }

  #break(why: string): void {
    this.#failure = why;
    this.#discard();
    if (this.#parts.isWanted()) this.#reconnectLater();
  }

  #discard(): void {
    clearTimeout(this.#answerTimer);
    clearTimeout(this.#heartbeatTimer);
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    this.#isOpen = false;
    socket.close();
    this.#parts.closed();
  }

  #reconnectLater(): void {
    const { retrySeconds, maxRetrySeconds } = this.#settings;
    const { runtime } = this.#parts;
    const seconds = backoffSeconds(retrySeconds, this.#attempts, maxRetrySeconds, runtime);
    this.#attempts += 1;
    this.#retryTimer = setTimeout(() => {
      if (this.#parts.isWanted() && this.#socket === undefined) this.#open();
    }, seconds * 1_000);
  }
}
