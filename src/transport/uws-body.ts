// A body that is sent piece by piece, on uWebSockets.js.
//
// `write` keeps what the system does not take in a buffer of its own, and tells little of it: a `write` that answers false says that something waits, but
// what a cork leaves waiting only the next one finds out, and nobody when it has left. So a body waits here. It is handed over in pieces until a `write`
// answers false, and goes on when the socket is writable again; the most that uWebSockets.js holds meanwhile are the last two pieces. `bufferedBytes` may
// therefore be zero, and `drained` called, while that much still waits there.

import type { BodyHandlers, BodyStream, BodyWriter } from "./transport.ts";
import type { UwsResponse } from "./uws-types.ts";

const CORK_BYTES = 16 * 1_024;
// CRLF, the length in hexadecimal, CRLF.
const FRAME_BYTES = 16;
// What does not fit the cork buffer together with its frame is sent past it, after what it holds; and, by the source of uWebSockets.js (`uncork`), dropped
// when that does not leave whole.
const PIECE_BYTES = CORK_BYTES - FRAME_BYTES;

export class UwsBody implements BodyStream {
  readonly #response: UwsResponse;
  readonly #completed: () => void;
  #handlers: BodyHandlers | undefined;
  #state: "open" | "ending" | "over" = "open";
  // Sent in this turn of the event loop.
  #text = "";
  #turn: NodeJS.Immediate | undefined;
  // What waits for the socket to be writable, and how much that is.
  #pieces: Buffer[] = [];
  #waitingBytes = 0;
  // What `write` said it could not send.
  #heldBytes = 0;
  #isWritable = false;
  #owesDrained = false;

  /** `completed` is called when the last byte was handed over. */
  constructor(response: UwsResponse, completed: () => void) {
    this.#response = response;
    this.#completed = completed;
  }

  get bufferedBytes(): number {
    return this.#text.length + this.#waitingBytes + this.#heldBytes;
  }

  send(text: string): void {
    if (this.#state !== "open" || text === "") return;
    this.#text += text;
    this.#owesDrained = true;
    this.#later();
  }

  cork(work: () => void): void {
    work();
  }

  end(): void {
    if (this.#state !== "open") return;
    this.#state = "ending";
    this.#later();
  }

  terminate(): void {
    if (this.#state !== "over") this.#response.close();
  }

  listen(write: BodyWriter): void {
    this.#response.onWritable(() => {
      this.#isWritable = true;
      this.#later();
      return true;
    });
    this.#handlers = write(this);
  }

  /** Must be called as soon as the response is complete or aborted: it may not be used any more. */
  drop(): void {
    this.#state = "over";
    clearImmediate(this.#turn);
    this.#text = "";
    this.#pieces = [];
    this.#waitingBytes = 0;
    this.#heldBytes = 0;
  }

  closed(): void {
    this.#handlers?.closed();
  }

  // Not within a callback of uWebSockets.js, where another response may be corked and this one then cannot, and where closing this one is not safe.
  #later(): void {
    this.#turn ??= setImmediate(() => this.#pump());
  }

  #pump(): void {
    this.#turn = undefined;
    this.#cut();
    if (this.#isWritable) this.#unblock();
    while (this.#heldBytes === 0) {
      const piece = this.#next();
      if (piece === undefined) return this.#emptied();
      this.#waitingBytes -= piece.length;
      if (!this.#write(piece)) this.#heldBytes = piece.length;
    }
  }

  #cut(): void {
    const bytes = Buffer.from(this.#text);
    this.#text = "";
    this.#waitingBytes += bytes.length;
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      this.#pieces.push(bytes.subarray(at, at + PIECE_BYTES));
    }
  }

  #next(): Buffer | undefined {
    const piece = this.#pieces.shift();
    const isLast = this.#state === "ending" && this.#pieces.length === 0;
    if (piece === undefined || !isLast || piece.length === 1) return piece;
    // The last byte goes alone, since it finds out whether all before it has left: nothing can be learnt after `end`.
    this.#pieces.push(piece.subarray(-1));
    return piece.subarray(0, -1);
  }

  #unblock(): void {
    this.#isWritable = false;
    this.#heldBytes = 0;
    // Leaving a cork sends what waits in uWebSockets.js. It does not do so by itself where `onWritable` is set.
    this.#response.cork(() => {});
  }

  #write(piece: Buffer): boolean {
    let isSent = false;
    this.#response.cork(() => {
      isSent = this.#response.write(piece);
    });
    return isSent;
  }

  #emptied(): void {
    if (this.#state === "ending") {
      this.#response.cork(() => this.#response.end("", false));
      return this.#completed();
    }
    if (!this.#owesDrained) return;
    this.#owesDrained = false;
    this.#handlers?.drained();
  }
}
