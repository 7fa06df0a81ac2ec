import { decode } from "nostr-tools/nip19";

import { isHex32 } from "./hex.ts";

/** The key, as 64 lowercase hex digits, that a person writes as that or as npub1… (NIP-19); undefined when it is neither. */
export function publicKeyOf(text: string): string | undefined {
  if (isHex32(text)) return text;
  try {
    const decoded: { type: string; data: unknown } = decode(text);
    return decoded.type === "npub" ? (decoded.data as string) : undefined;
  } catch {
    return undefined;
  }
}
