/**
 * What carries messages and requests between the relay and the network. A transport knows nothing of Nostr; it enforces what a peer may do to a
 * socket before a message is complete, and tells the relay the rest.
 *
 * - For every socket `opened` is called once, then `received` for each text message in the order of arrival, then `closed` once. After `closed`
 *   nothing more is called, and `send`, `close`, `ping` and `terminate` do nothing. After `close` or `terminate` only `closed` is called, and never
 *   from inside those two.
 * - `heard` is called for every sign of life: a message, a ping or a pong. `drained` is called when `bufferedBytes`, which a `send` left above
 *   zero, is zero again; never from inside `send` or `cork`.
 * - Nothing sent is ever dropped while the socket is open, however much is waiting: the sender watches `bufferedBytes`.
 * - A message larger than `maxMessageBytes` is never received and closes the socket, with 1009; one more than twice as large may end it without a
 *   code. A binary message is answered by `received` with undefined.
 * - A peer that has not finished its handshake after `handshakeSeconds` is cut off (by `uws` after 10 s, whatever the setting). `admits` may refuse
 *   it before, with status 429.
 * - `address` is what `forwardedFor` makes of the peer's, in its shortest form and IPv4 where it is that, and of all its X-Forwarded-For lines, joined
 *   by commas.
 */
export type Transport = (
  settings: TransportSettings,
  handlers: TransportHandlers,
) => Promise<Listener>;

export type TransportSettings = {
  readonly host: string;
  /** 0: any free one; `Listener.port` says which. */
  readonly port: number;
  /** Whether others listen on the same port: the system then gives each its share of the connections. */
  readonly sharesPort: boolean;
  readonly maxMessageBytes: number;
  readonly handshakeSeconds: number;
  /** What a request's body may hold; more is answered with 413. */
  readonly maxBodyBytes: number;
  /** The address a connection counts for, given the peer's address and its X-Forwarded-For header. */
  readonly forwardedFor: (peer: string, header: string | undefined) => string;
};

export type TransportHandlers = {
  admits(address: string): boolean;
  opened(socket: Socket): SocketHandlers;
  /** Called with the whole body, and not at all when the peer hangs up before. Must not reject. */
  request(request: HttpRequest): Promise<HttpResponse>;
};

/** One open WebSocket. */
export type Socket = {
  readonly address: string;
  /** Bytes handed to `send` that have not left the process. */
  readonly bufferedBytes: number;
  send(text: string): void;
  /** Runs `work` and lets what it sends leave together. */
  cork(work: () => void): void;
  ping(): void;
  /** Sends what waits, then the code and the reason (at most 123 bytes). A peer that does not take part for 30 s is terminated. */
  close(code: number, reason: string): void;
  /** Ends the connection without a word, for a peer that does not read. */
  terminate(): void;
};

export type SocketHandlers = {
  /** A text message; undefined for a binary one. */
  received(text: string | undefined): void;
  heard(): void;
  drained(): void;
  closed(): void;
};

export type HttpRequest = {
  readonly method: string;
  /** The path without the query. */
  readonly path: string;
  readonly query: string;
  /** Names in lowercase. */
  readonly headers: Readonly<Record<string, string>>;
  readonly address: string;
  readonly body: Uint8Array;
};

/** The transport adds Content-Length, and leaves the body out where HTTP has none (HEAD, 204, 304). */
export type HttpResponse = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

export type Listener = {
  readonly port: number;
  /** Refuses new connections from now on, and with 503 what still comes over those from before. Open WebSockets go on. */
  stopListening(): Promise<void>;
  /**
   * Stops listening. Resolves when every socket is gone and every request answered; what is still open after `graceMs` is terminated. Closes no
   * WebSocket before that: the caller does.
   */
  close(graceMs: number): Promise<void>;
};
