import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket as NetSocket } from "node:net";

import { type RawData, type WebSocket, WebSocketServer } from "ws";

import type {
  Socket,
  SocketHandlers,
  Transport,
  TransportHandlers,
  TransportSettings,
} from "./transport.ts";
import { addressOf, answer, onceOver, send } from "./ws-http.ts";

// `reusePort` came with 22.12 and, in the next line, 23.1; older ones ignore it.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const CAN_SHARE_PORTS = major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);

/** The default transport: Node's HTTP server and the `ws` package. */
export const wsTransport: Transport = async (settings, handlers) => {
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: settings.maxMessageBytes,
    // Ciphertext does not compress, and a compressor costs every socket 300 KB.
    perMessageDeflate: false,
    clientTracking: true,
    autoPong: false,
  });
  if (settings.sharesPort && !CAN_SHARE_PORTS) {
    throw new Error(`Node ${process.versions.node} cannot share a port; 22.12 and later can`);
  }
  const server = createServer({
    // Slow handshakes are looked for this often.
    connectionsCheckingInterval: Math.min(1_000, settings.handshakeSeconds * 250),
  });
  server.headersTimeout = settings.handshakeSeconds * 1_000;
  server.requestTimeout = settings.handshakeSeconds * 1_000;
  const answering = new Set<Promise<void>>();
  let isClosing = false;

  server.on("upgrade", (request, stream: NetSocket, head) => {
    stream.on("error", () => stream.destroy());
    // A connection from before may still ask.
    if (isClosing) return refuse(stream, "503 Service Unavailable");
    const address = addressOf(request, settings);
    if (!handlers.admits(address)) return refuse(stream, "429 Too Many Requests");
    webSockets.handleUpgrade(request, stream, head, (webSocket) => {
      stream.setNoDelay(true);
      connect(webSocket, stream, address, handlers);
    });
  });
  server.on("request", (request, response) => {
    if (isClosing) {
      response.writeHead(503, { connection: "close", "content-length": 0 }).end();
      return;
    }
    const address = addressOf(request, settings);
    const refusal = handlers.began(address);
    if (refusal !== undefined) {
      response.shouldKeepAlive = false;
      send(request, response, refusal, settings);
      return;
    }
    const over = new Promise<void>((resolve) => onceOver(request, response, resolve));
    answering.add(over);
    void over.then(() => {
      answering.delete(over);
      handlers.ended(address);
    });
    void answer(request, response, settings, handlers, over);
  });

  await listening(server, settings);
  const closed = new Promise<void>((resolve) => server.once("close", () => resolve()));
  function stopListening(): void {
    if (isClosing) return;
    isClosing = true;
    server.close();
    server.closeIdleConnections();
  }
  async function close(graceMs: number): Promise<void> {
    stopListening();
    const gone = [...webSockets.clients].map(
      (webSocket) => new Promise<void>((resolve) => webSocket.once("close", () => resolve())),
    );
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([Promise.all([...gone, ...answering]), grace]);
    clearTimeout(timer);
    for (const webSocket of webSockets.clients) webSocket.terminate();
    server.closeAllConnections();
    await Promise.all([...gone, ...answering, closed]);
  }
  let closing: Promise<void> | undefined;
  return {
    port: (server.address() as AddressInfo).port,
    async stopListening() {
      stopListening();
    },
    close: (graceMs) => (closing ??= close(graceMs)),
  };
};

// An idle connection costs what it holds: one object, and functions that all of them share.
//
// Text messages are framed here and not by `ws`: a server's frame is a length and the text (RFC 6455, 5.2), and what is sent in one turn of the event loop
// leaves as one piece of memory, not as two for each message. `ws` writes whole frames too, so the two never mix.
class WsSocket implements Socket {
  readonly address: string;
  readonly #webSocket: WebSocket;
  readonly #stream: NetSocket;
  #relay: SocketHandlers | undefined;
  // Sent in this turn.
  #texts: string[] | undefined;
  #textChars = 0;

  constructor(webSocket: WebSocket, stream: NetSocket, address: string) {
    this.#webSocket = webSocket;
    this.#stream = stream;
    this.address = address;
  }

  get bufferedBytes(): number {
    return this.#stream.writableLength + this.#textChars;
  }

