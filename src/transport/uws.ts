// The second transport: uWebSockets.js, for tens of thousands of sockets that are mostly idle. What it does by its own rules:
//
// - It cuts off a peer whose request is not complete 10 s after it connected (its timer ticks every 4 s, so 8 to 12), and one that sends a body
//   slower than 16 KB/s. That cannot be changed, so `handshakeSeconds` has no effect here; 10 is its default.
// - A request's headers may hold 4 KB, or UWS_HTTP_MAX_HEADERS_SIZE of the environment; more is answered with 431.
// - A WebSocket that breaks the protocol, or sends text that is not UTF-8, is closed without a code.
// - Request, response and socket objects are pointers: used too late they throw. So each is copied from or dropped in the callback that ends it.
import { STATUS_CODES } from "node:http";
import { createRequire } from "node:module";
import { SocketAddress } from "node:net";
import { join, resolve } from "node:path";

import type {
  HttpRequest,
  HttpResponse,
  Listener,
  Socket,
  SocketHandlers,
  Transport,
  TransportHandlers,
  TransportSettings,
} from "./transport.ts";
import type {
  Uws,
  UwsApp,
  UwsBehavior,
  UwsListenSocket,
  UwsRequest,
  UwsResponse,
  UwsWebSocket,
} from "./uws-types.ts";

const PACKAGE = "uWebSockets.js";
// uWebSockets.js ends a message beyond its limit without a close code. So its limit is set past ours, and what lies between gets its 1009.
const OVERSIZE_FACTOR = 2;
// A body past its limit is read to its end and dropped, since a connection closed in the middle of one may take the 413 with it. But not for ever.
const DROPPED_BODY_FACTOR = 64;
// What a peer gets to read what was sent before the close frame; as long as `ws` waits for the answer to it.
const CLOSE_MS = 30 * 1_000;
// Without it two processes would share a port that is in use (SO_REUSEPORT), and neither be told.
const LISTEN_EXCLUSIVELY = 1;
const NO_BODY = new Set([204, 304]);

/**
 * The transport on uWebSockets.js: from the folder that the environment variable DEADDROP_UWS names (the package, or a folder with it among its
 * `node_modules`), or else from where the relay is installed. Throws an error that says how to get it when it is missing or does not load.
 */
export const uwsTransport: Transport = async (settings, handlers) => {
  const uws = loadUws();
  const house: House = {
    settings,
    handlers,
    open: new Set(),
    answering: 0,
    isClosing: false,
    emptied() {},
  };
  const app = uws
    .App()
    .ws("/*", webSockets(house))
    .any("/*", (response, request) => serve(response, request, house));
  return listener(uws, app, await listening(app, settings), house);
};

// One listener's sockets and requests, which `close` waits for.
type House = {
  readonly settings: TransportSettings;
  readonly handlers: TransportHandlers;
  readonly open: Set<UwsSocket>;
  answering: number;
  isClosing: boolean;
  emptied: () => void;
};

// uWebSockets.js copies the properties of what `upgrade` is given to the WebSocket's own object, and hands that out as the data.
type Data = { readonly address: string; socket?: UwsSocket };

function listener(uws: Uws, app: UwsApp, listenSocket: UwsListenSocket, house: House): Listener {
  const port = uws.us_socket_local_port(listenSocket);
  function stopListening(): void {
    if (house.isClosing) return;
    house.isClosing = true;
    uws.us_listen_socket_close(listenSocket);
  }
  async function close(graceMs: number): Promise<void> {
    stopListening();
    const empty = new Promise<void>((resolve) => {
      house.emptied = resolve;
    });
    leave(house);
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([empty, grace]);
    clearTimeout(timer);
    // The last socket may have closed inside a callback that has yet to send its close frame.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    app.close();
    await empty;
  }
  let closing: Promise<void> | undefined;
  return {
    port,
    async stopListening() {
      stopListening();
    },
    close: (graceMs) => (closing ??= close(graceMs)),
  };
}

function leave(house: House): void {
  if (house.open.size === 0 && house.answering === 0) house.emptied();
}

function listening(app: UwsApp, settings: TransportSettings): Promise<UwsListenSocket> {
  return new Promise((resolve, reject) => {
    app.listen(settings.host, settings.port, LISTEN_EXCLUSIVELY, (socket) => {
      if (socket !== false) return resolve(socket);
      reject(
        new Error(
          `cannot listen on ${settings.host}:${settings.port}: in use, or not an address of this machine`,
        ),
      );
    });
  });
}

