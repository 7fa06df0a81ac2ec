import type { AcknowledgementRecord, ReceiptRecord } from "./outbox-store.ts";

/** What waits to be told, or was told and is remembered. */
export type WaitingRecord = AcknowledgementRecord | ReceiptRecord;

/** The records of an outbox in memory, found by their ids, and by those of the drops and messages that they acknowledge. */
export class OutboxRecords {
  readonly #records = new Map<string, WaitingRecord>();
  // By the id of a drop or of a message: the records that name it.
  readonly #acknowledged = new Map<string, Set<AcknowledgementRecord>>();

  get(id: string): WaitingRecord | undefined {
    return this.#records.get(id);
  }

  /** All of them, oldest first. Records may be removed meanwhile. */
  all(): Iterable<WaitingRecord> {
    return this.#records.values();
  }

  /** The acknowledgement of the drop or the message with this id; undefined when there is none. */
  acknowledgementOf(id: string): AcknowledgementRecord | undefined {
    const [record] = this.#acknowledged.get(id) ?? [];
    return record;
  }

  /** How many drops and messages are acknowledged in them. */
  get acknowledgedIds(): number {
    return this.#acknowledged.size;
  }

  /** How many are still to be told to somebody. */
  get waiting(): number {
    return [...this.#records.values()].filter(isWaiting).length;
  }

  /** Replaces one with the same id. */
  put(record: WaitingRecord): void {
    this.remove(record.id);
    this.#records.set(record.id, record);
    if (record.type !== "acknowledgement") return;
    for (const id of idsOf(record)) {
      const records = this.#acknowledged.get(id) ?? new Set();
      this.#acknowledged.set(id, records.add(record));
    }
  }

  remove(recordId: string): void {
    const record = this.#records.get(recordId);
    this.#records.delete(recordId);
    if (record?.type !== "acknowledgement") return;
    for (const id of idsOf(record)) {
      const records = this.#acknowledged.get(id);
      if (records?.delete(record) === true && records.size === 0) this.#acknowledged.delete(id);
    }
  }
}

/** Whether a record is still to be told to somebody. */
export function isWaiting(record: WaitingRecord): boolean {
  return record.type === "receipt" || record.relays.length > 0;
}

function idsOf({ event, messages }: AcknowledgementRecord): string[] {
  const drops = event.tags.filter(([name]) => name === "e").map(([, id]) => id ?? "");
  return [...drops, ...messages];
}
