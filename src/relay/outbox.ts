import type { CutOff, Observer } from "./observer.ts";
import type { Holding } from "./holdings.ts";
import type { Socket } from "../transport/transport.ts";

/** The part of a socket, or of the body of an HTTP answer, that an outbox fills. */
type Sink = Pick<Socket, "bufferedBytes" | "send" | "cork" | "terminate">;

// By how much more waits than is counted as held before it is counted anew.
const ACCOUNTED_BYTES = 4 * 1024;
// What waits before more follows: little enough that a slow reader takes it in the time after which it would count as dead.
const ROOM_BYTES = 256 * 1024;

/**
 * What one connection is sent. Bounded by `maxBytes`: who sends stored drops asks for room first and waits for the reader; who sends what cannot wait
 * finds a full outbox, and the reader is cut off.
 */
export class Outbox {
  readonly #socket: Sink;
  readonly #holding: Holding;
  readonly #maxBytes: number;
  readonly #observer: Observer;
  #isOpen = true;
  #kept = 0;
  #waiting: ((isOpen: boolean) => void)[] | undefined;
  #stalled: { bufferedBytes: number; since: number } | undefined;

  constructor(socket: Sink, holding: Holding, maxBytes: number, observer: Observer) {
    this.#socket = socket;
    this.#holding = holding;
    this.#maxBytes = maxBytes;
    this.#observer = observer;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Sends one message; answers false when the connection is gone, or is cut off because this would not fit. */
  send(text: string): boolean {
    if (!this.#isOpen) return false;
    const bytes = this.#socket.bufferedBytes + text.length;
    if (bytes > this.#maxBytes) {
      this.cutOff("does not read");
      return false;
    }
    this.#socket.send(text);
    return bytes < this.#kept + ACCOUNTED_BYTES || this.#account();
  }

  // What waits to be read counts as held: what left since it was last looked at is given back, what came is taken.
  #account(): boolean {
    const { bufferedBytes } = this.#socket;
    const more = bufferedBytes - this.#kept;
    if (more > 0 && !this.#holding.take(more)) {
      this.cutOff("does not read");
      return false;
    }
    if (more < 0) this.#holding.give(-more);
    this.#kept = bufferedBytes;
    return true;
  }

  /** Cuts off a peer that has more waiting than it may: what the transport answered by itself counts, too. */
  checkSize(): void {
    if (this.#isOpen && this.#account() && this.#kept > this.#maxBytes)
      this.cutOff("does not read");
  }

  /** Runs `work` and lets what it sends leave together. */
  cork(work: () => void): void {
    this.#socket.cork(work);
  }

  /** Whether enough of what was sent has left for more to follow. */
  get hasRoom(): boolean {
    return this.#socket.bufferedBytes < Math.min(ROOM_BYTES, this.#maxBytes / 4);
  }

  /** Resolves to true when there is room for more, to false when the connection is gone. */
  room(): Promise<boolean> {
    if (!this.#isOpen || this.hasRoom) return Promise.resolve(this.#isOpen);
    if (this.#waiting === undefined) this.#holding.readerWaits(1);
    return new Promise((resolve) => (this.#waiting ??= []).push(resolve));
  }

  /** Ends the connection of a peer that takes less than it asked for, or asks for more than it may. */
  cutOff(why: CutOff): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#observer.count(`connection cut off: ${why}`);
    this.#socket.terminate();
  }

  /** Cuts off a peer that talks but does not read: stored drops wait for it, but not for longer than `seconds`. `now` is monotonic. */
  checkStall(now: number, seconds: number): void {
    const { bufferedBytes } = this.#socket;
    if (this.#waiting === undefined) this.#stalled = undefined;
    else if (this.#stalled === undefined || bufferedBytes < this.#stalled.bufferedBytes) {
      this.#stalled = { bufferedBytes, since: now };
    }
    if (this.#stalled !== undefined && now - this.#stalled.since >= seconds) {
      this.cutOff("does not read");
    }
  }

  /** For so many seconds before `now` nobody here wrote: they do not count as the peer's. */
  excuse(seconds: number, now: number): void {
    if (this.#stalled === undefined) return;
    this.#stalled.since = Math.min(now, this.#stalled.since + seconds);
  }

  /** The socket says that everything sent has left. */
  drained(): void {
    this.#account();
    this.#wake(true);
  }

  /** The socket says that it is gone. */
  closed(): void {
    this.#isOpen = false;
    this.#wake(false);
  }

  #wake(isOpen: boolean): void {
    // It took all there was: what it is sent next is counted anew.
    this.#stalled = undefined;
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    this.#holding.readerWaits(-1);
    for (const resolve of waiting) resolve(isOpen);
  }
}
