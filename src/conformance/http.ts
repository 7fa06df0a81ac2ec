import type { NostrEvent } from "../nostr/event.ts";
import { Failed } from "./verdict.ts";

export type HttpRequest = {
  readonly url: string;
  readonly method?: "GET" | "POST";
  readonly accept?: string;
  /** The event that goes into the Authorization header (NIP-98). */
  readonly authorization?: NostrEvent | undefined;
  /** JSON. */
  readonly body?: string;
};

/** An answer, read to its end. */
export type HttpAnswer = {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
};

const MAX_BODY_BYTES = 256 * 1024;

/** One request and its answer. Throws Failed when nothing answers before the signal. */
export async function askHttp(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
  const { url, method = "GET", accept, authorization, body } = request;
  try {
    const response = await fetch(url, {
      method,
      headers: {
        ...(accept !== undefined && { accept }),
        ...(authorization !== undefined && { authorization: inHeader(authorization) }),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body }),
      signal,
    });
    return {
      status: response.status,
      headers: new Map(response.headers),
      body: await beginning(response),
    };
  } catch (error) {
    const { message, cause } = error as Error;
    const detail = cause instanceof Error ? cause.message : message;
    throw new Failed(`no answer over HTTP: ${detail}`, { cause: error });
  }
}

// NIP-98: "the `kind 27235` event MUST be `base64` encoded and use the Authorization scheme `Nostr`".
function inHeader(event: NostrEvent): string {
  return `Nostr ${Buffer.from(JSON.stringify(event)).toString("base64")}`;
}

// A body without an end must not fill the memory.
async function beginning(response: Response): Promise<string> {
  if (response.body === null) return "";
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    if (bytes > MAX_BODY_BYTES) throw new Error(`more than ${MAX_BODY_BYTES} bytes`);
  }
  return Buffer.concat(chunks).toString();
}
