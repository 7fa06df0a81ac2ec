// The layers of a message, made by nostr-tools and one by one, so that each can be made wrong.

import * as nip44 from "nostr-tools/nip44";
import { finalizeEvent, getEventHash } from "nostr-tools/pure";

import type { NostrEvent } from "../../src/nostr/event.ts";
import { now } from "../support/client.ts";
import { type Person, person } from "../support/people.ts";

type Change = { readonly [name: string]: unknown };

/** What stands in the text of a message, and in no explanation. */
export const SECRET = "under the third bench";

/** A message as it stands in a seal. Its id is that of what it was before the change. */
export function rumor(by: Person, change: Change = {}): object {
  const event = { pubkey: by.key, created_at: now(), kind: 14, tags: [], content: SECRET };
  return { id: getEventHash(event), ...event, ...change };
}

/** A seal around a text, whatever it is. */
export function seal(by: Person, to: Person, text: string): NostrEvent {
  const content = nip44.encrypt(text, nip44.getConversationKey(by.secret, to.key));
  return finalizeEvent({ kind: 13, created_at: now(), tags: [], content }, by.secret);
}

/** A gift wrap around a text, that `to` can read and `addressed` picks up. */
export function wrapped(to: Person, text: string, addressed = to): NostrEvent {
  const author = person();
  const content = nip44.encrypt(text, nip44.getConversationKey(author.secret, to.key));
  const tags = [["p", addressed.key]];
  return finalizeEvent({ kind: 1059, created_at: now(), tags, content }, author.secret);
}

/** A gift wrap and a seal around a text. */
export function sealed(by: Person, to: Person, text: string): NostrEvent {
  return wrapped(to, JSON.stringify(seal(by, to, text)));
}