function webSockets(house: House): UwsBehavior<Data> {
  return {
    maxPayloadLength: house.settings.maxMessageBytes * OVERSIZE_FACTOR,
    // Unlimited: beyond a limit messages would be dropped one by one. Who sends watches `bufferedBytes` instead.
    maxBackpressure: 0,
    closeOnBackpressureLimit: 0,
    // The relay pings, and knows when a peer is dead.
    idleTimeout: 0,
    maxLifetime: 0,
    sendPingsAutomatically: 0,
    // Ciphertext does not compress.
    compression: 0,
    upgrade(response, request, context) {
      const address = addressOf(response, forwarded(request), house.settings);
      if (house.isClosing) return refuse(response, 503);
      if (!house.handlers.admits(address)) return refuse(response, 429);
      const data: Data = { address };
      response.upgrade(
        data,
        request.getHeader("sec-websocket-key"),
        request.getHeader("sec-websocket-protocol"),
        "",
        context,
      );
    },
    open(webSocket) {
      const data = webSocket.getUserData();
      data.socket = new UwsSocket(webSocket, data.address, house);
      data.socket.opened();
    },
    message: (webSocket, message, isBinary) =>
      webSocket.getUserData().socket?.received(message, isBinary),
    ping: (webSocket) => webSocket.getUserData().socket?.heard(),
    pong: (webSocket) => webSocket.getUserData().socket?.heard(),
    drain: (webSocket) => webSocket.getUserData().socket?.drained(),
    close: (webSocket) => webSocket.getUserData().socket?.closed(),
  };
}

