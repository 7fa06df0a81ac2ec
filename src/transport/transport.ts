/**
 * What carries messages and requests between the relay and the network. A transport knows nothing of Nostr; it enforces what a peer may do to a
 * socket before a message is complete, and tells the relay the rest.
 *
 * - For every socket `opened` is called once, then `received` for each text message in the order of arrival, then `closed` once. After `closed`
 *   nothing more is called, and `send`, `close`, `ping` and `terminate` do nothing. After `close` or `terminate` only `closed` is called, and never
 *   from inside those two.
 * - `pinged` and `ponged` are called for a ping, which the transport answers, and for a pong. Of several pings that came while an answer could not leave
 *   the latest is answered (RFC 6455, 5.5.3); `uws` answers each. `drained` is called when `bufferedBytes`, which a `send` left above
 *   zero, is zero again; never from inside `send` or `cork`.
 * - Nothing sent is ever dropped while the socket is open, however much is waiting: the sender watches `bufferedBytes`.
 * - A message larger than `maxMessageBytes` is never received and closes the socket, with 1009; one more than twice as large may end it without a
 *   code. A binary message is answered by `received` with undefined.
 * - A peer that has not finished its handshake after `handshakeSeconds` is cut off (by `uws` after 10 s, whatever the setting). `admits` may refuse
 *   it before, with status 429.
 * - `uws` cannot listen where a connection begins with a line that names whom it is for, nor on a socket that is open already; it rejects.
 * - A body that is sent piece by piece (`BodyWriter`) follows the rules of a socket: nothing sent is dropped, the sender watches `bufferedBytes`, `drained` is
 *   called as above, `closed` once, after which nothing more is called and `send`, `end` and `terminate` do nothing; neither from inside those three. A
 *   peer can tell a body that was broken off from one that is complete. `uws` completes the head with the first piece or the end, having no call for
 *   it, does not count its own last two pieces (32 KB) in `bufferedBytes`, and cuts off a peer that takes nothing for 10 s.
 * - Only a GET whose Connection lists `upgrade` and whose Upgrade lists `websocket` is a handshake; any other upgrade is ignored, and the request answered.
 *   A handshake with a malformed key is refused by `ws`, and is an ordinary request to `uws`.
 * - A target in absolute form comes as its path, one that is neither as it is. `uws` refuses what does not begin with a slash, `*` too, with a 505 or 400 of its
 *   own; and requests in a pipeline behind one that is not answered yet end its connection there.
 * - `address` is what `forwardedFor` of the address that the peer connected to makes of the peer's own, in its shortest form and IPv4 where it is that, or
 *   of what `introduced` made of it, and of all its X-Forwarded-For lines, joined by commas.
 */
export type Transport = (
  settings: TransportSettings,
  handlers: TransportHandlers,
) => Promise<Listener>;

export type TransportSettings = {
  /** At least one. */
  readonly addresses: readonly ListenAt[];
  /** Whether others listen on the same ports: the system then gives each its share of the connections. */
  readonly sharesPorts: boolean;
  readonly maxMessageBytes: number;
  readonly handshakeSeconds: number;
  /** What a request's body may hold; one that holds more is read to its end and not kept. */
  readonly maxBodyBytes: number;
};

export type ListenAt = {
  readonly host: string;
  /** 0: any free one; `Listener.ports` says which. */
  readonly port: number;
  /**
   * A socket that listens there already, and that is listened on instead. This end of it is closed in the end and nothing else done to it: whoever has it as well goes
   * on, and connections that nobody took wait for that one.
   */
  readonly descriptor?: number | undefined;
  /** The address a connection counts for, given the peer's address and its X-Forwarded-For header. */
  readonly forwardedFor: (peer: string, header: string | undefined) => string;
  /**
   * Given where each connection begins with a line of the PROXY protocol: the peer's address, by the source that the line names; undefined when no good line came
   * within `handshakeSeconds`. Where this answers undefined the connection is closed.
   */
  readonly introduced?: ((source: string | undefined) => string | undefined) | undefined;
};

export type TransportHandlers = {
  admits(address: string): boolean;
  opened(socket: Socket): SocketHandlers;
  /**
   * A request of this address begins. Undefined: it may, and counts until `ended` is called, once, when it is answered or the peer is gone; else what it is
   * answered before its body is read.
   */
  began(address: string): HttpResponse | undefined;
  ended(address: string): void;
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
  pinged(): void;
  ponged(): void;
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
  /** Undefined when it is larger than `maxBodyBytes`. */
  readonly body: Uint8Array | undefined;
  /** Aborted when the peer hangs up before it has the whole answer. */
  readonly gone: AbortSignal;
};

/** The transport adds Content-Length for a text, and leaves the body out where HTTP has none (HEAD, 204, 304); a writer is not called then. */
export type HttpResponse = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | BodyWriter;
};

/** Sends a body whose length is not known beforehand. Called once, when the head of the answer is on its way, which leaves at once and not with the first piece (but see `uws` above). */
export type BodyWriter = (stream: BodyStream) => BodyHandlers;

/** The body of one answer, while it is being sent. */
export type BodyStream = Pick<Socket, "bufferedBytes" | "send" | "cork"> & {
  /** The body is complete. */
  end(): void;
  /** Breaks off, so that the peer can tell. */
  terminate(): void;
};

export type BodyHandlers = Pick<SocketHandlers, "drained" | "closed">;

export type Listener = {
  /** One for each of the addresses. */
  readonly ports: readonly number[];
  /**
   * Takes no new connection from now on; open WebSockets go on. Who connected before may still finish a handshake, or ask one thing more and is answered; `uws`
   * answers 503 to both.
   */
  stopListening(): Promise<void>;
  /**
   * Stops listening. Resolves when every socket is gone and every request answered; what is still open after `graceMs` is terminated. Closes no
   * WebSocket before that: the caller does. Who connected and has not said anything is given a moment to.
   */
  close(graceMs: number): Promise<void>;
};
