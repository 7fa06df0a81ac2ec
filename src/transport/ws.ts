import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket as NetSocket } from "node:net";

import { type RawData, type WebSocket, WebSocketServer } from "ws";

import type {
  HttpRequest,
  HttpResponse,
  Socket,
  Transport,
  TransportHandlers,
  TransportSettings,
} from "./transport.ts";

/** The default transport: Node's HTTP server and the `ws` package. */
export const wsTransport: Transport = async (settings, handlers) => {
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: settings.maxMessageBytes,
    // Ciphertext does not compress, and a compressor costs every socket 300 KB.
    perMessageDeflate: false,
    clientTracking: true,
  });
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
    const answered = answer(request, response, settings, handlers);
    answering.add(answered);
    void answered.then(() => answering.delete(answered));
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
    await Promise.all([...gone, closed]);
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

function uncork(stream: NetSocket): void {
  stream.uncork();
}

function connect(
  webSocket: WebSocket,
  stream: NetSocket,
  address: string,
  handlers: TransportHandlers,
): void {
  // A `send` left something waiting. (The stream's own "drain" comes only after more than its high-water mark has waited.)
  let isWaiting = false;
  const isOpen = (): boolean => webSocket.readyState === webSocket.OPEN;
  // One function for all writes: Node then calls it in batches.
  function left(error?: Error | null): void {
    if (error instanceof Error || !isWaiting || !isOpen() || webSocket.bufferedAmount > 0) return;
    isWaiting = false;
    relay.drained();
  }
  const socket: Socket = {
    address,
    get bufferedBytes() {
      return webSocket.bufferedAmount;
    },
    send(text) {
      if (!isOpen()) return;
      // What is sent in one turn of the event loop leaves in one piece.
      if (stream.writableCorked === 0) {
        stream.cork();
        process.nextTick(uncork, stream);
      }
      webSocket.send(text, left);
      // True inside every cork, and a sender that stops there waits for `drained` too.
      if (webSocket.bufferedAmount > 0) isWaiting = true;
    },
    cork(work) {
      stream.cork();
      try {
        work();
      } finally {
        stream.uncork();
      }
    },
    ping() {
      if (isOpen()) webSocket.ping();
    },
    close: (code, reason) => webSocket.close(code, reason),
    terminate: () => webSocket.terminate(),
  };
  const relay = handlers.opened(socket);
  webSocket.on("message", (message: RawData, isBinary: boolean) => {
    if (!isOpen()) return;
    relay.heard();
    relay.received(isBinary ? undefined : (message as Buffer).toString("utf8"));
  });
  for (const sign of ["ping", "pong"] as const) {
    webSocket.on(sign, () => {
      if (isOpen()) relay.heard();
    });
  }
  webSocket.on("close", () => relay.closed());
  // `ws` closes the socket itself, with the code that says what was wrong.
  webSocket.on("error", () => {});
}

// Resolves when the last byte of the answer has left, or the peer has.
async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  settings: TransportSettings,
  handlers: TransportHandlers,
): Promise<void> {
  const over = new Promise<void>((resolve) => response.once("close", () => resolve()));
  const body = await readBody(request, settings.maxBodyBytes);
  if (body === "hung up") return over;
  const answered: HttpResponse =
    body === "too large"
      ? { status: 413, headers: {}, body: "" }
      : await handlers.request(toRequest(request, body, settings));
  const bytes = Buffer.byteLength(answered.body);
  const hasBody = answered.status !== 204 && answered.status !== 304;
  response.writeHead(answered.status, {
    ...answered.headers,
    ...(hasBody && { "content-length": bytes }),
  });
  response.end(hasBody && request.method !== "HEAD" ? answered.body : undefined);
  return over;
}

function readBody(
  request: IncomingMessage,
  maxBytes: number,
): Promise<Buffer | "too large" | "hung up"> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) chunks.push(chunk);
    });
    // Read to its end even when it is too large, or until `requestTimeout`: a connection closed in the middle of a body may take the 413 with it.
    request.on("end", () => resolve(bytes <= maxBytes ? Buffer.concat(chunks) : "too large"));
    request.on("error", () => {});
    request.on("close", () => resolve("hung up"));
  });
}

function toRequest(
  request: IncomingMessage,
  body: Buffer,
  settings: TransportSettings,
): HttpRequest {
  const url = request.url ?? "/";
  const mark = url.indexOf("?");
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return {
    method: request.method ?? "GET",
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? "" : url.slice(mark + 1),
    headers,
    address: addressOf(request, settings),
    body,
  };
}

// Destroyed as soon as the answer has left, or a peer that never hangs up would keep it.
function refuse(stream: NetSocket, status: string): void {
  stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
    stream.destroy(),
  );
}

function addressOf(request: IncomingMessage, settings: TransportSettings): string {
  const header = request.headers["x-forwarded-for"];
  return settings.forwardedFor(
    plainAddress(request.socket.remoteAddress ?? ""),
    Array.isArray(header) ? header.join(", ") : header,
  );
}

// An IPv4 peer of a socket that listens on IPv6 is still an IPv4 peer.
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".")
    ? address.slice("::ffff:".length)
    : address;
}

function listening(server: Server, settings: TransportSettings): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(settings.port, settings.host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
