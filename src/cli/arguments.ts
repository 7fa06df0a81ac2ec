// Keys and relays as people type them.

import { npubEncode } from "nostr-tools/nip19";

import { relayUrls } from "../client/relay-url.ts";
import { publicKeyOf } from "../nostr/public-key.ts";
import { CliError, WRONG_USE } from "./failure.ts";

/** A public key as it is typed: npub1… or 64 hex digits. */
export function asKey(text: string | undefined, what: string): string {
  if (text === undefined)
    throw new CliError(WRONG_USE, `${what} is missing: npub1… or 64 hex digits`);
  const key = publicKeyOf(text);
  // It might be a secret key, which is not to be repeated on a screen.
  if (key === undefined)
    throw new CliError(WRONG_USE, `${what} is no public key: npub1… or 64 hex digits`);
  return key;
}

/** How a key is shown to people. */
export function shownKey(key: string): string {
  return npubEncode(key);
}

/** Relays as they are typed. */
export function asRelays(texts: readonly string[]): string[] {
  try {
    return relayUrls(texts);
  } catch (error) {
    throw new CliError(WRONG_USE, (error as Error).message);
  }
}
