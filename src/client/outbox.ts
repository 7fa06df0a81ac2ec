// What is to be told to relays and cannot be told now: acknowledgements, and receipts that wait for their time. Kept in a store that survives the process.
//
// - An acknowledgement is one signed event. It is put into the store before any relay hears of it, and leaves the list of relays it is for one by one. Any
//   of them may hear it twice: NIP-DD makes that safe.
// - It stays, told to all or not, until the last of its drops has expired: so a copy of an acknowledged message that turns up late, in another wrap or
//   on a relay that knows no acknowledgements, is recognised and not handed out again.
// - A relay that will never take it, since it refuses the kind, is not asked again.

import type { NostrEvent } from "../nostr/event.ts";
import type { SavedDelivery } from "./delivery.ts";
import type { Answer, Link } from "./link.ts";
import type { Chance } from "./wrap.ts";

export type AcknowledgementRecord = {
  readonly type: "acknowledgement";
  /** The id of `event`. */
  readonly id: string;
  /** Kind 20221. */
  readonly event: NostrEvent;
  /** The relays still to be told. */
  readonly relays: readonly string[];
  /** Ids of the messages inside the drops. */
  readonly messages: readonly string[];
  /** Unix seconds: the expiry of the last of the drops. Nothing is left to be told then. */
  readonly until: number;
};

export type ReceiptRecord = {
  readonly type: "receipt";
  readonly id: string;
  /** The key that says so, and the one to tell. */
  readonly from: string;
  readonly to: string;
  readonly messages: readonly string[];
  /** Unix seconds: when to send it. */
  readonly at: number;
  readonly until: number;
  /** How often it was tried, and what was tried: it is not made a second time. */
  readonly tries: number;
  readonly delivery?: SavedDelivery;
};

export type OutboxRecord = AcknowledgementRecord | ReceiptRecord;

/** Where an outbox is kept: a folder in Node (`fileOutbox` of `deaddrop/client/node`), IndexedDB in a browser, or memory. Records are plain JSON. */
export type OutboxStore = {
  load(): Promise<OutboxRecord[]>;
  /** Resolves when the record would survive the end of the process. Replaces one with the same id. */
  put(record: OutboxRecord): Promise<void>;
  remove(id: string): Promise<void>;
};

/** An outbox that lives as long as the process or the page. */
export function memoryOutbox(): OutboxStore {
  const records = new Map<string, OutboxRecord>();
  return {
    load: async () => [...records.values()],
    async put(record) {
      records.set(record.id, record);
    },
    async remove(id) {
      records.delete(id);
    },
  };
}

/** What became of an acknowledgement at one relay: `later`: it could not be told and waits in the outbox. */
export type AcknowledgementReport = {
  readonly url: string;
  readonly state: "done" | "later" | "refused";
  readonly reason: string;
};

export type OutboxParts = {
  readonly store: OutboxStore;
  readonly chance: Chance;
  /** The link over which this key speaks to a relay. */
  readonly linkTo: (url: string, key: string) => Link;
  /** Sends a receipt. Answers what is to be tried again, undefined when nothing is. */
  readonly sendReceipt: (record: ReceiptRecord) => Promise<ReceiptRecord | undefined>;
  readonly retrySeconds: number;
};

/** Ids of drops and of messages kept, some 20 MB. */
const MAX_IDS = 400_000;

export class Outbox {
  readonly #parts: OutboxParts;
  readonly #records = new Map<string, OutboxRecord>();
  // By the id of a drop or of a message: the records that name it.
  readonly #acknowledged = new Map<string, Set<AcknowledgementRecord>>();
  readonly #loaded: Promise<void>;
  #written: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  // One relay is told one thing at a time by whoever begins.
  readonly #telling = new Map<string, Promise<AcknowledgementReport>>();

  constructor(parts: OutboxParts) {
    this.#parts = parts;
    this.#loaded = this.#load();
    // Whoever asks hears of it; nobody has to ask.
    this.#loaded.catch(() => {});
  }

  /** Resolves when what was kept is known. Rejects when the store cannot be read. */
  loaded(): Promise<void> {
    return this.#loaded;
  }

  /** The acknowledgement of the drop or the message with this id; undefined when there is none, or it has expired. */
  acknowledgementOf(id: string): AcknowledgementRecord | undefined {
    const [record] = this.#acknowledged.get(id) ?? [];
    return record;
  }

