import { once } from "node:events";
import {
  type Agent,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as httpRequest,
} from "node:http";
import { connect as netConnect, type Socket as NetSocket } from "node:net";

import { type ClientOptions, WebSocket } from "ws";

/** A WebSocket peer that remembers what it was sent. */
export class Client {
  readonly webSocket: WebSocket;
  readonly messages: string[] = [];
  /** How it ended: the code of the close frame, 1006 without one. */
  readonly closed: Promise<{ code: number; reason: string }>;
  #waiting: (() => void)[] = [];

  constructor(url: string, options: ClientOptions = {}) {
    this.webSocket = new WebSocket(url, options);
    this.webSocket.on("message", (message: Buffer) => {
      this.messages.push(message.toString("utf8"));
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
    // How it failed is told by `opened` and `closed`.
    this.webSocket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      this.webSocket.once("close", (code, reason) =>
        resolve({ code, reason: reason.toString("utf8") }),
      );
    });
  }

  /** Rejects when the handshake fails. */
  static async open(url: string, options: ClientOptions = {}): Promise<Client> {
    const client = new Client(url, options);
    await once(client.webSocket, "open");
    return client;
  }

  send(message: string | Uint8Array): void {
    this.webSocket.send(message);
  }

  /** Waits until that many messages have come. */
  async received(count: number): Promise<readonly string[]> {
    while (this.messages.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.messages;
  }
}

/** What the server answers to a handshake that it refuses: the status. */
export function refusedUpgrade(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const webSocket = new WebSocket(url);
    webSocket.once("open", () => reject(new Error("the handshake was accepted")));
    webSocket.once("unexpected-response", (request, response) => {
      resolve(response.statusCode ?? 0);
      request.destroy();
    });
    webSocket.on("error", reject);
  });
}

/** A peer that speaks bytes. */
export class RawPeer {
  readonly stream: NetSocket;
  /** Resolves when the server ended the connection, however. */
  readonly closed: Promise<void>;
  #text = "";
  #isOver = false;
  #waiting: (() => void)[] = [];

  private constructor(stream: NetSocket) {
    this.stream = stream;
    stream.on("data", (chunk: Buffer) => {
      this.#text += chunk.toString("latin1");
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
    stream.on("error", () => {});
    this.closed = new Promise((resolve) => stream.once("close", () => resolve()));
    stream.once("close", () => {
      this.#isOver = true;
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
  }

  static async connect(
    port: number,
    options: { readonly host?: string; readonly allowHalfOpen?: boolean } = {},
  ): Promise<RawPeer> {
    const stream = netConnect({ port, host: "127.0.0.1", ...options });
    await once(stream, "connect");
    return new RawPeer(stream);
  }

  /** Connects and finishes a WebSocket handshake. */
  static async upgraded(port: number): Promise<RawPeer> {
    const peer = await RawPeer.connect(port);
    peer.stream.write(handshake());
    await peer.heard("\r\n\r\n");
    return peer;
  }

  get text(): string {
    return this.#text;
  }

  /** Waits until what came holds `text`. */
  async heard(text: string): Promise<string> {
    while (!this.#text.includes(text)) {
      if (this.#isOver) throw new Error(`the connection ended after ${JSON.stringify(this.#text)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.#text;
  }
}

export function handshake(): string {
  return [
    "GET / HTTP/1.1",
    "Host: relay.test",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "",
    "",
  ].join("\r\n");
}

/** A text frame as a client sends it. RFC 6455, section 5.2; the mask is zero, which changes nothing. */
export function frame(text: string): Buffer {
  const body = Buffer.from(text);
  if (body.length > 125) throw new RangeError("only short frames are built here");
  return Buffer.concat([Buffer.from([0x81, 0x80 | body.length, 0, 0, 0, 0]), body]);
}

export type Answer = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
};

/** Asks over HTTP on a connection of its own. A list of chunks is sent without a Content-Length. */
export function ask(
  port: number,
  path: string,
  options: {
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string | string[]>>;
    readonly body?: string | readonly Uint8Array[];
  } = {},
): Promise<Answer> {
  const { method = "GET", headers = {}, body = "" } = options;
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port, path, method, headers, agent: false });
    request.on("error", reject);
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString("utf8"),
        }),
      );
    });
    if (typeof body === "string") {
      request.end(body);
    } else {
      for (const chunk of body) request.write(chunk);
      request.end();
    }
  });
}

/** A peer that asks for /stream and takes the answer as it comes. */
export class Download {
  /** Resolves with the head of the answer, after which nothing is read before `read` is called. */
  readonly head: Promise<IncomingMessage>;
  /** The connection's, once the head has come. */
  localPort: number | undefined;
  readonly #request: ClientRequest;
  #text = "";
  #end: "complete" | "broken off" | undefined;
  #waiting: (() => void)[] = [];

  constructor(port: number, options: { readonly query?: string; readonly agent?: Agent } = {}) {
    const { query = "", agent = false } = options;
    this.#request = httpRequest({ host: "127.0.0.1", port, path: `/stream?${query}`, agent });
    this.head = new Promise((resolve, reject) => {
      this.#request.once("response", (response) => {
        this.localPort = response.socket.localPort;
        response.on("error", () => {});
        response.once("close", () => this.#over(response.complete ? "complete" : "broken off"));
        resolve(response);
      });
      this.#request.on("error", reject);
    });
    // A peer may be cut off before it has the head, and the test not wait for that.
    this.head.catch(() => this.#over("broken off"));
    this.#request.end();
  }

  /** Asks and reads. */
  static reading(
    port: number,
    options: { readonly query?: string; readonly agent?: Agent } = {},
  ): Download {
    const download = new Download(port, options);
    void download.read().catch(() => {});
    return download;
  }

  async read(): Promise<void> {
    const response = await this.head;
    response.setEncoding("utf8");
    response.on("data", (text: string) => {
      this.#text += text;
      this.#changed();
    });
  }

  hangUp(): void {
    this.#request.destroy();
  }

  /** Waits until `text` has come, the whole of it or its end. */
  async heard(text: string): Promise<string> {
    while (!this.#text.endsWith(text)) {
      if (this.#end !== undefined) throw new Error(`the answer is ${this.#end}: ${this.#text}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.#text;
  }

  /** Waits for the end of the answer. */
  async ended(): Promise<{ readonly end: "complete" | "broken off"; readonly text: string }> {
    while (this.#end === undefined) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return { end: this.#end, text: this.#text };
  }

  #over(end: "complete" | "broken off"): void {
    this.#end = end;
    this.#changed();
  }

  #changed(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
