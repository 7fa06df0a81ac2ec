// The HTTP side of NIP-86, in each event loop: tells its requests from all others, and takes none whose authorization (NIP-98, with `payload`) is not right.

import { createHash } from "node:crypto";

import { authorizationOf } from "../http/authorization.ts";
import { hints, respond } from "../http/respond.ts";
import { statusOfReason } from "../http/status.ts";
import { MANAGEMENT_TYPE } from "../nostr/management.ts";
import type { OwnUrl } from "../nostr/own-url.ts";
import { isReason, type Reason } from "../nostr/reason.ts";
import { SLOW_DOWN } from "../relay/answer.ts";
import type { ConnectionHost } from "../relay/host.ts";
import type { HttpRequest, HttpResponse } from "../transport/transport.ts";
import type { Answered, Asked } from "./steering.ts";

export type ManagementParts = {
  readonly relay: Pick<ConnectionHost, "authenticator" | "rates" | "refusals">;
  /** Whether there is anybody who may ask; if not, no request is one of NIP-86. */
  readonly hasAdmins: () => boolean;
  /** Under which the relay is known: the API is at the URL of its WebSocket. */
  readonly urls: readonly OwnUrl[];
  readonly ask: (asked: Asked) => Promise<Answered>;
};

const NO_AUTHORIZATION: Reason =
  "auth-required: give a NIP-98 authorization with a payload tag, signed by an admin";
const TOO_LONG: Reason = "invalid: the request is too long";
const NO_TEXT: Reason = "invalid: the body is not UTF-8";

/** Answers requests of NIP-86, and leaves all others to `next`. */
export function management(
  next: (request: HttpRequest) => Promise<HttpResponse>,
  parts: ManagementParts,
): (request: HttpRequest) => Promise<HttpResponse> {
  return (request) =>
    isManagement(request, parts.urls) && parts.hasAdmins() ? manage(request, parts) : next(request);
}

function isManagement({ method, path, headers }: HttpRequest, urls: readonly OwnUrl[]): boolean {
  if (method !== "POST") return false;
  const [type = ""] = (headers["content-type"] ?? "").split(";");
  if (type.trim().toLowerCase() !== MANAGEMENT_TYPE) return false;
  const asked = path.replace(/\/$/, "");
  return asked === "" || urls.some(({ path: own }) => own === asked);
}

async function manage(
  request: HttpRequest,
  { relay, ask }: ManagementParts,
): Promise<HttpResponse> {
  const refused = (reason: Reason, status = statusOfReason(reason)): HttpResponse => {
    relay.refusals.add(reason, "request");
    return answer(status, { error: reason });
  };
  const { address, body } = request;
  if (!relay.rates.mayAsk(address, body?.length)) return refused(SLOW_DOWN);
  if (body === undefined) return refused(TOO_LONG, 413);
  const payload = createHash("sha256").update(body).digest("hex");
  const authorized = await authorizationOf(relay.authenticator, request, payload);
  if (authorized === undefined) return refused(NO_AUTHORIZATION);
  if (isReason(authorized)) return refused(authorized);
  const text = textOf(body);
  if (text === undefined) return refused(NO_TEXT);
  const { key, id, created_at } = authorized;
  const answered = await ask({ key, id, created_at, address, body: text });
  if (!("refused" in answered)) return answer(200, answered);
  // NIP-86: "If Authorization is not provided or is invalid, the endpoint should return a 401 response."
  const status = statusOfReason(answered.refused);
  return refused(answered.refused, status === 403 ? 401 : status);
}

function answer(status: number, body: object): HttpResponse {
  const headers = { "content-type": MANAGEMENT_TYPE, "cache-control": "no-store" };
  return respond(status, { ...headers, ...hints(status) }, `${JSON.stringify(body)}\n`);
}

function textOf(body: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    return undefined;
  }
}
