import type { Socket as NetSocket } from "node:net";

import type { WebSocket } from "ws";

import type { Socket, SocketHandlers } from "./transport.ts";
import { framed } from "./ws-frames.ts";

// More than this does not wait for the end of the turn: the system may take it already.
const MOST_CHARS = 65_536;

/**
 * What is sent over one WebSocket. An idle connection costs what it holds: one object, and functions that all of them share.
 *
 * Text messages are framed here and not by `ws`: what is sent in one turn of the event loop leaves as one piece of memory, not as two for each message. `ws`
 * writes whole frames too, so the two never mix.
 */
export class WsSocket implements Socket {
  readonly address: string;
  readonly #webSocket: WebSocket;
  readonly #stream: NetSocket;
  /** Who hears what this socket tells. */
  handlers: SocketHandlers | undefined;
  // Sent in this turn.
  #texts: string[] | undefined;
  #textChars = 0;
  // What the latest ping said, while it could not be answered.
  #pong: Buffer | undefined;

  constructor(webSocket: WebSocket, stream: NetSocket, address: string) {
    this.#webSocket = webSocket;
    this.#stream = stream;
    this.address = address;
  }

  get bufferedBytes(): number {
    return this.#stream.writableLength + this.#textChars;
  }

  send(text: string): void {
    if (!this.isOpen) return;
    if (this.#texts === undefined) {
      this.#texts = [];
      process.nextTick(flush, this);
    }
    this.#texts.push(text);
    this.#textChars += text.length;
    if (this.#textChars >= MOST_CHARS) this.flush();
  }

  cork(work: () => void): void {
    work();
  }

  flush(): void {
    const texts = this.#texts;
    if (texts === undefined) return;
    this.#texts = undefined;
    this.#textChars = 0;
    // Nothing follows a close frame (RFC 6455, 5.5.1).
    if (this.isOpen && this.#stream.writable) this.#stream.write(framed(texts), this.#left);
  }

  ping(): void {
    if (!this.isOpen) return;
    this.flush();
    this.#webSocket.ping(undefined, undefined, this.#left);
  }

  /** Answers a ping. While something still waits to leave it waits, too, and makes way for the answer to a later one. */
  pong(data: Buffer): void {
    if (this.#stream.writableLength > 0) {
      this.#pong = data;
      return;
    }
    this.flush();
    // The last thing that leaves may be this, and `drained` waits for it.
    this.#webSocket.pong(data, false, this.#left);
  }

  close(code: number, reason: string): void {
    this.flush();
    this.#webSocket.close(code, reason);
  }

  terminate(): void {
    this.#webSocket.terminate();
  }

  get isOpen(): boolean {
    return this.#webSocket.readyState === this.#webSocket.OPEN;
  }

  readonly #left = (error?: Error | null): void => {
    if (error instanceof Error || !this.isOpen || this.bufferedBytes > 0) return;
    const pong = this.#pong;
    if (pong !== undefined) {
      this.#pong = undefined;
      this.pong(pong);
      return;
    }
    this.handlers?.drained();
  };
}

function flush(socket: WsSocket): void {
  socket.flush();
}
