// The second transport: uWebSockets.js, for tens of thousands of sockets that are mostly idle. What it does by its own rules:
//
// - It cuts off a peer whose request is not complete 10 s after it connected (its timer ticks every 4 s, so 8 to 12), and one that sends a body
//   slower than 16 KB/s. That cannot be changed, so `handshakeSeconds` has no effect here; 10 is its default.
// - It cuts off a peer that takes nothing of an answer for 10 s, and cannot send the head of an answer in chunks before the first of them.
// - A request's headers may hold 4 KB, or UWS_HTTP_MAX_HEADERS_SIZE of the environment; more is answered with 431.
// - A WebSocket that breaks the protocol, or sends text that is not UTF-8, is closed without a code.
// - Request, response and socket objects are pointers: used too late they throw. So each is copied from or dropped in the callback that ends it.
import type {
  Listener,
  Socket,
  SocketHandlers,
  Transport,
  TransportSettings,
} from "./transport.ts";
import { addressOf, type Counter, forwarded, refuse, serve } from "./uws-http.ts";
import { loadUws } from "./uws-load.ts";
import type { Uws, UwsApp, UwsBehavior, UwsListenSocket, UwsWebSocket } from "./uws-types.ts";

// uWebSockets.js ends a message beyond its limit without a close code. So its limit is set past ours, and what lies between gets its 1009.
const OVERSIZE_FACTOR = 2;
// What a peer gets to read what was sent before the close frame; as long as `ws` waits for the answer to it.
const CLOSE_MS = 30 * 1_000;
// Without it two processes would share a port that is in use (SO_REUSEPORT), and neither be told.
const LISTEN_EXCLUSIVELY = 1;

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
    .any("/*", (response, request) => serve(response, request, house, () => leave(house)));
  return listener(uws, app, await listening(app, settings), house);
};

// One listener's sockets and requests, which `close` waits for.
type House = Counter & {
  readonly open: Set<UwsSocket>;
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
    app.listen(
      settings.host,
      settings.port,
      settings.sharesPort ? 0 : LISTEN_EXCLUSIVELY,
      (socket) => {
        if (socket !== false) return resolve(socket);
        reject(
          new Error(
            `cannot listen on ${settings.host}:${settings.port}: in use, or not an address of this machine`,
          ),
        );
      },
    );
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
