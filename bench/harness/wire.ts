// A WebSocket client that costs as little as a client can, so that what is measured is the relay: frames are made, and masked, before the clock starts, and
// what comes back is looked at in the buffer it came in.

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { randomBytes } from "node:crypto";

const TEXT = 0x81;
const PING = 0x89;
const PONG = 0x8a;
const CLOSE = 0x88;
const MASKED = 0x80;
const NOTHING = Buffer.alloc(0);
// One for all connections: each read is looked at to its end before the next.
const READ_BUFFER = Buffer.allocUnsafe(256 * 1_024);

/** A text frame as a client sends it (RFC 6455, section 5.2), with a random mask: some relays skip the work for a mask of zeros. */
export function frame(text: string): Buffer {
  return masked(TEXT, Buffer.from(text));
}

/** A ping with `body`, of at most 125 bytes, which the peer's pong brings back. */
export function pingFrame(body: Uint8Array): Buffer {
  return masked(PING, body);
}

function masked(opcode: number, body: Uint8Array): Buffer {
  const { length } = body;
  const lengthBytes = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = 2 + lengthBytes;
  const bytes = Buffer.allocUnsafe(head + 4 + length);
  bytes[0] = opcode;
  if (lengthBytes === 0) bytes[1] = MASKED | length;
  else if (lengthBytes === 2) {
    bytes[1] = MASKED | 126;
    bytes.writeUInt16BE(length, 2);
  } else {
    bytes[1] = MASKED | 127;
    bytes.writeBigUInt64BE(BigInt(length), 2);
  }
  const mask = randomBytes(4);
  mask.copy(bytes, head);
  for (let at = 0; at < length; at += 1) {
    bytes[head + 4 + at] = (body[at] ?? 0) ^ (mask[at & 3] ?? 0);
  }
  return bytes;
}

/** A text message in the buffer it was read into, valid during the call: from `start` up to `end`. */
export type OnMessage = (buffer: Buffer, start: number, end: number) => void;

/** One connection to a relay. */
export class Wire {
  onMessage: OnMessage = () => {};
  onPong: () => void = () => {};
  /** Whether what comes is thrown away as it is, which costs next to nothing. */
  isDeaf = false;
  /** What came so far, with the frames it came in. */
  receivedBytes = 0;
  readonly #socket: Socket;
  #kept: Buffer = Buffer.alloc(0);
  #isOpen = true;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => {});
    socket.once("close", () => {
      this.#isOpen = false;
    });
  }

  /**
   * Resolves when the relay agreed to speak WebSocket. `onMessage` hears also of what came right behind that. A relay that trusts this machine as a
   * proxy takes the client for one at `address`.
   */
  static async connect(
    url: string,
    onMessage: OnMessage = () => {},
    address?: string,
  ): Promise<Wire> {
    const { hostname, port, pathname } = new URL(url);
    let read: ((bytes: Buffer) => void) | undefined;
    const socket = connect({
      host: hostname,
      port: Number(port),
      noDelay: true,
      onread: {
        buffer: READ_BUFFER,
        callback(count, buffer) {
          read?.(Buffer.from(buffer.buffer, buffer.byteOffset, count));
          return true;
        },
      },
    });
    await once(socket, "connect");
    const wire = new Wire(socket);
    wire.onMessage = onMessage;
    const key = randomBytes(16).toString("base64");
    socket.write(
      `GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n` +
        `${address === undefined ? "" : `X-Forwarded-For: ${address}\r\n`}\r\n`,
    );
    await new Promise<void>((resolve, reject) => {
      let head: Buffer = Buffer.alloc(0);
      const gone = (): void => reject(new Error(`${url} hung up`));
      socket.once("close", gone);
      read = (bytes) => {
        head = Buffer.concat([head, bytes]);
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        socket.off("close", gone);
        const status = head.toString("latin1", 0, head.indexOf("\r\n"));
        if (!status.includes(" 101 ")) return reject(new Error(`${url} answered ${status}`));
        read = (more) => wire.#read(more);
        wire.#read(head.subarray(end + 4));
        resolve();
      };
    });
    return wire;
  }

  get isOpen(): boolean {
    // What is destroyed closes only when the event loop comes to it.
    return this.#isOpen && !this.#socket.destroyed;
  }

  get sentBytes(): number {
    return this.#socket.bytesWritten;
  }

  /** Sends frames that `frame` made. */
  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Sends, and resolves when the system took all of it or the connection is gone: no faster than the relay reads. */
  sendAll(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.write(bytes, () => resolve());
    });
  }

  /** Asks for a pong, which the relay's event loop sends when it comes to it. */
  ping(): void {
    this.#socket.write(masked(PING, NOTHING));
  }

  /** Holds back what is sent until `uncork`, so that it leaves in one piece. */
  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  /** Stops reading, as a peer that is busy elsewhere does. */
  pause(): void {
    this.#socket.pause();
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    const closed = once(this.#socket, "close");
    this.#socket.destroy();
    await closed;
  }

  #read(bytes: Buffer): void {
    this.receivedBytes += bytes.length;
    if (this.isDeaf) return;
    const buffer = this.#kept.length === 0 ? bytes : Buffer.concat([this.#kept, bytes]);
    let at = 0;
    while (buffer.length - at >= 2) {
      const short = (buffer[at + 1] ?? 0) & 0x7f;
      const head = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (buffer.length - at < head) break;
      const length =
        short < 126
          ? short
          : short === 126
            ? buffer.readUInt16BE(at + 2)
            : Number(buffer.readBigUInt64BE(at + 2));
      const start = at + head;
      const end = start + length;
      if (buffer.length < end) break;
      const opcode = buffer[at];
      if (opcode === TEXT) this.onMessage(buffer, start, end);
      else if (opcode === PING) this.#socket.write(masked(PONG, buffer.subarray(start, end)));
      else if (opcode === PONG) this.onPong();
      else if (opcode === CLOSE) this.#socket.destroy();
      at = end;
    }
    this.#kept = at === buffer.length ? Buffer.alloc(0) : Buffer.from(buffer.subarray(at));
  }
}
