// Keys and relays as people type them.

import { npubEncode } from "nostr-tools/nip19";

import { parsePerson } from "../client/person.ts";
import { relayUrls } from "../client/relay-url.ts";
import { CliError } from "./failure.ts";
import { notAPerson, notRelays, personMissing } from "./messages.ts";

/** Somebody as people type them. Answers the text, which names somebody; whom, a client finds. */
export function asPerson(text: string | undefined, what: string): string {
  if (text === undefined) throw new CliError(personMissing(what));
  try {
    parsePerson(text);
    return text;
  } catch (error) {
    throw new CliError(notAPerson(what, (error as Error).message));
  }
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
