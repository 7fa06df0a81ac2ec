// What is to be told to relays and cannot be told now: acknowledgements, and receipts that wait for their time. Kept in a store that survives the process.
//
// - An acknowledgement is one signed event. It is put into the store before any relay hears of it, and leaves the list of relays it is for one by one. Any
//   of them may hear it twice: NIP-DD makes that safe.
// - It stays, told to all or not, until the last of its drops has expired: so a copy of an acknowledged message that turns up late, in another wrap or
//   on a relay that knows no acknowledgements, is recognised and not handed out again.
// - A relay that refuses it is told again, less and less often, as long as there is something to be forgotten: no refusal is known to be the last.
// - Only a dead drop is told: any other relay keeps the drop all the same, and may show the acknowledgement to everybody (NIP-DD). What its document says is
//   asked for until it is known.

import type { NostrEvent } from "../nostr/event.ts";
import { backoffSeconds } from "./backoff.ts";
import { isWaiting, OutboxRecords, type WaitingRecord } from "./outbox-records.ts";
import type {
  AcknowledgementRecord,
  OutboxStore,
  ReceiptRecord,
  SeenRecord,
} from "./outbox-store.ts";
import type { RelayConnection } from "./relay-connection.ts";
import type { RelayInformation } from "./relay-information.ts";
import type { Runtime } from "./runtime.ts";
import type { SeenDrops } from "./seen-drops.ts";

/**
 * What became of an acknowledgement at one relay. `later`: it could not be told, or refused, and is told again from the outbox. `kept`: it is no dead drop
 * and is not told; it keeps the drop until it forgets it by itself, and this client does not bring it again.
 */
export type AcknowledgementReport = {
  readonly url: string;
  readonly state: "done" | "later" | "kept";
  readonly reason: string;
};

export type OutboxParts = {
  readonly store: OutboxStore;
  readonly runtime: Runtime;
  readonly seenDrops: SeenDrops;
  /** What a relay says of itself. */
  readonly informationOf: (url: string) => Promise<RelayInformation>;
  /** The connection over which this key speaks to a relay. */
  readonly connectionTo: (url: string, key: string) => RelayConnection;
  /** Sends a receipt. Answers what is to be tried again, undefined when nothing is. */
  readonly sendReceipt: (record: ReceiptRecord) => Promise<ReceiptRecord | undefined>;
  readonly retrySeconds: number;
};

const MAX_RETRY_SECONDS = 60 * 60;
/** Ids of drops and of messages kept, some 20 MB. */
const MAX_IDS = 400_000;

