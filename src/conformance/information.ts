import { Failed } from "./check.ts";

/** An HTTP answer to the question for the relay information document (NIP-11). */
export type Answer = {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
};

/** A JSON object of the relay, its fields unchecked. */
export type Document = Readonly<Record<string, unknown>>;

/** What NIP-DD says of the `dead_drop` object, as far as checks count with it. */
export type DeadDrop = {
  readonly retention: number;
  readonly timestampFuzz: number;
  readonly clockSkew: number;
  readonly maxDrops: number;
  readonly maxAcknowledgementIds: number;
  readonly authorDeletesWraps: boolean;
};

const MAX_BODY_BYTES = 256 * 1024;

/** Asks for the document. Throws Failed when nothing answers in time. */
export async function askInformation(url: string, patienceMs: number): Promise<Answer> {
  try {
    const response = await fetch(url.replace(/^ws/i, "http"), {
      headers: { accept: "application/nostr+json" },
      signal: AbortSignal.timeout(patienceMs),
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

/** The document in an answer. Throws Failed when it is none. */
export function documentIn({ status, body }: Answer): Document {
  if (status !== 200) throw new Failed(`HTTP status ${status} instead of 200`);
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new Failed(`the body is not JSON: ${JSON.stringify(body.slice(0, 80))}`);
  }
  const document = objectIn(value);
  if (document === undefined) throw new Failed("the document is not a JSON object");
  return document;
}

export function objectIn(value: unknown): Document | undefined {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as Document) : undefined;
}

/** The advertised values; where one is missing or no number, the one in NIP-DD's example. */
export function deadDropIn(document: Document | undefined): DeadDrop {
  const given = objectIn(document?.["dead_drop"]) ?? {};
  const number = (field: string, otherwise: number): number => {
    const value = given[field];
    return Number.isSafeInteger(value) ? (value as number) : otherwise;
  };
  return {
    retention: number("retention", 30 * 24 * 60 * 60),
    timestampFuzz: number("timestamp_fuzz", 2 * 24 * 60 * 60),
    clockSkew: number("clock_skew", 15 * 60),
    maxDrops: number("max_drops", 5_000),
    maxAcknowledgementIds: number("max_acknowledgement_ids", 1_000),
    authorDeletesWraps: given["author_deletes_wraps"] === true,
  };
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
