// Turns a drop as a relay sent it into what the caller of a pickup gets, or into nothing.

import { parseExpiration } from "../nostr/drop.ts";
import { tagValue } from "../nostr/event.ts";
import type { Acknowledger } from "./acknowledger.ts";
import type { PickedUp, ReceivedDrop } from "./collection.ts";
import { hasOwnId } from "./genuine.ts";
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

  constructor(parts: DropOpenerParts) {
    this.#parts = parts;
  }

  /**
   * Opens a drop. Answers undefined for what is not to be handed out: what has expired, what the caller has acknowledged, what is in `given` (ids of messages,
   * to which this one is added), and what a relay made up.
   */
  async open({ drop, relay }: ReceivedDrop, given: Set<string>): Promise<PickedUp | undefined> {
    const { acknowledger, outbox, receivers, seenDrops, runtime } = this.#parts;
    const { id, created_at } = drop;
    const expiration = parseExpiration(tagValue(drop, "expiration"));
    // What a relay that keeps everything still shows is over all the same.
    if (expiration !== undefined && expiration <= runtime.now()) return undefined;
    if (outbox.acknowledgementOf(id) !== undefined) return undefined;
    const address = addressOf(drop);
    const receiver = receivers.get(address ?? "");
    // Not what was asked for, or not what it says it is: a relay that errs or lies.
    if (address === undefined || receiver === undefined || !hasOwnId(drop)) return undefined;
    const opened = await open(drop, receiver);
    if ("why" in opened) {
      seenDrops.add(id, { created_at, expiration, address, message: undefined });
      return { type: "unreadable", id, why: opened.why, drop, relay };
    }
    const { message } = opened;
    const from = message.pubkey;
    const receiptFor = messagesIn(message);
    const inside = { id: message.id, from, isReceipt: receiptFor !== undefined };
    seenDrops.add(id, { created_at, expiration, address, message: inside });
    const before = outbox.acknowledgementOf(message.id);
    if (before !== undefined) {
      // Another copy of what the caller has stored already. Should this fail, the copy is met again at the next pickup.
      void acknowledger.acknowledgeCopy(id, address, before).catch(() => {});
      return undefined;
    }
    if (given.has(message.id)) return undefined;
    if (given.size >= MAX_SEEN) given.clear();
    given.add(message.id);
    const common = { id, from, to: address, relay };
    return receiptFor === undefined
      ? { type: "message", ...common, message }
      : { type: "receipt", ...common, messages: receiptFor };
  }
}
