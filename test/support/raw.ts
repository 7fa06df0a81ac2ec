import { once } from "node:events";
import { connect, type Socket } from "node:net";

import { onTestFinished } from "vitest";

import type { Message } from "./client.ts";
import type { AtEnd } from "./relay.ts";

export type RawOptions = {
  /** The address of this machine from which it connects. */
  readonly localAddress?: string;
  /** When it is closed, if nobody did it before. */
  readonly atEnd?: AtEnd;
};

/** A WebSocket made by hand, for what no WebSocket library would send. It answers no pings. */
export class RawSocket {
  /** Resolves when the relay ended the connection, however. */
  readonly closed: Promise<void>;
  readonly #stream: Socket;
  readonly #waiting: (() => void)[] = [];
  #text = "";

  private constructor(stream: Socket, atEnd: AtEnd) {
    this.#stream = stream;
    stream.setNoDelay(true);
    stream.on("data", (chunk: Buffer) => {
      this.#text += chunk.toString("latin1");
      for (const wake of this.#waiting.splice(0)) wake();
    });
    stream.on("error", () => {});
    this.closed = new Promise((resolve) => stream.once("close", () => resolve()));
    atEnd(() => {
      stream.destroy();
    });
  }

  /** Connects, and says nothing. */
  static async connect(url: string, options: RawOptions = {}): Promise<RawSocket> {
    const { hostname: host, port } = new URL(url);
    const { localAddress, atEnd = onTestFinished } = options;
    const stream = connect({
      port: Number(port),
      host,
      ...(localAddress !== undefined && { localAddress }),
    });
    await once(stream, "connect");
    return new RawSocket(stream, atEnd);
  }

  /** Connects and finishes the handshake. */
  static async open(url: string, options: RawOptions = {}): Promise<RawSocket> {
    const socket = await RawSocket.connect(url, options);
    socket.write(HANDSHAKE);
    await socket.hears("\r\n\r\n");
    return socket;
  }

  /** In one piece, so that the relay gets it in one piece. */
  write(bytes: string | Uint8Array): void {
    this.#stream.write(bytes);
  }

  /** Ends the connection, whatever is on its way. */
  hangUp(): void {
    this.#stream.destroy();
  }

  /** Takes nothing in any more. */
  pause(): void {
    this.#stream.pause();
  }

  /** Everything heard so far, a character for a byte. */
  get heard(): string {
    return this.#text;
  }

  /** The first so many OKs, in the order in which they came. */
  async hearOks(count: number): Promise<Message[]> {
    for (;;) {
      const heard = [...this.#text.matchAll(/\["OK",[^\]]*\]/g)].map(([text]) => text);
      if (heard.length >= count) {
        return heard.slice(0, count).map((text) => JSON.parse(text) as Message);
      }
      await this.#more();
    }
  }

  /** Resolves when this was heard. */
  async hears(text: string): Promise<void> {
    while (!this.#text.includes(text)) await this.#more();
  }

  #more(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(resolve);
      void this.closed.then(() => reject(new Error("connection closed")));
    });
  }
}

/** A text frame as a client sends it (RFC 6455, 5.2). The mask is zero, which changes nothing. */
export function frame(text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = Buffer.alloc(8);
  head[0] = 0x81;
  head[1] = 0x80 | 126;
  head.writeUInt16BE(bytes.length, 2);
  return Buffer.concat([head, bytes]);
}

/** A close frame with 1000, as a client sends it. */
export const CLOSE_FRAME = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);

/** The first part of a request to open a WebSocket, and the rest. */
export const HALF_HANDSHAKE = "GET / HTTP/1.1\r\nHost: relay.test\r\nUpgrade: websocket\r\n";
export const REST_OF_HANDSHAKE =
  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const HANDSHAKE = HALF_HANDSHAKE + REST_OF_HANDSHAKE;
