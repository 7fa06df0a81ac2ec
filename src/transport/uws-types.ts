// The part of uWebSockets.js that the adapter uses. Written by hand because the package, and with it its own types, is not a dependency.

export type Uws = {
  App(): UwsApp;
  us_listen_socket_close(socket: UwsListenSocket): void;
  us_socket_local_port(socket: UwsListenSocket): number;
};

/** A pointer that only uWebSockets.js can read. */
export type UwsListenSocket = { readonly __uws: "listen socket" };
export type UwsContext = { readonly __uws: "context" };

export type UwsApp = {
  ws<Data>(pattern: string, behavior: UwsBehavior<Data>): UwsApp;
  any(pattern: string, handler: (response: UwsResponse, request: UwsRequest) => void): UwsApp;
  listen(
    host: string,
    port: number,
    options: number,
    listening: (socket: UwsListenSocket | false) => void,
  ): UwsApp;
  close(): UwsApp;
};

export type UwsBehavior<Data> = {
  readonly maxPayloadLength: number;
  readonly maxBackpressure: number;
  readonly closeOnBackpressureLimit: number;
  readonly idleTimeout: number;
  readonly maxLifetime: number;
  readonly sendPingsAutomatically: number;
  readonly compression: number;
  upgrade(response: UwsResponse, request: UwsRequest, context: UwsContext): void;
  open(webSocket: UwsWebSocket<Data>): void;
  message(webSocket: UwsWebSocket<Data>, message: ArrayBuffer, isBinary: boolean): void;
  ping(webSocket: UwsWebSocket<Data>): void;
  pong(webSocket: UwsWebSocket<Data>): void;
  drain(webSocket: UwsWebSocket<Data>): void;
  close(webSocket: UwsWebSocket<Data>): void;
};

/** Every method but `getUserData` throws once the WebSocket is closed. */
export type UwsWebSocket<Data> = {
  getUserData(): Data;
  getBufferedAmount(): number;
  send(text: string, isBinary: boolean, compress: boolean): number;
  ping(): number;
  cork(work: () => void): void;
  end(code: number, reason: string): void;
  close(): void;
};

/** Valid only until the handler it was given to returns. */
export type UwsRequest = {
  getCaseSensitiveMethod(): string;
  getUrl(): string;
  /** Undefined where the URL has no question mark. */
  getQuery(): string | undefined;
  getHeader(name: string): string;
  forEach(visit: (name: string, value: string) => void): void;
};

/** Every method throws once the request was aborted or the response is complete. */
export type UwsResponse = {
  getRemoteAddressAsText(): ArrayBuffer;
  onAborted(aborted: () => void): UwsResponse;
  onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): UwsResponse;
  onWritable(handler: () => boolean): UwsResponse;
  cork(work: () => void): UwsResponse;
  writeStatus(status: string): UwsResponse;
  writeHeader(name: string, value: string): UwsResponse;
  getWriteOffset(): number;
  /** Sends a chunk; false when something now waits to be sent. */
  write(chunk: Uint8Array): boolean;
  tryEnd(rest: Uint8Array, totalBytes: number): [isWritten: boolean, isComplete: boolean];
  end(body: string, closeConnection: boolean): UwsResponse;
  endWithoutBody(): UwsResponse;
  /** Ends the connection, and calls what `onAborted` was given before it returns. */
  close(): UwsResponse;
  upgrade(
    data: object,
    key: string,
    protocol: string,
    extensions: string,
    context: UwsContext,
  ): void;
};
