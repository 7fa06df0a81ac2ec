// Requests that are no WebSocket, on Node's HTTP server.

import type { IncomingMessage, ServerResponse } from "node:http";

import { NO_GUESS, originForm } from "./request-head.ts";
import type {
  BodyHandlers,
  BodyStream,
  BodyWriter,
  HttpRequest,
  HttpResponse,
  ListenAt,
  TransportHandlers,
  TransportSettings,
} from "./transport.ts";
import { peerAt } from "./ws-listen.ts";

/**
 * Calls `over` when the last byte of the answer has left, or the peer has. Node 20 and 22 do not close a response that waits behind another one of its
 * connection when that breaks.
 */
export function onceOver(
  { socket }: IncomingMessage,
  response: ServerResponse,
  over: () => void,
): void {
  function left(): void {
    socket.off("close", left);
    response.off("close", left);
    over();
  }
  // As many as there are requests in the pipeline, which have a limit of their own.
  socket.setMaxListeners(0);
  socket.once("close", left);
  response.once("close", left);
}

export type Answering = {
  readonly settings: TransportSettings;
  readonly handlers: TransportHandlers;
  /** Whose request it is. */
  readonly address: string;
  /** Resolves when the last byte has left, or the peer has. */
  readonly over: Promise<void>;
};

/** Answers a request. */
export async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { settings, handlers, address, over }: Answering,
): Promise<void> {
  const gone = new AbortController();
  void over.then(() => {
    if (!response.writableFinished) gone.abort();
  });
  const body = await readBody(request, settings.maxBodyBytes);
  if (body === "hung up") return;
  const answered = await handlers.request({
    ...headOf(request),
    address,
    body: body === "too large" ? undefined : body,
    gone: gone.signal,
  });
  if (response.closed || request.socket.destroyed) return;
  const { body: writer } = answered;
  send(request, response, answered, settings);
  if (typeof writer === "string" || !hasBody(request, answered)) return;
  new NodeBody(request, response).listen(writer, over);
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

function headOf(request: IncomingMessage): Omit<HttpRequest, "address" | "body" | "gone"> {
  const url = originForm(request.url ?? "/");
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
  };
}

/** Sends all of an answer, but for a body that is sent piece by piece. */
export function send(
  request: IncomingMessage,
  response: ServerResponse,
  answered: HttpResponse,
  settings: TransportSettings,
): void {
  const { status, headers, body } = answered;
  const hasLength = typeof body === "string" && !NO_BODY.has(status);
  response.writeHead(status, {
    ...NO_GUESS,
    ...headers,
    ...(hasLength && { "content-length": Buffer.byteLength(body) }),
  });
  if (!hasBody(request, answered)) {
    response.end();
  } else if (typeof body === "string") {
    // Nobody watches whether a short answer is read.
    response.setTimeout(settings.handshakeSeconds * 1_000, () => request.socket.destroy());
    endWith(response, body);
  } else {
    response.flushHeaders();
  }
}

const NO_BODY = new Set([204, 304]);

function hasBody({ method }: IncomingMessage, { status }: HttpResponse): boolean {
  return method !== "HEAD" && !NO_BODY.has(status);
}

// `Server.close` takes a connection for idle, and destroys it, when its answer has ended, whether or not that has left. So it ends when it has left.
function endWith(response: ServerResponse, text: string): void {
  response.write(text, "utf8", () => response.end());
}

// More than this does not wait for the end of the turn: the system may take it already.
const MOST_CHARS = 65_536;

// A body that is sent piece by piece. What is sent in one turn of the event loop leaves as one chunk.
class NodeBody implements BodyStream {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #handlers: BodyHandlers | undefined;
  #isEnding = false;
  // Sent in this turn.
  #text = "";

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
  }

  get bufferedBytes(): number {
    return this.#isGone ? 0 : this.#response.writableLength + this.#text.length;
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
    if (!this.#isGone) this.#response.destroy();
  }

  listen(write: BodyWriter, over: Promise<void>): void {
    this.#handlers = write(this);
    void over.then(() => this.#handlers?.closed());
  }

  get #isGone(): boolean {
    return this.#response.closed || this.#request.socket.destroyed;
  }

  get #isOpen(): boolean {
    return !this.#isEnding && !this.#isGone && !this.#response.destroyed;
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

/** Whom a request counts for that came to this address. */
export function addressOf(request: IncomingMessage, { forwardedFor }: ListenAt): string {
  const header = request.headers["x-forwarded-for"];
  return forwardedFor(peerAt(request.socket), Array.isArray(header) ? header.join(", ") : header);
}
