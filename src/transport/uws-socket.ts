import type { Socket, SocketHandlers, TransportHandlers, TransportSettings } from "./transport.ts";
import type { UwsWebSocket } from "./uws-types.ts";

// What a peer gets to read what was sent before the close frame; as long as `ws` waits for the answer to it.
const CLOSE_MS = 30 * 1_000;

/** uWebSockets.js copies the properties of what `upgrade` is given to the WebSocket's own object, and hands that out as the data. */
export type SocketData = { readonly address: string; socket?: UwsSocket };

/** The listener that a socket came to. */
export type SocketOwner = {
  readonly settings: TransportSettings;
  readonly handlers: TransportHandlers;
  readonly open: Set<UwsSocket>;
  /** A socket is not open any more. */
  left(): void;
};

/** One WebSocket of uWebSockets.js. */
export class UwsSocket implements Socket {
  readonly address: string;
  readonly #webSocket: UwsWebSocket<SocketData>;
  readonly #owner: SocketOwner;
  #handlers: SocketHandlers | undefined;
  #state: "open" | "closing" | "closed" = "open";
  #isCorked = false;
  #farewell: { readonly code: number; readonly reason: string } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(webSocket: UwsWebSocket<SocketData>, address: string, owner: SocketOwner) {
    this.#webSocket = webSocket;
    this.address = address;
    this.#owner = owner;
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
    this.#owner.open.add(this);
    this.#handlers = this.#owner.handlers.opened(this);
  }

  received(message: ArrayBuffer, isBinary: boolean): void {
    if (this.#state !== "open") return;
    if (message.byteLength > this.#owner.settings.maxMessageBytes) return this.close(1009, "");
    // The buffer is uWebSockets.js's own and is taken away when this returns; a string is a copy.
    this.#handlers?.received(isBinary ? undefined : Buffer.from(message).toString("utf8"));
  }

  pinged(): void {
    if (this.#state === "open") this.#handlers?.pinged();
  }

  ponged(): void {
    if (this.#state === "open") this.#handlers?.ponged();
  }

  drained(): void {
    // Called for every part that left.
    if (this.#webSocket.getBufferedAmount() > 0) return;
    this.#sayFarewell();
    if (this.#state === "open") this.#handlers?.drained();
  }

  closed(): void {
    this.#state = "closed";
    this.#farewell = undefined;
    clearTimeout(this.#timer);
    // uWebSockets.js calls this from inside its own `end` and `close`, and so from inside whatever the relay is doing.
    queueMicrotask(() => {
      this.#handlers?.closed();
      this.#owner.open.delete(this);
      this.#owner.left();
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
