// Requests that are no WebSocket, on Node's HTTP server.

import type { IncomingMessage, ServerResponse } from "node:http";

import type {
  BodyHandlers,
  BodyStream,
  BodyWriter,
  HttpRequest,
  HttpResponse,
  TransportHandlers,
  TransportSettings,
} from "./transport.ts";

/** Answers a request. The response closes when the last byte has left, or the peer has. */
export async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  settings: TransportSettings,
  handlers: TransportHandlers,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort();
  });
  const body = await readBody(request, settings.maxBodyBytes);
  if (body === "hung up") return;
  const answered = await handlers.request({
    ...headOf(request, settings),
    body: body === "too large" ? undefined : body,
    gone: gone.signal,
  });
  if (!response.closed) send(request, response, answered);
}

function readBody(
  request: IncomingMessage,
  maxBytes: number,
): Promise<Buffer | "too large" | "hung up"> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) chunks.push(chunk);
    });
    // Read to its end even when it is too large, or until `requestTimeout`: a connection closed in the middle of a body may take the answer with it.
    request.on("end", () => resolve(bytes <= maxBytes ? Buffer.concat(chunks) : "too large"));
    request.on("error", () => {});
    request.on("close", () => resolve("hung up"));
  });
}

function headOf(
  request: IncomingMessage,
  settings: TransportSettings,
): Omit<HttpRequest, "body" | "gone"> {
  const url = request.url ?? "/";
  const mark = url.indexOf("?");
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return {
    method: request.method ?? "GET",
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? "" : url.slice(mark + 1),
    headers,
    address: addressOf(request, settings),
  };
}

function send(request: IncomingMessage, response: ServerResponse, answered: HttpResponse): void {
  const { status, headers, body } = answered;
  const hasBody = status !== 204 && status !== 304;
  const hasLength = hasBody && typeof body === "string";
  response.writeHead(status, {
    ...headers,
    ...(hasLength && { "content-length": Buffer.byteLength(body) }),
  });
  if (!hasBody || request.method === "HEAD") {
    response.end();
  } else if (typeof body === "string") {
    endWith(response, body);
  } else {
    response.flushHeaders();
    new NodeBody(response).listen(body);
  }
}

// `Server.close` takes a connection for idle, and destroys it, when its answer has ended, whether or not that has left. So it ends when it has left.
function endWith(response: ServerResponse, text: string): void {
  response.write(text, "utf8", () => response.end());
}

// More than this does not wait for the end of the turn: the system may take it already.
const MOST_CHARS = 65_536;

// A body that is sent piece by piece. What is sent in one turn of the event loop leaves as one chunk.
class NodeBody implements BodyStream {
  readonly #response: ServerResponse;
  #handlers: BodyHandlers | undefined;
  #isEnding = false;
  // Sent in this turn.
  #text = "";

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get bufferedBytes(): number {
    return this.#response.closed ? 0 : this.#response.writableLength + this.#text.length;
  }

  send(text: string): void {
    if (!this.#isOpen) return;
    if (this.#text === "") process.nextTick(() => this.#flush());
    this.#text += text;
    if (this.#text.length >= MOST_CHARS) this.#flush();
  }

  cork(work: () => void): void {
    work();
  }

  end(): void {
    if (!this.#isOpen) return;
    this.#flush();
    this.#isEnding = true;
    endWith(this.#response, "");
  }

  terminate(): void {
    if (!this.#response.closed) this.#response.destroy();
  }

  listen(write: BodyWriter): void {
    this.#handlers = write(this);
    this.#response.once("close", () => this.#handlers?.closed());
  }

  get #isOpen(): boolean {
    return !this.#isEnding && !this.#response.destroyed;
  }

  #flush(): void {
    const text = this.#text;
    this.#text = "";
    if (text !== "" && this.#isOpen) this.#response.write(text, "utf8", this.#left);
  }

  readonly #left = (error?: Error | null): void => {
    if (error instanceof Error || !this.#isOpen || this.bufferedBytes > 0) return;
    this.#handlers?.drained();
  };
}

export function addressOf(request: IncomingMessage, settings: TransportSettings): string {
  const header = request.headers["x-forwarded-for"];
  return settings.forwardedFor(
    plainAddress(request.socket.remoteAddress ?? ""),
    Array.isArray(header) ? header.join(", ") : header,
  );
}

// An IPv4 peer of a socket that listens on IPv6 is still an IPv4 peer.
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".")
    ? address.slice("::ffff:".length)
    : address;
}
