import { causeOf, DiskFull, isDiskFull, isStoreError } from "./incidents.ts";
import { StoreLost } from "./same-file.ts";
import type { Opened } from "./tables.ts";

// A transaction takes up what waits until it has run this long, then it commits; an operation that is not done goes on in the next one. The event loop
// is held for no longer than this and one step.
const TRANSACTION_MS = 8;

/** A unit of work in steps; the transaction may end after each. */
type Steps<Outcome> = { next(): IteratorResult<void, Outcome> };

type Waiting = {
  readonly isPut: boolean;
  readonly operation: Steps<unknown>;
  readonly done: (outcome: never) => void;
  readonly failed: (error: unknown) => void;
};

type WriterEvents = {
  /** Before a transaction. Throws when there is no room for any. */
  readonly mayBegin: () => void;
  /** After a commit, before anything is said of it. Throws when it was in vain. */
  readonly verify: () => void;
  /** After a commit, before the promises of what ended in it resolve: reads may see it now. */
  readonly committed: () => void;
  /** How many puts ended in it, and how long it took with its flush, seconds. */
  readonly measured: (puts: number, seconds: number) => void;
  /** After a transaction that came to nothing. */
  readonly aborted: () => void;
  /** Whether LMDB can still be read. After a failed meta page it cannot, whatever that failed for. */
  readonly isReadable: () => boolean;
  /** Whether the file can grow. */
  readonly hasRoom: () => boolean;
  /** That was because the disk is full. */
  readonly diskFull: (cause: Error) => void;
  /** That was for another reason: LMDB must not be written to any more, and nothing will be. */
  readonly lost: (cause: Error) => void;
};

/**
 * The one writer: runs operations one after the other, as many to a transaction as are waiting, and resolves each one's promise after the flush of the
 * transaction it ended in. While one transaction is flushed the next one gathers.
 *
 * Where LMDB could not write for any reason but a full disk, that was the last transaction: after a failed meta page it answers no other (MDB_PANIC), and
 * after other failures lmdb 3.5.6 has written past a buffer of its own. All that waits is told so.
 */
export class Writer {
  readonly #environment: Pick<Opened, "root">;
  readonly #events: WriterEvents;
  readonly #queue: Waiting[] = [];
  #running: Promise<void> | undefined;
  #closed = false;
  #lost: Error | undefined;

  constructor(environment: Pick<Opened, "root">, events: WriterEvents) {
    this.#environment = environment;
    this.#events = events;
  }

  run<Outcome>(operation: Steps<Outcome>, isPut = false): Promise<Outcome> {
    if (this.#closed) return Promise.reject(new Error("the store is closed"));
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    return new Promise((done, failed) => {
      this.#queue.push({ isPut, operation, done, failed });
      // A turn of the event loop later, so that what arrives together is committed together.
      this.#running ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() =>
        this.#drain(),
      );
    });
  }

  /** Begins no other transaction, for this reason. */
  giveUp(cause: Error): void {
    this.#lost ??= new StoreLost(cause.message, { cause });
  }

  /** Resolves when all that was asked for is on disk, or will never be. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0 && this.#lost === undefined) await this.#commit();
    for (const { failed } of this.#queue.splice(0)) failed(this.#lost);
    this.#running = undefined;
  }

  async #commit(): Promise<void> {
    const ended: { waiting: Waiting; outcome: unknown }[] = [];
    let begun: Waiting | undefined;
    const beganAt = performance.now();
    let puts = 0;
    try {
      this.#events.mayBegin();
      // A child transaction, because it alone is undone when something in it throws.
      await this.#environment.root.childTransaction(() => {
        const deadline = performance.now() + TRANSACTION_MS;
        for (;;) {
          const waiting = this.#queue[0];
          if (waiting === undefined || performance.now() >= deadline) return;
          begun = waiting;
          const step = waiting.operation.next();
          if (step.done !== true) continue;
          begun = undefined;
          ended.push({ waiting, outcome: step.value });
          if (waiting.isPut) puts += 1;
          this.#queue.shift();
        }
      });
      this.#events.verify();
    } catch (thrown) {
      const error = this.#judge(await causeOf(thrown));
      this.#events.aborted();
      for (const { waiting } of ended) waiting.failed(error);
      // The one that threw, was in the middle, or could not begin: what it did in this transaction is undone, so it cannot go on.
      if (begun !== undefined || ended.length === 0) this.#queue.shift()?.failed(error);
      return;
    }
    this.#events.committed();
    this.#events.measured(puts, (performance.now() - beganAt) / 1_000);
    for (const { waiting, outcome } of ended) waiting.done(outcome as never);
  }

  // What those who wait are told.
  #judge(error: unknown): unknown {
    if (!isStoreError(error)) return error;
    if (this.#events.isReadable() && isDiskFull(error, this.#events.hasRoom)) {
      this.#events.diskFull(error);
      return new DiskFull(error.message, { cause: error });
    }
    this.giveUp(error);
    this.#events.lost(error);
    return this.#lost;
  }
}
