// The second transport: uWebSockets.js, for tens of thousands of sockets that are mostly idle. What it does by its own rules:
//
// - It cuts off a peer whose request is not complete 10 s after it connected (its timer ticks every 4 s, so 8 to 12), and one that sends a body
//   slower than 16 KB/s. That cannot be changed, so `handshakeSeconds` has no effect here; 10 is its default.
// - It cuts off a peer that takes nothing of an answer for 10 s, and cannot send the head of an answer in chunks before the first of them.
// - A request's headers may hold 4 KB, or UWS_HTTP_MAX_HEADERS_SIZE of the environment; more is answered with 431.
// - A WebSocket that breaks the protocol, or sends text that is not UTF-8, is closed without a code.
// - It tells of no request to which of several addresses it came. So each has an app of its own.
// - Request, response and socket objects are pointers: used too late they throw. So each is copied from or dropped in the callback that ends it.

import { asksForWebSocket } from "./request-head.ts";
import type { ListenAt, Listener, Transport } from "./transport.ts";
import { addressOf, type Counter, forwarded, refuse, serve } from "./uws-http.ts";
import { loadUws } from "./uws-load.ts";
import { type SocketData, type SocketOwner, UwsSocket } from "./uws-socket.ts";
import type { Uws, UwsApp, UwsBehavior, UwsListenSocket } from "./uws-types.ts";

// uWebSockets.js ends a message beyond its limit without a close code. So its limit is set past ours, and what lies between gets its 1009.
const OVERSIZE_FACTOR = 2;
// Without it two processes would share a port that is in use (SO_REUSEPORT), and neither be told.
const LISTEN_EXCLUSIVELY = 1;

/**
 * The transport on uWebSockets.js: from the folder that the environment variable DEADDROP_UWS names (the package, or a folder with it among its
 * `node_modules`), or else from where the relay is installed. Throws an error that says how to get it when it is missing or does not load.
 */
export const uwsTransport: Transport = async (settings, handlers) => {
  const uws = loadUws();
  const state: ListenerState = {
    settings,
    handlers,
    open: new Set(),
    answering: 0,
    isClosing: false,
    left: () => leave(state),
    emptied() {},
  };
  const doors: Door[] = [];
  try {
    for (const address of settings.addresses) {
      if (address.descriptor !== undefined || address.introduced !== undefined) {
        throw new Error(
          "uWebSockets.js cannot listen for Tor's circuits, or on a socket that is open already",
        );
      }
      const { forwardedFor } = address;
      const app = uws
        .App()
        .ws("/*", webSockets(state, forwardedFor))
        .any("/*", (response, request) => serve(response, request, state, forwardedFor));
      doors.push({ app, socket: await listening(app, address, settings.sharesPorts) });
    }
  } catch (error) {
    for (const { app } of doors) app.close();
    throw error;
  }
  return listener(uws, doors, state);
};

type Door = { readonly app: UwsApp; readonly socket: UwsListenSocket };

// One listener's sockets and requests, which `close` waits for.
type ListenerState = Counter & SocketOwner & { emptied: () => void };

function listener(uws: Uws, doors: readonly Door[], state: ListenerState): Listener {
  const ports = doors.map(({ socket }) => uws.us_socket_local_port(socket));
  function stopListening(): void {
    if (state.isClosing) return;
    state.isClosing = true;
    for (const { socket } of doors) uws.us_listen_socket_close(socket);
  }
  async function close(graceMs: number): Promise<void> {
    stopListening();
    const empty = new Promise<void>((resolve) => {
      state.emptied = resolve;
    });
    leave(state);
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
    for (const { app } of doors) app.close();
    await empty;
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

function leave(state: ListenerState): void {
  if (state.open.size === 0 && state.answering === 0) state.emptied();
}

function listening(
  app: UwsApp,
  { host, port }: ListenAt,
  sharesPort: boolean,
): Promise<UwsListenSocket> {
  return new Promise((resolve, reject) => {
    app.listen(host, port, sharesPort ? 0 : LISTEN_EXCLUSIVELY, (socket) => {
      if (socket !== false) return resolve(socket);
      reject(
        new Error(`cannot listen on ${host}:${port}: in use, or not an address of this machine`),
      );
    });
  });
}

function webSockets(
  state: ListenerState,
  forwardedFor: ListenAt["forwardedFor"],
): UwsBehavior<SocketData> {
  return {
    maxPayloadLength: state.settings.maxMessageBytes * OVERSIZE_FACTOR,
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
      // uWebSockets.js asks for the key alone.
      const [connection, upgrade] = [request.getHeader("connection"), request.getHeader("upgrade")];
      if (!asksForWebSocket("GET", connection, upgrade)) {
        return serve(response, request, state, forwardedFor);
      }
      const address = addressOf(response, forwarded(request), forwardedFor);
      if (state.isClosing) return refuse(response, 503);
      if (!state.handlers.admits(address)) return refuse(response, 429);
      const data: SocketData = { address };
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
      data.socket = new UwsSocket(webSocket, data.address, state);
      data.socket.opened();
    },
    message: (webSocket, message, isBinary) =>
      webSocket.getUserData().socket?.received(message, isBinary),
    ping: (webSocket) => webSocket.getUserData().socket?.pinged(),
    pong: (webSocket) => webSocket.getUserData().socket?.ponged(),
    drain: (webSocket) => webSocket.getUserData().socket?.drained(),
    close: (webSocket) => webSocket.getUserData().socket?.closed(),
  };
}
