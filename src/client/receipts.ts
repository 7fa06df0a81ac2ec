// Delivery receipts, end to end: a drop like any other, whose message names the messages that arrived (NIP-DR).

import { isHex32 } from "../nostr/hex.ts";
import { RECEIPT } from "../nostr/kinds.ts";
import type { AcknowledgementRecord, ReceiptRecord } from "./outbox-store.ts";
import type { Runtime } from "./runtime.ts";
import type { SavedDelivery } from "./saved-delivery.ts";
import type { SeenDrops } from "./seen-drops.ts";
import type { EventTemplate } from "./signer.ts";
import type { Rumor } from "./wrap.ts";

// What it was in the drafts of before, and what clients of then send. It is read, and not sent.
const FORMER_RECEIPT = 20_222;

/** A receipt leaves after a time between these, so that it does not tell when one was there. Seconds. */
export type ReceiptOptions = {
  readonly minDelaySeconds: number;
  readonly maxDelaySeconds: number;
};

// Two layers of encryption make sixty kilobytes of as many ids, and a usual drop takes no more than 64.
const MAX_MESSAGES = 300;
// After a minute, five, twenty-five, two hours, ten: a sender who is not there in a day does not wait for it.
const MAX_TRIES = 6;
const FIRST_RETRY_SECONDS = 60;
const RETRY_FACTOR = 5;

/** The receipts that follow from an acknowledgement by `identity`: one for each sender. None for a receipt, and none to oneself. */
export function receiptsFor(
  { id, event, until }: AcknowledgementRecord,
  identity: string,
  seenDrops: SeenDrops,
  { minDelaySeconds, maxDelaySeconds }: ReceiptOptions,
  runtime: Runtime,
): ReceiptRecord[] {
  const bySender = new Map<string, Set<string>>();
  for (const [name, drop = ""] of event.tags) {
    const message = name === "e" ? seenDrops.get(drop)?.message : undefined;
    if (message === undefined || message.isReceipt || message.from === identity) continue;
    const messages = bySender.get(message.from) ?? new Set();
    bySender.set(message.from, messages.add(message.id));
  }
  return [...bySender].flatMap(([to, all]) => {
    const messages = [...all];
    const receipts: ReceiptRecord[] = [];
    for (let next = 0; next < messages.length; next += MAX_MESSAGES) {
      const delay = minDelaySeconds + runtime.random() * (maxDelaySeconds - minDelaySeconds);
      receipts.push({
        type: "receipt",
        id: `${id}-${to}-${next}`,
        from: identity,
        to,
        messages: messages.slice(next, next + MAX_MESSAGES),
        at: Math.ceil(runtime.now() + delay),
        until,
        tries: 0,
      });
    }
    return receipts;
  });
}

/** What to try later after a receipt did not arrive, less and less often; undefined when it has been tried enough. */
export function receiptAgain(
  record: ReceiptRecord,
  delivery: SavedDelivery | undefined,
  { now }: Runtime,
): ReceiptRecord | undefined {
  const tries = record.tries + 1;
  if (tries >= MAX_TRIES) return undefined;
  const at = now() + FIRST_RETRY_SECONDS * RETRY_FACTOR ** record.tries;
  return { ...record, tries, at, ...(delivery !== undefined && { delivery }) };
}

/** The message of a receipt, to be sent now. */
export function receiptTemplate({ to, messages }: ReceiptRecord, { now }: Runtime): EventTemplate {
  const tags = [["p", to], ...messages.map((id) => ["e", id])];
  return { kind: RECEIPT, created_at: now(), tags, content: "" };
}

/** The messages that a receipt names; undefined for another message. */
export function messagesIn({ kind, tags }: Rumor): string[] | undefined {
  if (kind !== RECEIPT && kind !== FORMER_RECEIPT) return undefined;
  return tags.filter(([name]) => name === "e").flatMap(([, id]) => (isHex32(id) ? [id] : []));
}
