import {
  type AnswerLimits,
  BYTES_AN_ASK,
  MIN_ASKS,
  MIN_FRAME_BYTES,
  reconcile,
  RecordSet,
} from "../nostr/negentropy.ts";
import { isReason, type Reason } from "../nostr/reason.ts";
import { UNREADABLE } from "./answer.ts";
import type { ScopedFilter } from "./gate.ts";
import type { ConnectionHost } from "./host.ts";
import { reportFailure } from "./observer.ts";
import type { OpenSet } from "./open-sets.ts";
import { reconciledSet } from "./reconciled-set.ts";
import { sayNotReconciled, sayReconciled } from "./replies.ts";
import type { Subscriber } from "./subscription.ts";

export type ReconciliationLimits = {
  /** Drops in one reconciliation. */
  readonly reconcile: number;
  readonly messageBytes: number;
};

/** Whom reconciliations belong to: a connection. */
type Reconciler = Subscriber & {
  readonly limits: ReconciliationLimits;
  readonly isOpen: boolean;
};

type Open = OpenSet & { readonly set: RecordSet };

// Clients that reconcile several filters at once are content with it; those that never say NEG-CLOSE go on.
const OPEN_AT_ONCE = 8;
// Some libraries take no message of more than a few hundred KiB, and in hex it is twice as long.
const FRAME_BYTES = 64 * 1024;
// What stands around the hex digits of a message.
const ENVELOPE_BYTES = 512;

// The words of strfry, which clients know.
const TOO_BIG: Reason = "blocked: this query is too big";
const NOT_OPEN: Reason = "closed: unknown subscription handle";
const TOO_MANY: Reason = "closed: too many reconciliations are open, begin again";

/**
 * The open reconciliations of one connection, by their id (NIP-77). Each is about the drops that were held when it was opened: what comes later is not in it,
 * and what goes is not found any more when it is asked for. Nothing is removed by one, and nothing acknowledged.
 */
export class Reconciliations {
  readonly #host: ConnectionHost;
  readonly #reconciler: Reconciler;
  readonly #answers: AnswerLimits;
  // The one used last comes last. Without a set while it is being made.
  readonly #open = new Map<string, Open | undefined>();

  constructor(host: ConnectionHost, reconciler: Reconciler) {
    this.#host = host;
    this.#reconciler = reconciler;
    this.#answers = answersWithin(reconciler.limits);
  }

  /** Answers the first message. What was open under this id is closed first. `scoped` is undefined for a filter that nothing can match. */
  async open(id: string, scoped: ScopedFilter | undefined, message: string): Promise<void> {
    this.close(id);
    this.#open.set(id, undefined);
    for (const oldest of this.#open.keys()) {
      if (this.#open.size > OPEN_AT_ONCE) this.refuse(oldest, TOO_MANY);
    }
    try {
      const set = scoped === undefined ? new RecordSet(0) : await this.#find(id, scoped);
      // It was closed meanwhile.
      if (!this.#open.has(id)) return;
      if (set === undefined) return this.refuse(id, TOO_BIG);
      const open = { set, drops: set.size, forget: () => this.refuse(id, TOO_MANY) };
      this.#open.set(id, open);
      this.#host.openSets.add(open);
    } catch (error) {
      reportFailure(this.#host.log, error);
      return this.refuse(id, UNREADABLE);
    }
    return this.answer(id, message);
  }

  /** Answers a further message. Its work costs as much as a turn of scanning. */
  async answer(id: string, message: string): Promise<void> {
    const open = this.#open.get(id);
    if (open === undefined) return this.refuse(id, NOT_OPEN);
    this.#open.delete(id);
    this.#open.set(id, open);
    this.#host.openSets.used(open);
    const { outbox } = this.#reconciler;
    if (!(await outbox.room()) || this.#open.get(id) !== open) return;
    const answer = reconcile(open.set, Buffer.from(message, "hex"), this.#answers);
    if (isReason(answer)) this.refuse(id, answer);
    else sayReconciled(outbox, id, answer);
    await this.#reconciler.pause();
  }

  close(id: string): void {
    const open = this.#open.get(id);
    this.#open.delete(id);
    if (open !== undefined) this.#host.openSets.delete(open);
  }

  /** Ends one and tells the client so. */
  refuse(id: string, reason: Reason): void {
    this.close(id);
    sayNotReconciled(this.#reconciler.outbox, id, reason);
  }

  closeAll(): void {
    for (const id of this.#open.keys()) this.close(id);
  }

  #find(id: string, scoped: ScopedFilter): Promise<RecordSet | undefined> {
    const reconciler = this.#reconciler;
    return reconciledSet(reconciler.store, scoped, {
      now: () => reconciler.now(),
      watermark: reconciler.store.watermark,
      maxLimit: reconciler.limits.reconcile,
      isGivenUp: () => !reconciler.isOpen || !this.#open.has(id),
      pause: () => reconciler.pause(),
    });
  }
}

// An answer leaves room in the outbox for others; and what it asks about is answered in one message, which must not be too long for us.
function answersWithin({
  messageBytes,
  outboxBytes,
}: Pick<ReconciliationLimits, "messageBytes"> & { outboxBytes: number }): AnswerLimits {
  return {
    frameBytes: Math.max(MIN_FRAME_BYTES, Math.min(FRAME_BYTES, Math.floor(outboxBytes / 4))),
    asks: Math.max(MIN_ASKS, Math.floor((messageBytes - ENVELOPE_BYTES) / 2 / BYTES_AN_ASK)),
  };
}
