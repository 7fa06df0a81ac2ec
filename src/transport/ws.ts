import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Socket as NetSocket } from "node:net";

import { type RawData, type WebSocket, WebSocketServer } from "ws";

import { asksForWebSocket } from "./request-head.ts";
import type {
  ListenAt,
  Listener,
  Transport,
  TransportHandlers,
  TransportSettings,
} from "./transport.ts";
import { addressOf, answer, onceOver, send } from "./ws-http.ts";
import { introduce, listen } from "./ws-listen.ts";
import { WsSocket } from "./ws-socket.ts";

// `reusePort` came with 22.12 and, in the next line, 23.1; older ones ignore it.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const CAN_SHARE_PORTS = major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);

// How long who connected and said nothing yet is waited for at the end: its first words are on their way.
const FIRST_WORDS_MS = 500;

/** The default transport: Node's HTTP server, one for each address, and the `ws` package. */
export const wsTransport: Transport = async (settings, handlers) => {
  if (settings.sharesPorts && !CAN_SHARE_PORTS) {
    throw new Error(`Node ${process.versions.node} cannot share a port; 22.12 and later can`);
  }
  const state: State = {
    settings,
    handlers,
    webSockets: new WebSocketServer({
      noServer: true,
      maxPayload: settings.maxMessageBytes,
      // Ciphertext does not compress, and a compressor costs every socket 300 KB.
      perMessageDeflate: false,
      clientTracking: true,
      autoPong: false,
    }),
    answering: new Set(),
    latest: new WeakMap(),
    ignored: new Set(),
    silent: new Set(),
    allSpoke() {},
    isStopping: false,
  };
  const servers: Server[] = [];
  const ports: number[] = [];
  try {
    for (const address of settings.addresses) {
      const server = serverAt(address, state);
      servers.push(server);
      ports.push(await listen(server, address, settings.sharesPorts));
    }
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
  return listener(servers, ports, state);
};

// What the servers of all addresses have in common.
type State = {
  readonly settings: TransportSettings;
  readonly handlers: TransportHandlers;
  readonly webSockets: WebSocketServer;
  /** The requests that are being answered, and of each connection the latest. */
  readonly answering: Set<Promise<void>>;
  readonly latest: WeakMap<NetSocket, Promise<void>>;
  /** Connections whose upgrade is ignored, while it waits for the request before it. */
  readonly ignored: Set<NetSocket>;
  /** Connections that have not asked anything yet. */
  readonly silent: Set<NetSocket>;
  /** Called when none of them is left. */
  allSpoke: () => void;
  /** Each connection is closed after one more answer. */
  isStopping: boolean;
};

function serverAt(address: ListenAt, state: State): Server {
  const { settings, handlers, webSockets, answering, latest, ignored, silent } = state;
  const server = createServer({
    // Slow handshakes are looked for this often.
    connectionsCheckingInterval: Math.min(1_000, settings.handshakeSeconds * 250),
  });
  server.headersTimeout = settings.handshakeSeconds * 1_000;
  server.requestTimeout = settings.handshakeSeconds * 1_000;
  if (address.introduced !== undefined) {
    introduce(server, address.introduced, settings.handshakeSeconds);
  }

  function spoke(this: NetSocket): void {
    this.off("close", spoke);
    if (silent.delete(this) && silent.size === 0) state.allSpoke();
  }
  server.on("connection", (stream: NetSocket) => {
    silent.add(stream);
    stream.on("close", spoke);
  });

  server.on("upgrade", (request, stream: NetSocket, head) => {
    spoke.call(stream);
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
    const peer = addressOf(request, address);
    if (!handlers.admits(peer)) return refuse(stream, "429 Too Many Requests");
    webSockets.handleUpgrade(request, stream, head, (webSocket) => {
      stream.setNoDelay(true);
      connect(webSocket, stream, peer, handlers);
    });
  });
  server.on("request", (request, response) => {
    spoke.call(request.socket);
    if (state.isStopping) response.shouldKeepAlive = false;
    const peer = addressOf(request, address);
    const refusal = handlers.began(peer);
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
      handlers.ended(peer);
    });
    void answer(request, response, { settings, handlers, address: peer, over });
  });
  return server;
}

function listener(servers: readonly Server[], ports: readonly number[], state: State): Listener {
  const { webSockets, answering, ignored, silent } = state;
  const closed = Promise.all(
    servers.map((server) => new Promise<void>((resolve) => server.once("close", () => resolve()))),
  );
  function stopListening(): void {
    if (state.isStopping) return;
    state.isStopping = true;
    for (const server of servers) {
      server.close();
      server.closeIdleConnections();
    }
  }
  // Who finishes a handshake or asks meanwhile is waited for, too.
  async function emptied(): Promise<void> {
    while (webSockets.clients.size + answering.size > 0) {
      const gone = [...webSockets.clients].map(
        (webSocket) => new Promise<void>((resolve) => webSocket.once("close", () => resolve())),
      );
      await Promise.all([...gone, ...answering]);
    }
  }
  async function close(graceMs: number): Promise<void> {
    stopListening();
    const spoken = new Promise<void>((resolve) => {
      state.allSpoke = resolve;
      if (silent.size === 0) resolve();
    });
    const grace = after(graceMs);
    const words = after(Math.min(graceMs, FIRST_WORDS_MS));
    await Promise.race([spoken, words.over]);
    const empty = emptied();
    await Promise.race([empty, grace.over]);
    words.cancel();
    grace.cancel();
    for (const webSocket of webSockets.clients) webSocket.terminate();
    for (const stream of [...ignored, ...silent]) stream.destroy();
    for (const server of servers) server.closeAllConnections();
    await Promise.all([empty, closed]);
  }
  let closing: Promise<void> | undefined;
  return {
    ports,
    async stopListening() {
      stopListening();
    },
    close: (graceMs) => (closing ??= close(graceMs)),
  };
}

function after(ms: number): { readonly over: Promise<void>; readonly cancel: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return { over, cancel: () => clearTimeout(timer) };
}

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
