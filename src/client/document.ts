// JSON documents of strangers, over HTTP: what a relay (NIP-11) and a domain (NIP-05) say of themselves.

/** As much of `fetch` as is needed. The global one is one. */
export type Fetch = (
  url: string,
  options: {
    readonly headers: Readonly<Record<string, string>>;
    readonly signal: AbortSignal;
    readonly redirect: "manual";
    readonly method?: "POST";
    readonly body?: string;
  },
) => Promise<Pick<Response, "ok" | "status" | "type" | "body">>;

export type DocumentRequest = {
  readonly accept: string;
  /** What is sent with POST; undefined: a GET. Then a refusal is a document, too, where it is JSON. */
  readonly post?: { readonly headers: Readonly<Record<string, string>>; readonly body: string };
  readonly patienceSeconds: number;
  /** Undefined: the global one. */
  readonly fetch: Fetch | undefined;
};

const MAX_DOCUMENT_CHARS = 256 * 1024;

/**
 * The object at an http:// or https:// URL; a user name and a password in it are sent as `Authorization`, as WebSocket clients do. Redirects are not
 * followed: whoever is asked does not choose whom else is connected to, and NIP-05 forbids it. Rejects with an Error that says in words why there is none.
 */
export async function fetchDocument(
  url: string,
  { accept, post, patienceSeconds, fetch = globalThis.fetch }: DocumentRequest,
): Promise<Readonly<Record<string, unknown>>> {
  const { address, authorization } = withoutCredentials(url);
  const signal = AbortSignal.timeout(patienceSeconds * 1_000);
  let text: string;
  try {
    const headers = { accept, ...authorization, ...post?.headers };
    const sent = post === undefined ? {} : { method: "POST" as const, body: post.body };
    const response = await fetch(address, { headers, signal, redirect: "manual", ...sent });
    const isDocument = response.ok || (post !== undefined && response.status >= 400);
    if (!isDocument) {
      void response.body?.cancel().catch(() => {});
      throw new Error(refusalIn(response));
    }
    text = await textOf(response);
    if (!response.ok && !/^\s*\{/.test(text)) throw new Error(refusalIn(response));
  } catch (error) {
    throw signal.aborted ? new Error(`no answer within ${patienceSeconds} s`) : causeOf(error);
  }
  return objectIn(text);
}

// What `fetch` is not to be given in a URL (WHATWG Fetch, "includes credentials").
function withoutCredentials(text: string): {
  readonly address: string;
  readonly authorization: Readonly<Record<string, string>>;
} {
  const url = new URL(text);
  const { username, password } = url;
  url.username = url.password = "";
  const credentials = new TextEncoder().encode(`${decoded(username)}:${decoded(password)}`);
  const basic = btoa(String.fromCharCode(...credentials));
  const hasCredentials = username !== "" || password !== "";
  return {
    address: url.href,
    authorization: hasCredentials ? { authorization: `Basic ${basic}` } : {},
  };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // A percent sign that stands for itself.
    return part;
  }
}

function refusalIn({ type, status }: Pick<Response, "type" | "status">): string {
  // Browsers show of a redirect that it is one, and nothing else.
  const isRedirect = type === "opaqueredirect" || (status >= 300 && status < 400);
  return isRedirect
    ? "it redirects to somewhere else, which is not followed"
    : `it answers with status ${status}`;
}

async function textOf({ body }: Pick<Response, "body">): Promise<string> {
  const reader = body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done = true, value } = (await reader?.read()) ?? {};
    if (done) return text;
    text += decoder.decode(value as Uint8Array, { stream: true });
    if (text.length > MAX_DOCUMENT_CHARS) {
      await reader?.cancel();
      throw new Error(`its document is longer than ${MAX_DOCUMENT_CHARS} characters`);
    }
  }
}

function objectIn(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error("what it answers is no JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error("what it answers is JSON, but no document");
  }
  return value as Readonly<Record<string, unknown>>;
}

// Node says "fetch failed", and why one level below.
function causeOf(error: unknown): Error {
  const { cause } = error as Error;
  return cause instanceof Error && cause.message !== "" ? cause : (error as Error);
}
