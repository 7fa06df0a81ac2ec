import type { Reason } from "../nostr/reason.ts";
import type { Authenticator } from "../relay/authenticate.ts";
import type { HttpRequest } from "../transport/transport.ts";

/** The keys that the Authorization header proves (NIP-98): one, or none when there is no header, and then the gate says what is missing. */
export async function provenKeys(
  authenticator: Authenticator,
  { headers, method, path, query }: HttpRequest,
): Promise<ReadonlySet<string> | Reason> {
  const header = headers["authorization"];
  if (header === undefined) return new Set();
  const [, encoded] = /^nostr +([A-Za-z0-9+/=_-]+)$/i.exec(header.trim()) ?? [];
  if (encoded === undefined) {
    return "auth-required: the Authorization header is not “Nostr” and an event in base64";
  }
  const event = Buffer.from(encoded, "base64").toString("utf8");
  const target = query === "" ? path : `${path}?${query}`;
  const authorized = await authenticator.authorize(event, { method, target });
  return "key" in authorized ? new Set([authorized.key]) : authorized.reason;
}
