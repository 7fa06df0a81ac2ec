// What an examination of a raw message came to, and its shape on the way between threads.

import type { Acknowledgement } from "../nostr/acknowledgement.ts";
import { type Drop, type PackedDrop, packDrop, unpackDrop } from "../nostr/drop.ts";
import type { NostrEvent } from "../nostr/event.ts";
import type { Reason } from "../nostr/reason.ts";

/** What became of an EVENT or AUTH message. `id` is what the answer names; undefined when none could be read. */
export type Examined =
  | { readonly outcome: "refused"; readonly id: string | undefined; readonly reason: Reason }
  | { readonly outcome: "known"; readonly id: string }
  | { readonly outcome: "drop"; readonly id: string; readonly drop: Drop }
  | { readonly outcome: "ephemeral"; readonly id: string; readonly drop: Drop }
  | {
      readonly outcome: "acknowledgement";
      readonly id: string;
      readonly acknowledgement: Acknowledgement;
    }
  | { readonly outcome: "vanish"; readonly id: string; readonly event: NostrEvent }
  | { readonly outcome: "auth"; readonly id: string; readonly event: NostrEvent };

/** The same on its way from the thread that examined it. */
export type PackedExamined =
  | Exclude<Examined, { outcome: "drop" | "ephemeral" }>
  | readonly ["drop" | "ephemeral", ...PackedDrop];

export function pack(examined: Examined): PackedExamined {
  if (examined.outcome !== "drop" && examined.outcome !== "ephemeral") return examined;
  return [examined.outcome, ...packDrop(examined.drop)];
}

export function unpack(packed: PackedExamined): Examined {
  if (!Array.isArray(packed)) return packed as Exclude<PackedExamined, readonly unknown[]>;
  const [outcome, ...fields] = packed as Extract<PackedExamined, readonly unknown[]>;
  const drop = unpackDrop(fields);
  return { outcome, id: drop.id, drop };
}
