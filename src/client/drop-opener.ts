// Turns a drop as a relay sent it into what the caller of a pickup gets, or into nothing.
//
// Nothing counts as seen before its id and its signature hold. An id alone binds what a drop says, so an id that was tried in vain is not tried again; but
// whoever made it up did not sign it, and such a drop neither is shown nor stands in the way of another.

import { parseUnixTime } from "../nostr/drop.ts";
import { tagValue } from "../nostr/event.ts";
import type { Acknowledger } from "./acknowledger.ts";
import type { PickedUp, ReceivedDrop, Unreadable } from "./collection.ts";
import { isGenuine } from "./genuine.ts";
import type { Outbox } from "./outbox.ts";
import { messagesIn } from "./receipts.ts";
import type { Runtime } from "./runtime.ts";
import { MAX_SEEN, type SeenDrops } from "./seen-drops.ts";
import { addressOf, open, type Receiver } from "./unwrap.ts";

export type DropOpenerParts = {
  readonly receivers: ReadonlyMap<string, Receiver>;
  readonly outbox: Outbox;
  readonly acknowledger: Acknowledger;
  readonly seenDrops: SeenDrops;
  readonly runtime: Runtime;
};

export class DropOpener {
  readonly #parts: DropOpenerParts;
  // Ids of drops and of messages that were handed out.
  readonly #handed = new Set<string>();

  constructor(parts: DropOpenerParts) {
    this.#parts = parts;
  }

  /** Whether the drop or the message with this id was handed out. */
  wasHanded(id: string): boolean {
    return this.#handed.has(id);
  }

  /**
   * Opens a drop whose id is its own. Answers undefined for what is not to be handed out: what was before, what has expired, what the caller has
   * acknowledged, and what a relay made up. What is unreadable may be handed out when it is `admit`ted.
   */
  async open({ drop, relay }: ReceivedDrop): Promise<PickedUp | undefined> {
    const { acknowledger, outbox, receivers, seenDrops, runtime } = this.#parts;
    const { id, created_at } = drop;
    const expiration = parseUnixTime(tagValue(drop, "expiration"));
    // What a relay that keeps everything still shows is over all the same.
    if (expiration !== undefined && expiration <= runtime.now()) return undefined;
    if (this.#handed.has(id) || outbox.acknowledgementOf(id) !== undefined) return undefined;
    const address = addressOf(drop);
    const receiver = receivers.get(address ?? "");
    // Not what was asked for: a relay that errs or lies.
    if (address === undefined || receiver === undefined) return undefined;
    const before = seenDrops.get(id)?.why;
    if (before !== undefined)
      return { type: "unreadable", id, why: before, isFinal: true, drop, relay };
    const opened = await open(drop, receiver);
    if ("why" in opened) return { type: "unreadable", id, ...opened, drop, relay };
    if (!isGenuine(drop)) return undefined;
    const { message } = opened;
    const from = message.pubkey;
    const receiptFor = messagesIn(message);
    const inside = { id: message.id, from, isReceipt: receiptFor !== undefined };
    seenDrops.add({ id, created_at, address, message: inside, ...(expiration && { expiration }) });
    // Of an old message of kind 4 the two ids are one.
    const isCopy = this.#handed.has(message.id);
    this.#note(id);
    this.#note(message.id);
    const acknowledged = outbox.acknowledgementOf(message.id);
    if (acknowledged !== undefined) {
      // Another copy of what the caller has stored already. Should this fail, the copy is met again at the next pickup.
      void acknowledger.acknowledgeCopy(id, address, acknowledged).catch(() => {});
      return undefined;
    }
    if (isCopy) return undefined;
    const common = { id, from, to: address, relay };
    return receiptFor === undefined
      ? { type: "message", ...common, message }
      : { type: "receipt", ...common, messages: receiptFor };
  }

  /** Whether a drop that cannot be opened is to be handed out. */
  admit({ drop, why, isFinal }: Unreadable): boolean {
    const { id, created_at } = drop;
    if (this.#handed.has(id) || !isGenuine(drop)) return false;
    const address = addressOf(drop) ?? "";
    const expiration = parseUnixTime(tagValue(drop, "expiration"));
    this.#parts.seenDrops.add({
      id,
      created_at,
      address,
      ...(expiration && { expiration }),
      ...(isFinal && { why }),
    });
    this.#note(id);
    return true;
  }

  #note(id: string): void {
    if (this.#handed.size >= MAX_SEEN) this.#handed.clear();
    this.#handed.add(id);
  }
}
