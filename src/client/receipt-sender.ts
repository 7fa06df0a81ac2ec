// Sends receipts, and says what to do about one that did not arrive.

import type { Delivery } from "./delivery.ts";
import type { ReceiptRecord } from "./outbox-store.ts";
import { receiptAgain, receiptTemplate } from "./receipts.ts";
import type { Runtime } from "./runtime.ts";
import type { SavedDelivery } from "./saved-delivery.ts";
import type { SendOptions } from "./send-options.ts";
import type { EventTemplate, Signer } from "./signer.ts";

export type ReceiptSenderParts = {
  readonly identities: ReadonlyMap<string, Signer>;
  readonly runtime: Runtime;
  readonly send: (to: string, message: EventTemplate, options: SendOptions) => Promise<Delivery>;
  readonly resume: (saved: SavedDelivery) => Promise<Delivery>;
};

/**
 * Tries to send a receipt. Answers what is to be tried again, undefined when nothing is. One relay that holds it is enough; what was tried before is tried
 * again, and not made anew.
 */
export async function sendReceipt(
  { identities, runtime, send, resume }: ReceiptSenderParts,
  record: ReceiptRecord,
): Promise<ReceiptRecord | undefined> {
  const from = identities.get(record.from);
  if (from === undefined) return receiptAgain(record, undefined, runtime);
  try {
    const delivery =
      record.delivery === undefined
        ? await send(record.to, receiptTemplate(record, runtime), { from, quorum: 1 })
        : await resume(record.delivery);
    if (delivery.isDelivered) return undefined;
    return receiptAgain(record, delivery.save(), runtime);
  } catch {
    return receiptAgain(record, record.delivery, runtime);
  }
}
