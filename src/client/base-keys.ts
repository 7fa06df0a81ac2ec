// What two people tell each other before they use receiving keys (NIP-RK, "Base keys"): a sealed message with a key that was made for the other alone.

import { isPublicKey } from "./person.ts";
import type { EventTemplate } from "./signer.ts";
import type { Rumor } from "./wrap.ts";

/** The rumor kind of an announcement. It is never signed. */
export const BASE_KEY = 19;

/** The announcement of a base key, to be sent to the contact that it was made for. `now` in Unix seconds. */
export function announcement(contact: string, base: string, now: number): EventTemplate {
  const tags = [
    ["p", contact],
    ["base", base],
  ];
  return { kind: BASE_KEY, created_at: now, tags, content: "" };
}

/** The base key that a message announces, which holds for whoever wrote the message; undefined for other messages, and for what is nobody's key. */
export function baseKeyIn({ kind, tags }: Rumor): string | undefined {
  if (kind !== BASE_KEY) return undefined;
  const [, base] = tags.find(([name]) => name === "base") ?? [];
  return base !== undefined && isPublicKey(base) ? base : undefined;
}
