// Why something was refused, as it stands on the wire: a machine-readable prefix (NIP-01, NIP-42), a colon, and a sentence a person can act on.

/** NIP-01's prefixes, NIP-42's two, NIP-77's `closed`, and `unsupported`, which NIP-01 uses in its examples of CLOSED. */
export type Prefix =
  | "invalid"
  | "blocked"
  | "pow"
  | "rate-limited"
  | "restricted"
  | "duplicate"
  | "error"
  | "auth-required"
  | "closed"
  | "unsupported";

export type Reason = `${Prefix}: ${string}`;

/** The answer to a drop that is held and to one that was acknowledged alike: whoever holds the event must not learn which (NIP-DD, "the same answer"). */
export const ALREADY_HAVE: Reason = "duplicate: already have this event";

/** True when `value` is a refusal and not the thing that was asked for. */
export function isReason(value: unknown): value is Reason {
  return typeof value === "string";
}

/** A refusal for people, without its prefix. */
export function withoutPrefix(reason: Reason): string {
  return reason.slice(reason.indexOf(":") + 1).trimStart();
}
