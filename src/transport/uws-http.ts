// Requests that are no WebSocket, on uWebSockets.js, and what both have in common: who asks, and being refused.

import { STATUS_CODES } from "node:http";
import { SocketAddress } from "node:net";

import { NO_GUESS } from "./request-head.ts";
import type {
  HttpRequest,
  HttpResponse,
  ListenAt,
  TransportHandlers,
  TransportSettings,
} from "./transport.ts";
import { UwsBody } from "./uws-body.ts";
import type { UwsRequest, UwsResponse } from "./uws-types.ts";

// A body past its limit is read to its end and dropped, since a connection closed in the middle of one may take the answer with it. But not for ever.
const DROPPED_BODY_FACTOR = 64;
const NO_BODY = new Set([204, 304]);

/** What a request needs of the listener it came to. */
export type Counter = {
  readonly settings: TransportSettings;
  readonly handlers: TransportHandlers;
  /** Requests that wait for their answer. */
  answering: number;
  isClosing: boolean;
  /** Nothing more is owed to a peer. */
  left(): void;
};

/** Answers a request that came where `forwardedFor` holds. */
export function serve(
  response: UwsResponse,
  request: UwsRequest,
  house: Counter,
  forwardedFor: ListenAt["forwardedFor"],
): void {
  if (house.isClosing) return refuse(response, 503);
  const head = headOf(response, request, forwardedFor);
  const refusal = house.handlers.began(head.address);
  if (refusal !== undefined) {
    const text = typeof refusal.body === "string" ? refusal.body : "";
    return sendText(response, head.method, refusal, Buffer.from(text), () => {});
  }
  const gone = new AbortController();
  const chunks: Buffer[] = [];
  let bytes = 0;
  let isAsked = false;
  let isOver = false;
  let stream: UwsBody | undefined;
  function over(isComplete: boolean): void {
    if (isOver) return;
    isOver = true;
    stream?.drop();
    // uWebSockets.js calls this from inside its own `close`, and so from inside whatever the relay is doing.
    queueMicrotask(() => {
      if (!isComplete) gone.abort();
      stream?.closed();
      house.answering--;
      house.handlers.ended(head.address);
      house.left();
    });
  }
  const complete = (): void => over(true);
  house.answering++;
  response.onAborted(() => over(false));
  response.onData((chunk, isLast) => {
    if (isAsked) return;
    bytes += chunk.byteLength;
    const isTooLarge = bytes > house.settings.maxBodyBytes;
    // A copy: the chunk is taken away when this returns.
    if (!isTooLarge) chunks.push(Buffer.from(new Uint8Array(chunk)));
    isAsked = isLast || bytes > house.settings.maxBodyBytes * DROPPED_BODY_FACTOR;
    if (isAsked) void answer(isTooLarge ? undefined : Buffer.concat(chunks));
  });

  async function answer(received: Buffer | undefined): Promise<void> {
    const asked = { ...head, body: received, gone: gone.signal };
    const answered = await house.handlers.request(asked);
    if (isOver) return;
    const { body } = answered;
    if (typeof body === "string") {
      return sendText(response, head.method, answered, Buffer.from(body), complete);
    }
    sendHead(response, answered);
    if (head.method === "HEAD" || NO_BODY.has(answered.status)) {
      response.cork(() => response.endWithoutBody());
      return complete();
    }
    stream = new UwsBody(response, complete);
    stream.listen(body);
  }
}

function headOf(
  response: UwsResponse,
  request: UwsRequest,
  forwardedFor: ListenAt["forwardedFor"],
): Omit<HttpRequest, "body" | "gone"> {
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
    address: addressOf(response, headers["x-forwarded-for"], forwardedFor),
  };
}

// Calls `sent` when the last byte has left.
function sendText(
  response: UwsResponse,
  method: string,
  answered: HttpResponse,
  body: Buffer,
  sent: () => void,
): void {
  response.cork(() => {
    sendHead(response, answered);
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

function sendHead(response: UwsResponse, { status, headers }: HttpResponse): void {
  response.cork(() => {
    response.writeStatus(statusLine(status));
    for (const [name, value] of Object.entries({ ...NO_GUESS, ...headers }))
      response.writeHeader(name, value);
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

export function refuse(response: UwsResponse, status: number): void {
  response.cork(() => {
    sendHead(response, { status, headers: {}, body: "" });
    response.end("", true);
  });
}

function statusLine(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? ""}`;
}

// Every line of it: `getHeader` knows the first alone, and a proxy may add its own line after one that the client made up.
export function forwarded(request: UwsRequest): string | undefined {
  if (request.getHeader("x-forwarded-for") === "") return undefined;
  const lines: string[] = [];
  request.forEach((name, value) => {
    if (name === "x-forwarded-for") lines.push(value);
  });
  return lines.join(", ");
}

export function addressOf(
  response: UwsResponse,
  header: string | undefined,
  forwardedFor: ListenAt["forwardedFor"],
): string {
  return forwardedFor(plainAddress(response), header);
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
