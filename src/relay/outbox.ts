import type { Observer } from "./observer.ts";
import type { Socket } from "../transport/transport.ts";

/** The part of a socket, or of the body of an HTTP answer, that an outbox fills. */
type Sink = Pick<Socket, "bufferedBytes" | "send" | "cork" | "terminate">;

// What waits before more follows: little enough that a slow reader takes it in the time after which it would count as dead.
const ROOM_BYTES = 256 * 1024;

/**
 * What one connection is sent. Bounded by `maxBytes`: who sends stored drops asks for room first and waits for the reader; who sends what cannot wait
 * finds a full outbox, and the reader is cut off.
 */
export class Outbox {
  readonly #socket: Sink;
  readonly #maxBytes: number;
  readonly #observer: Observer;
  #isOpen = true;
  #waiting: ((isOpen: boolean) => void)[] | undefined;
  #stalled: { bufferedBytes: number; since: number } | undefined;

  constructor(socket: Sink, maxBytes: number, observer: Observer) {
    this.#socket = socket;
    this.#maxBytes = maxBytes;
    this.#observer = observer;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Sends one message; answers false when the connection is gone, or is cut off because this would not fit. */
  send(text: string): boolean {
    if (!this.#isOpen) return false;
    if (this.#socket.bufferedBytes + text.length > this.#maxBytes) {
      this.cutOff();
      return false;
    }
    this.#socket.send(text);
    return true;
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
    return new Promise((resolve) => (this.#waiting ??= []).push(resolve));
  }

  /** Ends the connection of a peer that takes less than it asked for. */
  cutOff(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#observer.count("connection cut off: does not read");
    this.#socket.terminate();
  }

  /** Cuts off a peer that talks but does not read: stored drops wait for it, but not for longer than `seconds`. `now` is monotonic. */
  checkStall(now: number, seconds: number): void {
    const { bufferedBytes } = this.#socket;
    if (this.#waiting === undefined) this.#stalled = undefined;
    else if (this.#stalled === undefined || bufferedBytes < this.#stalled.bufferedBytes) {
      this.#stalled = { bufferedBytes, since: now };
    }
    if (this.#stalled !== undefined && now - this.#stalled.since >= seconds) this.cutOff();
  }

  /** For so many seconds before `now` nobody here wrote: they do not count as the peer's. */
  excuse(seconds: number, now: number): void {
    if (this.#stalled === undefined) return;
    this.#stalled.since = Math.min(now, this.#stalled.since + seconds);
  }

  /** The socket says that everything sent has left. */
  drained(): void {
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
    for (const resolve of waiting) resolve(isOpen);
  }
}
