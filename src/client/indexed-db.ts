import { type OutboxRecord, type OutboxStore, readRecord } from "./outbox-store.ts";

// The part of IndexedDB that is used. Named here because the relay, which is compiled with the library, has no browser's types.
type Request<Result> = {
  readonly result: Result;
  readonly error: Error | null;
  addEventListener(type: "success" | "error" | "upgradeneeded", listener: () => void): void;
};
type Transaction = {
  readonly error: Error | null;
  addEventListener(type: "complete" | "abort", listener: () => void): void;
  objectStore(name: string): {
    getAll(): Request<unknown[]>;
    put(value: unknown): Request<unknown>;
    delete(key: string): Request<unknown>;
  };
};
type Database = {
  createObjectStore(name: string, options: { keyPath: string }): unknown;
  transaction(
    name: string,
    mode: "readonly" | "readwrite",
    options?: { durability: "strict" },
  ): Transaction;
};
type Factory = { open(name: string, version: number): Request<Database> };

const RECORDS = "records";

/** A record in IndexedDB that is damaged. It stays there, and nothing else is held up by it. */
export type DamagedRecord = { readonly id: string; readonly why: string };

export type IndexedDbOutboxOptions = {
  /** Told of each record that is damaged: what it was to tell a relay is not told. Default: a warning on the console. */
  readonly damaged?: (record: DamagedRecord) => void;
};

/**
 * An outbox in the browser's IndexedDB, which outlives the page. `name`: one for each person who uses this browser. A damaged record is left where it is,
 * and so is one of a type that is not known here.
 */
export function indexedDbOutbox(
  name: string,
  { damaged = warn }: IndexedDbOutboxOptions = {},
): OutboxStore {
  const opened = open(`deaddrop-outbox-${name}`);
  // Whoever asks hears of it.
  opened.catch(() => {});
  return {
    async load() {
      const database = await opened;
      const request = database.transaction(RECORDS, "readonly").objectStore(RECORDS).getAll();
      return (await answer(request)).flatMap((value) => {
        const { record, why } = readRecord(value);
        if (why !== undefined) damaged({ id: (value as OutboxRecord).id, why });
        return record ?? [];
      });
    },
    async put(record) {
      await write(await opened, (records) => records.put(record));
    },
    async remove(id) {
      await write(await opened, (records) => records.delete(id));
    },
  };
}

function warn({ id, why }: DamagedRecord): void {
  console.warn(`the record ${id} of an outbox is damaged: ${why}`);
}

function open(name: string): Promise<Database> {
  const { indexedDB } = globalThis as { indexedDB?: Factory };
  if (indexedDB === undefined) return Promise.reject(new Error("there is no IndexedDB here"));
  const request = indexedDB.open(name, 1);
  request.addEventListener("upgradeneeded", () => {
    request.result.createObjectStore(RECORDS, { keyPath: "id" });
  });
  return answer(request);
}

function write(
  database: Database,
  work: (records: ReturnType<Transaction["objectStore"]>) => unknown,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(RECORDS, "readwrite", { durability: "strict" });
    transaction.addEventListener("complete", () => resolve());
    // Every error ends in it.
    transaction.addEventListener("abort", () => {
      reject(transaction.error ?? new Error("IndexedDB did not take it"));
    });
    work(transaction.objectStore(RECORDS));
  });
}

function answer<Result>(request: Request<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error ?? new Error("IndexedDB failed")));
  });
}
