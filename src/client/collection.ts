// What a pickup hands to its caller, one opened drop after the other.

import type { NostrEvent } from "../nostr/event.ts";
import type { Rumor } from "./wrap.ts";

/** What a pickup brings. */
export type PickedUp =
  | {
      readonly type: "message";
      /** The drop's id, by which it is acknowledged. */
      readonly id: string;
      readonly message: Rumor;
      /** Who wrote it: the key that sealed it. */
      readonly from: string;
      /** The key it was addressed to. */
      readonly to: string;
      /** The relay that brought it first. */
      readonly relay: string;
    }
  | {
      /** The other side says that it has these messages. */
      readonly type: "receipt";
      readonly id: string;
      readonly messages: readonly string[];
      readonly from: string;
      readonly to: string;
      readonly relay: string;
    }
  | {
      /** A drop that cannot be opened. It stays where it is until it is acknowledged or expires. */
      readonly type: "unreadable";
      readonly id: string;
      readonly why: string;
      readonly drop: NostrEvent;
      readonly relay: string;
    };

/** How far one relay has come. */
export type CollectionReport = {
  readonly url: string;
  /** `complete`: everything it holds was brought. */
  readonly state: "reading" | "complete" | "failed";
  readonly reason: string;
};

/** A drop as a relay sent it, sealed. */
export type ReceivedDrop = { readonly drop: NostrEvent; readonly relay: string };

export type CollectionParts = {
  /** Starts reading from everywhere. Answers how to stop. */
  readonly start: (collection: Collection) => () => void;
  /** Opens a drop; undefined when the caller has it already. */
  readonly open: (received: ReceivedDrop) => Promise<PickedUp | undefined>;
  readonly signal: AbortSignal | undefined;
};

// While so many wait for the caller no relay is asked for another page, and what comes live stays where it is.
const MAX_WAITING = 500;
// Opening a drop is a few milliseconds of arithmetic. A page that shows what it reads stays alive in between.
const TURN_MS = 20;

/**
 * What the relays bring, opened one at a time as the caller asks for it. Ends when every relay has brought all it holds or was given up, or, while it
 * watches, when it is stopped: by its signal, or by leaving the loop.
 */
export class Collection implements AsyncIterable<PickedUp> {
  readonly #parts: CollectionParts;
  readonly #waiting: ReceivedDrop[] = [];
  readonly #reports = new Map<string, CollectionReport>();
  #isOver = false;
  #isStarted = false;
  #changed: (() => void)[] = [];

  constructor(parts: CollectionParts) {
    this.#parts = parts;
  }

  /** Relay by relay, as it is now. */
  get reports(): readonly CollectionReport[] {
    return [...this.#reports.values()];
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PickedUp> {
    if (this.#isStarted) throw new Error("a collection can be gone through once");
    this.#isStarted = true;
    const { signal } = this.#parts;
    if (signal?.aborted === true) return;
    const stop = this.#parts.start(this);
    const aborted = (): void => {
      this.#waiting.length = 0;
      this.end();
    };
    signal?.addEventListener("abort", aborted);
    let turn = performance.now();
    try {
      for (;;) {
        const received = this.#waiting.shift();
        if (received === undefined) {
          if (this.#isOver) return;
          await this.#change();
          continue;
        }
        if (this.#waiting.length < MAX_WAITING) this.#wake();
        if (performance.now() - turn > TURN_MS) {
          await new Promise((resolve) => setTimeout(resolve));
          turn = performance.now();
        }
        const opened = await this.#parts.open(received);
        if (opened !== undefined) yield opened;
      }
    } finally {
      signal?.removeEventListener("abort", aborted);
      this.end();
      stop();
    }
  }

  // --- called by those who read the relays

  receive(received: ReceivedDrop): void {
    if (this.#isOver) return;
    this.#waiting.push(received);
    this.#wake();
  }

  report(url: string, state: CollectionReport["state"], reason = ""): void {
    this.#reports.set(url, { url, state, reason });
  }

  /** Nothing more comes. */
  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  get isFull(): boolean {
    return this.#waiting.length >= MAX_WAITING && !this.#isOver;
  }

  async room(): Promise<void> {
    while (this.isFull) await this.#change();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve));
  }

  #wake(): void {
    const changed = this.#changed;
    this.#changed = [];
    for (const resolve of changed) resolve();
  }
}
