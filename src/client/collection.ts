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
  | Unreadable;

/** A drop that cannot be opened. It stays where it is until it is acknowledged or expires. */
export type Unreadable = {
  readonly type: "unreadable";
  readonly id: string;
  readonly why: string;
  /** Whether it never can be, with this key: it is not tried again. Otherwise the signer was not there, or would not. */
  readonly isFinal: boolean;
  readonly drop: NostrEvent;
  readonly relay: string;
};

/** How far one relay has come. */
export type CollectionReport = {
  readonly url: string;
  /** `complete`: everything it holds was brought. `failed`, for `reason`: a watch goes on trying. */
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
  /** Whether a drop that cannot be opened is to be handed out. */
  readonly admit: (unreadable: Unreadable) => boolean;
  /** Keeps what is known of the drops that were opened, for a later process. Resolves to whether there was anything. */
  readonly keep: () => Promise<boolean>;
  readonly signal: AbortSignal | undefined;
  /** Told whenever a relay has come further, or has failed. */
  readonly progress: ((report: CollectionReport) => void) | undefined;
};

// While so many wait for the caller no relay is asked for another page, and what comes live stays where it is.
const MAX_WAITING = 500;
// What cannot be read waits for what can, up to some thousands of usual drops.
const MAX_UNREADABLE_CHARS = 16 * 1024 * 1024;
// Opening a drop is a few milliseconds of arithmetic. A page that shows what it reads stays alive in between.
const TURN_MS = 20;

/**
 * What the relays bring, opened one at a time as the caller asks for it: what can be read as it is found, and when the relays have been read what cannot.
 * Ends when every relay has brought all it holds or was given up, or, while it watches, when it is stopped: by its signal, or by leaving the loop.
 */
export class Collection implements AsyncIterable<PickedUp> {
  /** Resolves when all that the relays hold was handed out, as far as they could be read. What a watch brings after that has come since. */
  readonly caughtUp: Promise<void>;
  readonly #parts: CollectionParts;
  readonly #waiting: ReceivedDrop[] = [];
  // By their ids, so that a second copy is not tried.
  readonly #unreadable = new Map<string, Unreadable>();
  readonly #reports = new Map<string, CollectionReport>();
  #unreadableChars = 0;
  #isOver = false;
  #isStarted = false;
  #changed: (() => void)[] = [];
  #catchUp: () => void = () => {};

  constructor(parts: CollectionParts) {
    this.#parts = parts;
    this.caughtUp = new Promise((resolve) => (this.#catchUp = resolve));
  }

  /** Relay by relay, as it is now. */
  get reports(): readonly CollectionReport[] {
    return [...this.#reports.values()];
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PickedUp> {
    if (this.#isStarted) throw new Error("a collection can be gone through once");
    this.#isStarted = true;
    const { signal, keep } = this.#parts;
    if (signal?.aborted === true) return this.#catchUp();
    const stop = this.#parts.start(this);
    const aborted = (): void => {
      this.#waiting.length = 0;
      this.#unreadable.clear();
      this.end();
    };
    signal?.addEventListener("abort", aborted);
    let turn = performance.now();
    try {
      for (;;) {
        if (performance.now() - turn > TURN_MS) {
          await new Promise((resolve) => setTimeout(resolve));
          turn = performance.now();
        }
        const picked = this.#takeUnreadable() ?? (await this.#openNext());
        if (picked !== undefined) {
          // Before it is shown, as whoever sees it may acknowledge it in another process; but once for many.
          if (this.#isIdle) await keep();
          yield picked;
        } else if (this.#isIdle && !(await keep()) && this.#isIdle) {
          if (this.#isOver) return;
          if (this.#reports.size > 0 && !this.#isReading) this.#catchUp();
          await this.#change();
        }
      }
    } finally {
      signal?.removeEventListener("abort", aborted);
      this.end();
      stop();
      this.#catchUp();
      await keep();
    }
  }

  // --- called by those who read the relays

  receive(received: ReceivedDrop): void {
    if (this.#isOver) return;
    this.#waiting.push(received);
    this.#wake();
  }

  report(url: string, state: CollectionReport["state"], reason = ""): void {
    const before = this.#reports.get(url);
    if (before?.state === state && before.reason === reason) return;
    const report = { url, state, reason };
    this.#reports.set(url, report);
    try {
      this.#parts.progress?.(report);
    } catch {
      // Theirs, who are told: the relays are read on.
    }
    this.#wake();
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

  // --- what is handed out next

  // Nothing to do now.
  get #isIdle(): boolean {
    return this.#waiting.length === 0 && (this.#unreadable.size === 0 || this.#isReading);
  }

  get #isReading(): boolean {
    if (this.#isOver) return false;
    for (const { state } of this.#reports.values()) if (state === "reading") return true;
    return false;
  }

  async #openNext(): Promise<PickedUp | undefined> {
    const received = this.#waiting.shift();
    if (received === undefined) return undefined;
    if (this.#waiting.length < MAX_WAITING) this.#wake();
    const { id, content } = received.drop;
    if (this.#unreadable.has(id)) return undefined;
    const picked = await this.#parts.open(received);
    if (picked?.type !== "unreadable") return picked;
    this.#unreadable.set(id, picked);
    this.#unreadableChars += content.length;
    return undefined;
  }

  #takeUnreadable(): Unreadable | undefined {
    const isTime = this.#waiting.length === 0 && !this.#isReading;
    if (!isTime && this.#unreadableChars < MAX_UNREADABLE_CHARS) return undefined;
    const [first] = this.#unreadable.values();
    if (first === undefined) return undefined;
    this.#unreadable.delete(first.id);
    this.#unreadableChars -= first.drop.content.length;
    return this.#parts.admit(first) ? first : undefined;
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
