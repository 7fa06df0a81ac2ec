// Events as senders and recipients make them, signed for real. Made before the clock starts.

import { randomBytes } from "node:crypto";

import type { NostrEvent } from "nostr-tools";

import { finalizeEvent } from "../../test/support/sign.ts";

const GIFT_WRAP = 1_059;
const AUTH = 22_242;
const ACKNOWLEDGEMENT = 20_221;
const TWO_DAYS = 172_800;
// With everything else that makes a wrap of 1.2 KB: what NIP-44 makes of a seal of a short message.
const CONTENT_BYTES = 615;

export type Person = { readonly secret: Uint8Array; readonly pubkey: string };

export function person(secret: Uint8Array = randomBytes(32)): Person {
  // The signer knows the key of its signature, and is far quicker than nostr-tools.
  const { pubkey } = finalizeEvent({ kind: 1, created_at: 0, tags: [], content: "" }, secret);
  return { secret, pubkey };
}

export const now = (): number => Math.floor(Date.now() / 1_000);

/** A key nobody has the secret of: enough to be dropped for. */
export const stranger = (): string => randomBytes(32).toString("hex");

// One key signs all: a throwaway key for each would cost the generator and nobody else.
const sender = person();

/** `tags`: beside the recipient's. */
export type Size = { readonly contentBytes?: number; readonly tags?: number };

/** A gift wrap, of 1.2 KB unless another size is said, its time somewhere in the last two days (NIP-59). */
export function giftWrap(
  to: string,
  { contentBytes = CONTENT_BYTES, tags = 0 }: Size = {},
): NostrEvent {
  return finalizeEvent(
    {
      kind: GIFT_WRAP,
      created_at: now() - Math.floor(Math.random() * TWO_DAYS),
      tags: [["p", to], ...Array.from({ length: tags }, () => ["e", stranger()])],
      content: randomBytes(contentBytes).toString("base64"),
    },
    sender.secret,
  );
}

export function auth(who: Person, challenge: string, url: string): NostrEvent {
  return finalizeEvent(
    {
      kind: AUTH,
      created_at: now(),
      tags: [
        ["relay", url],
        ["challenge", challenge],
      ],
      content: "",
    },
    who.secret,
  );
}

export function acknowledgement(who: Person, ids: readonly string[]): NostrEvent {
  return finalizeEvent(
    { kind: ACKNOWLEDGEMENT, created_at: now(), tags: ids.map((id) => ["e", id]), content: "" },
    who.secret,
  );
}
