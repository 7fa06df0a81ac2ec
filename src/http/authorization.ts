import { isReason, type Reason } from "../nostr/reason.ts";
import type { Authenticator, Authorized } from "../relay/authenticate.ts";
import type { HttpRequest } from "../transport/transport.ts";

/** The keys that the Authorization header proves (NIP-98): one, or none when there is no header, and then the gate says what is missing. */
export async function provenKeys(
  authenticator: Authenticator,
  request: HttpRequest,
): Promise<ReadonlySet<string> | Reason> {
  const authorized = await authorizationOf(authenticator, request);
  if (authorized === undefined) return new Set();
  return isReason(authorized) ? authorized : new Set([authorized.key]);
}

/** What the Authorization header proves, or why it proves nothing; undefined when there is none. With `payload`, the body's SHA-256, it must name that. */
export async function authorizationOf(
  authenticator: Authenticator,
  { headers, method, path, query }: HttpRequest,
  payload?: string,
): Promise<Authorized | Reason | undefined> {
  const header = headers["authorization"];
  if (header === undefined) return undefined;
  const [, encoded] = /^nostr +([A-Za-z0-9+/=_-]+)$/i.exec(header.trim()) ?? [];
  if (encoded === undefined) {
    return "auth-required: the Authorization header is not “Nostr” and an event in base64";
  }
  const event = Buffer.from(encoded, "base64").toString("utf8");
  const target = query === "" ? path : `${path}?${query}`;
  const authorized = await authenticator.authorize(event, { method, target, payload });
  return "key" in authorized ? authorized : authorized.reason;
}