  send(text: string): void {
    if (!this.#isOpen) return;
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
    if (this.#isOpen && this.#stream.writable) this.#stream.write(framed(texts), this.#left);
  }

  ping(): void {
    if (!this.#isOpen) return;
    this.flush();
    this.#webSocket.ping(undefined, undefined, this.#left);
  }

  /** Answers a ping. The last thing that leaves may be this, and `drained` waits for it. */
  pong(data: Buffer): void {
    this.#webSocket.pong(data, false, this.#left);
  }

  close(code: number, reason: string): void {
    this.flush();
    this.#webSocket.close(code, reason);
  }

  terminate(): void {
    this.#webSocket.terminate();
  }

  listen(handlers: TransportHandlers): void {
    this.#relay = handlers.opened(this);
  }

  received(message: Buffer, isBinary: boolean): void {
    if (!this.#isOpen) return;
    this.#relay?.heard();
    this.#relay?.received(isBinary ? undefined : message.toString("utf8"));
    // What is answered at once leaves before `ws` answers a close that came in the same segment.
    this.flush();
  }

  heard(): void {
    if (this.#isOpen) this.#relay?.heard();
  }

  closed(): void {
    this.#relay?.closed();
  }

  get #isOpen(): boolean {
    return this.#webSocket.readyState === this.#webSocket.OPEN;
  }

  readonly #left = (error?: Error | null): void => {
    if (error instanceof Error || !this.#isOpen || this.bufferedBytes > 0) return;
    this.#relay?.drained();
  };
}

function flush(socket: WsSocket): void {
  socket.flush();
}

const FINAL_TEXT = 0x81;
// More than this does not wait for the end of the turn: the system may take it already.
const MOST_CHARS = 65_536;

function framed(texts: readonly string[]): Buffer {
  const lengths = texts.map((text) => Buffer.byteLength(text));
  let total = 0;
  for (const length of lengths) total += headBytes(length) + length;
  const frames = Buffer.allocUnsafe(total);
  let at = 0;
  for (const [index, text] of texts.entries()) {
    const length = lengths[index] ?? 0;
    frames[at] = FINAL_TEXT;
    if (length < 126) {
      frames[at + 1] = length;
    } else if (length < 65_536) {
      frames[at + 1] = 126;
      frames.writeUInt16BE(length, at + 2);
    } else {
      frames[at + 1] = 127;
      frames.writeBigUInt64BE(BigInt(length), at + 2);
    }
    at += headBytes(length);
    at += frames.write(text, at, length, "utf8");
  }
  return frames;
}

function headBytes(length: number): number {
  return length < 126 ? 2 : length < 65_536 ? 4 : 10;
}

const SOCKET = Symbol("socket");

type Connected = WebSocket & { [SOCKET]: WsSocket };

function connect(
  webSocket: WebSocket,
  stream: NetSocket,
  address: string,
  handlers: TransportHandlers,
): void {
  const socket = new WsSocket(webSocket, stream, address);
  (webSocket as Connected)[SOCKET] = socket;
  socket.listen(handlers);
  webSocket.on("message", onMessage);
  webSocket.on("ping", onPing);
  webSocket.on("pong", onSign);
  webSocket.on("close", onClose);
  // `ws` closes the socket itself, with the code that says what was wrong.
  webSocket.on("error", onError);
}

function onMessage(this: WebSocket, message: RawData, isBinary: boolean): void {
  (this as Connected)[SOCKET].received(message as Buffer, isBinary);
}

function onPing(this: WebSocket, data: Buffer): void {
  const socket = (this as Connected)[SOCKET];
  socket.pong(data);
  socket.heard();
}

function onSign(this: WebSocket): void {
  (this as Connected)[SOCKET].heard();
}

function onClose(this: WebSocket): void {
  (this as Connected)[SOCKET].closed();
}

function onError(): void {}

// Destroyed as soon as the answer has left, or a peer that never hangs up would keep it.
function refuse(stream: NetSocket, status: string): void {
  stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
    stream.destroy(),
  );
}

function listening(server: Server, settings: TransportSettings): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const { host, port, sharesPort } = settings;
    server.listen({ host, port, reusePort: sharesPort }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