export class Outbox {
  readonly #parts: OutboxParts;
  readonly #records = new OutboxRecords();
  readonly #loaded: Promise<void>;
  // One relay is told one thing at a time by whoever begins: by record and relay.
  readonly #publishing = new Map<string, Promise<AcknowledgementReport>>();
  // When to tell a relay again, and how often it was told in vain: by record and relay.
  readonly #again = new Map<string, { readonly at: number; readonly tries: number }>();
  readonly #sending = new Set<string>();
  #written: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

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
    return this.#records.acknowledgementOf(id);
  }

  /** How much is still to be told. */
  get waiting(): number {
    return this.#records.waiting;
  }

  /** Keeps an acknowledgement and tells it to its relays. Resolves when each has answered or could not be reached; rejects when it cannot be kept. */
  async acknowledge(record: AcknowledgementRecord): Promise<AcknowledgementReport[]> {
    await this.#keep(record);
    return Promise.all(record.relays.map((url) => this.#publish(record.id, url)));
  }

  /** Keeps a receipt and sends it when its time has come. */
  async keepReceipt(record: ReceiptRecord): Promise<void> {
    await this.#keep(record);
    this.#schedule();
  }

  /** Tells all that waits, or what waits for one relay, however often it was tried. Resolves when it was. */
  flush(only?: string): Promise<void> {
    return this.#flush((_, url) => only === undefined || url === only, only === undefined);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #load(): Promise<void> {
    const { store, seenDrops } = this.#parts;
    const seen: SeenRecord[] = [];
    for (const record of await store.load()) {
      if (record.type === "seen") seen.push(record);
      else this.#records.put(record);
    }
    this.#expire();
    await seenDrops.restore(seen, (id) => this.acknowledgementOf(id) === undefined);
    this.#schedule();
  }

  async #keep(record: WaitingRecord): Promise<void> {
    await this.#loaded;
    this.#expire();
    while (this.#records.acknowledgedIds >= MAX_IDS) await this.#makeRoom();
    await this.#parts.store.put(record);
    this.#records.put(record);
  }

  async #remove(record: WaitingRecord): Promise<void> {
    const { id } = record;
    const relays = record.type === "acknowledgement" ? record.relays : [];
    for (const url of relays) this.#again.delete(nameOf(id, url));
    this.#records.remove(id);
    await this.#parts.store.remove(id);
  }

  #expire(): void {
    const now = this.#parts.runtime.now();
    for (const record of this.#records.all()) {
      // A store that does not let go is asked again at the next start.
      if (record.until <= now) void this.#remove(record).catch(() => {});
    }
  }

  // What everybody was told is only a memory; what was not is a promise to the caller.
  async #makeRoom(): Promise<void> {
    const done = [...this.#records.all()].find((record) => !isWaiting(record));
    if (done === undefined) {
      throw new Error("the outbox is full of acknowledgements that wait for their relays");
    }
    await this.#remove(done);
  }

  async #flush(
    isWanted: (id: string, url: string) => boolean,
    withReceipts: boolean,
  ): Promise<void> {
    await this.#loaded;
    this.#expire();
    const now = this.#parts.runtime.now();
    const all: Promise<unknown>[] = [];
    for (const record of this.#records.all()) {
      if (record.type === "acknowledgement") {
        for (const url of record.relays) {
          if (isWanted(record.id, url)) all.push(this.#publish(record.id, url));
        }
      } else if (withReceipts && record.at <= now) {
        all.push(this.#sendReceipt(record));
      }
    }
    await Promise.all(all);
    this.#schedule();
  }

  #flushDue(): Promise<void> {
    const now = this.#parts.runtime.now();
    return this.#flush((id, url) => (this.#again.get(nameOf(id, url))?.at ?? 0) <= now, true);
  }

  #publish(id: string, url: string): Promise<AcknowledgementReport> {
    const name = nameOf(id, url);
    const publishing =
      this.#publishing.get(name) ??
      this.#publishOnce(id, url).finally(() => this.#publishing.delete(name));
    this.#publishing.set(name, publishing);
    return publishing;
  }

  async #publishOnce(id: string, url: string): Promise<AcknowledgementReport> {
    const record = this.#records.get(id);
    if (record?.type !== "acknowledgement") return { url, state: "done", reason: "" };
    const report = { url, ...(await this.#tell(url, record.event)) };
    if (report.state === "later") this.#tellAgain(nameOf(id, url));
    else await this.#published(id, url);
    return report;
  }

  async #tell(
    url: string,
    event: NostrEvent,
  ): Promise<Pick<AcknowledgementReport, "state" | "reason">> {
    const { deadDrop, why } = await this.#parts.informationOf(url);
    if (deadDrop === "unknown") return { state: "later", reason: why };
    if (deadDrop === "no") return { state: "kept", reason: "it is no dead drop" };
    const result = await this.#parts.connectionTo(url, event.pubkey).publish(event);
    if ("unreachable" in result) return { state: "later", reason: result.unreachable };
    return { state: result.accepted ? "done" : "later", reason: result.reason };
  }

  #tellAgain(name: string): void {
    const { runtime, retrySeconds } = this.#parts;
    const { tries = 0 } = this.#again.get(name) ?? {};
    const seconds = backoffSeconds(retrySeconds, tries, MAX_RETRY_SECONDS, runtime);
    this.#again.set(name, { at: runtime.now() + seconds, tries: tries + 1 });
    this.#schedule();
  }

  // Reads the record anew: other relays have answered meanwhile.
  async #published(id: string, url: string): Promise<void> {
    this.#again.delete(nameOf(id, url));
    const record = this.#records.get(id);
    if (record?.type !== "acknowledgement") return;
    const changed = { ...record, relays: record.relays.filter((relay) => relay !== url) };
    this.#records.put(changed);
    // One after the other, or an older record could come to lie over a newer one. What cannot be written is told this relay once more, which is safe.
    this.#written = this.#written.then(() => this.#parts.store.put(changed)).catch(() => {});
    await this.#written;
  }

  async #sendReceipt(record: ReceiptRecord): Promise<void> {
    const { id } = record;
    if (this.#sending.has(id)) return;
    this.#sending.add(id);
    const again = await this.#parts.sendReceipt(record).catch(() => undefined);
    this.#sending.delete(id);
    if (again === undefined) return this.#remove(record);
    await this.#parts.store.put(again);
    this.#records.put(again);
  }

  #schedule(): void {
    if (this.#isClosed || this.#timer !== undefined || this.waiting === 0) return;
    const { retrySeconds, runtime } = this.#parts;
    const seconds = backoffSeconds(retrySeconds, 0, retrySeconds, runtime);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#flushDue().catch(() => this.#schedule());
    }, seconds * 1_000);
  }
}

function nameOf(id: string, url: string): string {
  return `${id} ${url}`;
}