class UwsSocket implements Socket {
  readonly address: string;
  readonly #webSocket: UwsWebSocket<Data>;
  readonly #house: House;
  #relay: SocketHandlers | undefined;
  #state: "open" | "closing" | "closed" = "open";
  #isCorked = false;
  #farewell: { readonly code: number; readonly reason: string } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(webSocket: UwsWebSocket<Data>, address: string, house: House) {
    this.#webSocket = webSocket;
    this.address = address;
    this.#house = house;
  }

  get bufferedBytes(): number {
    // While corked the last 16 KB are not counted: uWebSockets.js keeps them apart.
    return this.#state === "closed" ? 0 : this.#webSocket.getBufferedAmount();
  }

  send(text: string): void {
    if (this.#state === "open") this.#webSocket.send(text, false, false);
  }

  cork(work: () => void): void {
    if (this.#state !== "open" || this.#isCorked) return work();
    this.#isCorked = true;
    try {
      this.#webSocket.cork(work);
    } finally {
      this.#isCorked = false;
    }
    this.#sayFarewell();
  }

  ping(): void {
    if (this.#state === "open") this.#webSocket.ping();
  }

  close(code: number, reason: string): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#farewell = { code, reason };
    this.#sayFarewell();
    if (this.#farewell !== undefined) this.#timer = setTimeout(() => this.terminate(), CLOSE_MS);
  }

  terminate(): void {
    if (this.#state !== "closed") this.#webSocket.close();
  }

  opened(): void {
    this.#house.open.add(this);
    this.#relay = this.#house.handlers.opened(this);
  }

  received(message: ArrayBuffer, isBinary: boolean): void {
    if (this.#state !== "open") return;
    if (message.byteLength > this.#house.settings.maxMessageBytes) return this.close(1009, "");
    this.#relay?.heard();
    // The buffer is uWebSockets.js's own and is taken away when this returns; a string is a copy.
    this.#relay?.received(isBinary ? undefined : Buffer.from(message).toString("utf8"));
  }

  heard(): void {
    if (this.#state === "open") this.#relay?.heard();
  }

  drained(): void {
    // Called for every part that left.
    if (this.#webSocket.getBufferedAmount() > 0) return;
    this.#sayFarewell();
    if (this.#state === "open") this.#relay?.drained();
  }

  closed(): void {
    this.#state = "closed";
    this.#farewell = undefined;
    clearTimeout(this.#timer);
    // uWebSockets.js calls this from inside its own `end` and `close`, and so from inside whatever the relay is doing.
    queueMicrotask(() => {
      this.#relay?.closed();
      this.#house.open.delete(this);
      leave(this.#house);
    });
  }

  // `end` gives a peer 4 s to read what was sent before, and reports the close at once; so it waits until everything has left. What a cork leaves
  // waiting is known after it.
  #sayFarewell(): void {
    if (this.#farewell === undefined || this.#isCorked || this.#webSocket.getBufferedAmount() > 0)
      return;
    const { code, reason } = this.#farewell;
    this.#farewell = undefined;
    this.#webSocket.end(code, reason);
  }
}

function serve(response: UwsResponse, request: UwsRequest, house: House): void {
  if (house.isClosing) return refuse(response, 503);
  const head = headOf(response, request, house.settings);
  const chunks: Buffer[] = [];
  let bytes = 0;
  let isOver = false;
  const over = (): void => {
    if (isOver) return;
    isOver = true;
    house.answering--;
    leave(house);
  };
  house.answering++;
  response.onAborted(over);
  response.onData((chunk, isLast) => {
    if (isOver) return;
    bytes += chunk.byteLength;
    if (bytes > house.settings.maxBodyBytes) {
      const isEnough = isLast || bytes > house.settings.maxBodyBytes * DROPPED_BODY_FACTOR;
      if (isEnough) send(response, head.method, { status: 413, headers: {}, body: "" }, over);
      return;
    }
    // A copy: the chunk is taken away when this returns.
    chunks.push(Buffer.from(new Uint8Array(chunk)));
    if (isLast) void answer();
  });

  async function answer(): Promise<void> {
    const answered = await house.handlers.request({ ...head, body: Buffer.concat(chunks) });
    if (!isOver) send(response, head.method, answered, over);
  }
}

function headOf(
  response: UwsResponse,
  request: UwsRequest,
  settings: TransportSettings,
): Omit<HttpRequest, "body"> {
  const headers: Record<string, string> = {};
  request.forEach((name, value) => {
    const before = headers[name];
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  });
  return {
    method: request.getCaseSensitiveMethod(),
    path: request.getUrl(),
    query: request.getQuery() ?? "",
    headers,
    address: addressOf(response, headers["x-forwarded-for"], settings),
  };
}

// Calls `sent` when the last byte has left.
function send(
  response: UwsResponse,
  method: string,
  answered: HttpResponse,
  sent: () => void,
): void {
  const body = Buffer.from(answered.body);
  response.cork(() => {
    response.writeStatus(statusLine(answered.status));
    for (const [name, value] of Object.entries(answered.headers)) response.writeHeader(name, value);
    if (NO_BODY.has(answered.status)) {
      response.endWithoutBody();
    } else if (method === "HEAD") {
      // Given the length, `endWithoutBody` would wait for that many bytes.
      response.writeHeader("Content-Length", String(body.length)).endWithoutBody();
    } else {
      const [, isComplete] = response.tryEnd(body, body.length);
      if (!isComplete) return sendRest(response, body, sent);
    }
    sent();
  });
}

function sendRest(response: UwsResponse, body: Buffer, sent: () => void): void {
  response.onWritable(() => {
    const [isWritten, isComplete] = response.tryEnd(
      body.subarray(response.getWriteOffset()),
      body.length,
    );
    if (isComplete) sent();
    return isWritten;
  });
}

function refuse(response: UwsResponse, status: number): void {
  response.writeStatus(statusLine(status)).end("", true);
}

function statusLine(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? ""}`;
}

// Every line of it: `getHeader` knows the first alone, and a proxy may add its own line after one that the client made up.
function forwarded(request: UwsRequest): string | undefined {
  if (request.getHeader("x-forwarded-for") === "") return undefined;
  const lines: string[] = [];
  request.forEach((name, value) => {
    if (name === "x-forwarded-for") lines.push(value);
  });
  return lines.join(", ");
}

function addressOf(
  response: UwsResponse,
  forwardedFor: string | undefined,
  settings: TransportSettings,
): string {
  return settings.forwardedFor(plainAddress(response), forwardedFor);
}

// In the usual short form; uWebSockets.js writes all eight groups of an IPv6 address.
function plainAddress(response: UwsResponse): string {
  const text = Buffer.from(response.getRemoteAddressAsText()).toString("latin1");
  if (!text.includes(":")) return text;
  const { address } = new SocketAddress({ address: text, family: "ipv6" });
  return address.startsWith("::ffff:") && address.includes(".")
    ? address.slice("::ffff:".length)
    : address;
}

function loadUws(): Uws {
  const file = findUws();
  let loaded: unknown;
  try {
    loaded = createRequire(import.meta.url)(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim().split("\n").at(-1) : String(error);
    throw new Error(
      `${file} does not load in Node ${process.versions.node} on ${process.platform} ${process.arch}: ${reason}. ` +
        "Its binaries are made for some versions of Node, and on Linux for a recent glibc (2.38, as in Debian 13 and Ubuntu 24.04).",
      { cause: error },
    );
  }
  if (!isUws(loaded)) throw new Error(`${file} is not ${PACKAGE}`);
  return loaded;
}

function isUws(loaded: unknown): loaded is Uws {
  return (
    typeof loaded === "object" &&
    loaded !== null &&
    "App" in loaded &&
    "us_socket_local_port" in loaded
  );
}

function findUws(): string {
  const named = process.env["DEADDROP_UWS"];
  if (named === undefined || named === "")
    return tryResolve(import.meta.url, PACKAGE) ?? missing("here");
  const folder = resolve(named);
  const base = join(folder, "package.json");
  return (
    tryResolve(base, PACKAGE) ?? tryResolve(base, folder) ?? missing(`in ${folder} (DEADDROP_UWS)`)
  );
}

function tryResolve(base: string, specifier: string): string | undefined {
  try {
    return createRequire(base).resolve(specifier);
  } catch {
    return undefined;
  }
}

function missing(where: string): never {
  throw new Error(
    `${PACKAGE} is not installed ${where}. It is not on the npm registry; install a release of its own: ` +
      `npm install "${PACKAGE}@github:uNetworking/uWebSockets.js#<tag>", with a tag of https://github.com/uNetworking/uWebSockets.js/tags.`,
  );
}
