import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo, Socket as NetSocket } from "node:net";

import { type RawData, type WebSocket, WebSocketServer } from "ws";

import { asksForWebSocket, NO_GUESS } from "./request-head.ts";
import type { Transport, TransportHandlers, TransportSettings } from "./transport.ts";
import { addressOf, answer, onceOver, send } from "./ws-http.ts";
import { WsSocket } from "./ws-socket.ts";

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
  const latest = new WeakMap<NetSocket, Promise<void>>();
  const ignored = new Set<NetSocket>();
  let isClosing = false;

  server.on("upgrade", (request, stream: NetSocket, head) => {
    stream.on("error", () => stream.destroy());
    const { connection, upgrade } = request.headers;
    if (!asksForWebSocket(request.method, connection, upgrade)) {
      // Behind another request of its connection it waits until that is answered.
      ignored.add(stream);
      void (latest.get(stream) ?? Promise.resolve()).then(() => {
        ignored.delete(stream);
        if (!stream.destroyed) serveWithoutUpgrade(server, request, stream, head);
      });
      return;
    }
    // `ws` knows it alone, and not in a list.
    request.headers.upgrade = "websocket";
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
      response.writeHead(503, { ...NO_GUESS, connection: "close", "content-length": 0 }).end();
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
    latest.set(request.socket, over);
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
    for (const stream of ignored) stream.destroy();
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

// Node has let go of the connection, so it gets it anew, with the head as it came but for the upgrade.
function serveWithoutUpgrade(
  server: Server,
  request: IncomingMessage,
  stream: NetSocket,
  rest: Buffer,
): void {
  const { method, url, httpVersion, rawHeaders } = request;
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    if (name.toLowerCase() !== "upgrade") text += `${name}: ${rawHeaders[index + 1]}\r\n`;
  }
  stream.setTimeout(0);
  stream.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, "latin1"), rest]));
  server.emit("connection", stream);
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
  socket.handlers = handlers.opened(socket);
  webSocket.on("message", onMessage);
  webSocket.on("ping", onPing);
  webSocket.on("pong", onPong);
  webSocket.on("close", onClose);
  // `ws` closes the socket itself, with the code that says what was wrong.
  webSocket.on("error", onError);
}

// Functions that all sockets share: an idle one costs what it holds.

function onMessage(this: WebSocket, message: RawData, isBinary: boolean): void {
  const socket = (this as Connected)[SOCKET];
  if (!socket.isOpen) return;
  socket.handlers?.received(isBinary ? undefined : (message as Buffer).toString("utf8"));
  // What is answered at once leaves before `ws` answers a close that came in the same segment.
  socket.flush();
}

function onPing(this: WebSocket, data: Buffer): void {
  const socket = (this as Connected)[SOCKET];
  if (!socket.isOpen) return;
  socket.pong(data);
  socket.handlers?.pinged();
}

function onPong(this: WebSocket): void {
  const socket = (this as Connected)[SOCKET];
  if (socket.isOpen) socket.handlers?.ponged();
}

function onClose(this: WebSocket): void {
  (this as Connected)[SOCKET].handlers?.closed();
}

function onError(): void {}

// Destroyed as soon as the answer has left, or a peer that never hangs up would keep it.
function refuse(stream: NetSocket, status: string): void {
  stream.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\nX-Content-Type-Options: nosniff\r\n\r\n`,
    () => stream.destroy(),
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
