// Keys and relays as people type them.

import { npubEncode } from "nostr-tools/nip19";

import { relayUrls } from "../client/relay-url.ts";
import { publicKeyOf } from "../nostr/public-key.ts";
import { CliError } from "./failure.ts";
import { keyMissing, notAKey, notRelays } from "./messages.ts";

/** A public key as it is typed: npub1… or 64 hex digits. */
export function asKey(text: string | undefined, what: string): string {
  if (text === undefined) throw new CliError(keyMissing(what));
  const key = publicKeyOf(text);
  if (key === undefined) throw new CliError(notAKey(what));
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
    throw new CliError(notRelays((error as Error).message));
  }
}
