// Steering a relay from the command line: one request of NIP-86, signed with one's key (NIP-98).

import { createHash } from "node:crypto";

import { stringify } from "yaml";

import { secretSigner } from "../client/client.ts";
import { fetchDocument } from "../client/document.ts";
import { HTTP_AUTHORIZATION } from "../nostr/kinds.ts";
import {
  isManagementMethod,
  MANAGEMENT_METHODS,
  MANAGEMENT_TYPE,
  type ManagementMethod,
  type Parameter,
} from "../nostr/management.ts";
import { publicKeyOf } from "../nostr/public-key.ts";
import { causeOf } from "./cause.ts";
import { CliError, DONE } from "./failure.ts";
import { loadSecret } from "./key-file.ts";
import {
  ADMIN_METHODS,
  adminTakes,
  noRelayAnswers,
  notAnUrl,
  notDone,
  NOT_MANAGED,
  notAPublicKey,
} from "./messages.ts";
import { networkOf } from "./network.ts";
import { harmless, harmlessLine } from "./show.ts";
import type { Terminal } from "./terminal.ts";

export type AdminOptions = {
  readonly key: string | undefined;
  /** The relay. */
  readonly url: string;
  readonly socks: string | undefined;
  readonly timeoutSeconds: number | undefined;
  readonly json: boolean;
};

const PATIENCE_SECONDS = 10;

/** `deaddrop admin`: has a relay do what `words` say, a method and its parameters, and prints what it answers, as YAML or JSON. Answers the exit code. */
export async function admin(
  words: readonly string[],
  { key, url, socks, timeoutSeconds = PATIENCE_SECONDS, json }: AdminOptions,
  terminal: Terminal,
): Promise<number> {
  const body = JSON.stringify(requestOf(words));
  const http = url.replace(/^ws/i, "http");
  if (!/^https?:/i.test(http) || !URL.canParse(http)) throw new CliError(notAnUrl(url));
  const { fetch } = networkOf(socks, terminal);
  const { secret } = await loadSecret(terminal, { key });
  const headers = {
    "content-type": MANAGEMENT_TYPE,
    authorization: await authorizationFor(secret, url, body),
  };
  let answer: Readonly<Record<string, unknown>>;
  try {
    answer = await fetchDocument(http, {
      accept: MANAGEMENT_TYPE,
      post: { headers, body },
      patienceSeconds: timeoutSeconds,
      fetch,
    });
  } catch (error) {
    const { message } = error as Error;
    // Where nobody may steer the relay, this is a request like any that it does not know.
    if (/status 40[45]$/.test(message)) throw new CliError(NOT_MANAGED);
    throw new CliError(noRelayAnswers(url, causeOf(message)));
  }
  const { error, result } = answer;
  // NIP-86 leaves open what stands there where nothing went wrong.
  if (typeof error === "string" && error !== "") throw new CliError(notDone(harmlessLine(error)));
  if (result === undefined || result === null) throw new CliError(NOT_MANAGED);
  terminal.stdout.write(json ? `${JSON.stringify(result)}\n` : harmless(stringify(result)));
  return DONE;
}

type Request = { readonly method: ManagementMethod; readonly params: readonly string[] };

function requestOf([method = "", ...words]: readonly string[]): Request {
  if (!isManagementMethod(method)) throw new CliError(ADMIN_METHODS);
  const [first, second]: readonly Parameter[] = MANAGEMENT_METHODS[method];
  const misused = new CliError(adminTakes(method, usageOf(method)));
  if (first === undefined) {
    if (words.length > 0) throw misused;
    return { method, params: [] };
  }
  // An empty text takes back what was decided, so it has to be given, too.
  if (words.length === 0) throw misused;
  if (first === "text") return { method, params: [words.join(" ")] };
  const [given = "", ...reason] = words;
  const subject = first === "pubkey" ? asKey(given) : given;
  const params = second === undefined || reason.length === 0 ? [] : [reason.join(" ")];
  return { method, params: [subject, ...params] };
}

/** What stands after a method on the command line. */
function usageOf(method: ManagementMethod): string {
  const shown: Readonly<Record<Parameter, string>> = {
    pubkey: " <key>",
    ip: " <address>",
    text: " <text>",
    reason: " [<reason>]",
  };
  return MANAGEMENT_METHODS[method].map((what: Parameter) => shown[what]).join("");
}

function asKey(text: string): string {
  const key = publicKeyOf(text);
  if (key === undefined) throw new CliError(notAPublicKey(text));
  return key;
}

// NIP-86: "a valid NIP-98 event, except the payload tag is required. The u tag is the relay URL."
async function authorizationFor(secret: Uint8Array, url: string, body: string): Promise<string> {
  const event = await secretSigner(secret).sign({
    kind: HTTP_AUTHORIZATION,
    created_at: Math.floor(Date.now() / 1_000),
    tags: [
      ["u", url],
      ["method", "POST"],
      ["payload", createHash("sha256").update(body).digest("hex")],
    ],
    content: "",
  });
  return `Nostr ${Buffer.from(JSON.stringify(event)).toString("base64")}`;
}