  /** How much is still to be told. */
  get waiting(): number {
    return [...this.#records.values()].filter(isWaiting).length;
  }

  /** Keeps an acknowledgement and tells it to its relays. Resolves when each has answered or could not be reached; rejects when it cannot be kept. */
  async acknowledge(record: AcknowledgementRecord): Promise<AcknowledgementReport[]> {
    await this.#keep(record);
    return Promise.all(record.relays.map((url) => this.#tell(record.id, url)));
  }

  /** Keeps a receipt and sends it when its time has come. */
  async keepReceipt(record: ReceiptRecord): Promise<void> {
    await this.#keep(record);
    this.#schedule();
  }

  /** Tells all that waits, or what waits for one relay. Resolves when it was tried. */
  async flush(only?: string): Promise<void> {
    await this.#loaded;
    this.#expire();
    const now = this.#parts.chance.now();
    const all: Promise<unknown>[] = [];
    for (const record of this.#records.values()) {
      if (record.type === "acknowledgement") {
        for (const url of record.relays) {
          if (only === undefined || url === only) all.push(this.#tell(record.id, url));
        }
      } else if (only === undefined && record.at <= now) {
        all.push(this.#receipt(record));
      }
    }
    await Promise.all(all);
    this.#schedule();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #load(): Promise<void> {
    for (const record of await this.#parts.store.load()) this.#index(record);
    this.#expire();
    this.#schedule();
  }

  async #keep(record: OutboxRecord): Promise<void> {
    await this.#loaded;
    this.#expire();
    while (this.#acknowledged.size >= MAX_IDS) await this.#makeRoom();
    await this.#parts.store.put(record);
    this.#index(record);
  }

  #index(record: OutboxRecord): void {
    this.#unindex(record.id);
    this.#records.set(record.id, record);
    if (record.type !== "acknowledgement") return;
    for (const id of idsOf(record)) {
      const records = this.#acknowledged.get(id) ?? new Set();
      this.#acknowledged.set(id, records.add(record));
    }
  }

  #unindex(recordId: string): void {
    const record = this.#records.get(recordId);
    this.#records.delete(recordId);
    if (record?.type !== "acknowledgement") return;
    for (const id of idsOf(record)) {
      const records = this.#acknowledged.get(id);
      if (records?.delete(record) === true && records.size === 0) this.#acknowledged.delete(id);
    }
  }

  async #remove({ id }: OutboxRecord): Promise<void> {
    this.#unindex(id);
    await this.#parts.store.remove(id);
  }

  #expire(): void {
    const now = this.#parts.chance.now();
    for (const record of this.#records.values()) {
      // A store that does not let go is asked again at the next start.
      if (record.until <= now) void this.#remove(record).catch(() => {});
    }
  }

  // What everybody was told is only a memory; what was not is a promise to the caller.
  async #makeRoom(): Promise<void> {
    const told = [...this.#records.values()].find((record) => !isWaiting(record));
    if (told === undefined) {
      throw new Error("the outbox is full of acknowledgements that wait for their relays");
    }
    await this.#remove(told);
  }

  #tell(id: string, url: string): Promise<AcknowledgementReport> {
    const name = `${id} ${url}`;
    const telling =
      this.#telling.get(name) ?? this.#tellOnce(id, url).finally(() => this.#telling.delete(name));
    this.#telling.set(name, telling);
    return telling;
  }

  async #tellOnce(id: string, url: string): Promise<AcknowledgementReport> {
    const record = this.#records.get(id);
    if (record?.type !== "acknowledgement") return { url, state: "done", reason: "" };
    const answer = await this.#parts.linkTo(url, record.event.pubkey).publish(record.event);
    const report = { url, ...outcomeOf(answer) };
    if (report.state === "later") this.#schedule();
    else await this.#told(id, url);
    return report;
  }

  // Reads the record anew: other relays have answered meanwhile.
  async #told(id: string, url: string): Promise<void> {
    const record = this.#records.get(id);
    if (record?.type !== "acknowledgement") return;
    const told = { ...record, relays: record.relays.filter((relay) => relay !== url) };
    this.#index(told);
    // One after the other, or an older record could come to lie over a newer one.
    const written = this.#written.then(() => this.#parts.store.put(told));
    this.#written = written.catch(() => {});
    await written;
  }

  async #receipt(record: ReceiptRecord): Promise<void> {
    const name = `receipt ${record.id}`;
    if (this.#telling.has(name)) return;
    const sending = this.#parts.sendReceipt(record).catch(() => undefined);
    this.#telling.set(
      name,
      sending.then(() => ({ url: "", state: "done" as const, reason: "" })),
    );
    const again = await sending;
    this.#telling.delete(name);
    if (again === undefined) return this.#remove(record);
    await this.#parts.store.put(again);
    this.#index(again);
  }

  #schedule(): void {
    if (this.#isClosed || this.#timer !== undefined || this.waiting === 0) return;
    const { retrySeconds, chance } = this.#parts;
    const seconds = retrySeconds * (0.5 + chance.random() / 2);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.flush().catch(() => this.#schedule());
    }, seconds * 1_000);
  }
}

function isWaiting(record: OutboxRecord): boolean {
  return record.type === "receipt" || record.relays.length > 0;
}

function idsOf({ event, messages }: AcknowledgementRecord): string[] {
  const drops = event.tags.filter(([name]) => name === "e").map(([, id]) => id ?? "");
  return [...drops, ...messages];
}

function outcomeOf(answer: Answer): Pick<AcknowledgementReport, "state" | "reason"> {
  if ("unreachable" in answer) return { state: "later", reason: answer.unreachable };
  const { accepted, reason } = answer;
  if (accepted) return { state: "done", reason };
  // A rate, a full disk: it may be told later. A relay that does not know the kind never takes it.
  const isPassing = /^(rate-limited|error|auth-required):/.test(reason);
  return { state: isPassing ? "later" : "refused", reason };
}
