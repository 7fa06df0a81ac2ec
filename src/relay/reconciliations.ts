import {
  type AnswerLimits,
  BYTES_AN_ASK,
  MIN_ASKS,
  MIN_FRAME_BYTES,
  reconcile,
} from "../nostr/negentropy.ts";
import { isReason, type Reason } from "../nostr/reason.ts";
import type { RecordSet } from "../nostr/record-set.ts";
import { UNREADABLE } from "./answer.ts";
import type { ScopedFilter } from "./gate.ts";
import { HEADER_BYTES, TOO_MUCH } from "./holdings.ts";
import type { ConnectionHost } from "./host.ts";
import { reportFailure } from "./observer.ts";
import { reconciledSet } from "./reconciled-set.ts";
import { sayNotReconciled, sayReconciled } from "./replies.ts";
import { scan } from "./scan.ts";
import type { Subscriber } from "./subscription.ts";

export type ReconciliationLimits = {
  /** Drops in one reconciliation. */
  readonly reconcile: number;
  readonly messageBytes: number;
  readonly outboxBytes: number;
};

/** Whom reconciliations belong to: a connection. */
type Reconciler = Subscriber & { readonly limits: ReconciliationLimits };

type Open = { readonly set: RecordSet; readonly bytes: number };

// Clients that reconcile several filters at once are content with it; those that never say NEG-CLOSE go on.
const OPEN_AT_ONCE = 8;
// Some libraries take no message of more than a few hundred KiB, and in hex it is twice as long.
const FRAME_BYTES = 64 * 1024;
// What stands around the hex digits of a message.
const ENVELOPE_BYTES = 512;
// A record, rounded up.
const RECORD_BYTES = 48;

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

  /** Answers the first message. What was open under this id is closed first; so is what was silent longest, when too many are open. */
  async open(id: string, scoped: readonly ScopedFilter[], hex: string): Promise<void> {
    this.close(id);
    this.#open.set(id, undefined);
    for (const oldest of this.#open.keys()) {
      if (this.#open.size > OPEN_AT_ONCE) this.refuse(oldest, TOO_MANY);
    }
    try {
      const made = await this.#make(id, scoped);
      // It was closed meanwhile.
      if (made === undefined) return;
      if (isReason(made)) return this.refuse(id, made);
      this.#open.set(id, made);
    } catch (error) {
      reportFailure(this.#host.log, error);
      return this.refuse(id, UNREADABLE);
    }
    return this.answer(id, hex);
  }

  /** Answers a further message. */
  async answer(id: string, hex: string): Promise<void> {
    const open = this.#open.get(id);
    if (open === undefined) return this.refuse(id, NOT_OPEN);
    this.#open.delete(id);
    this.#open.set(id, open);
    const { outbox } = this.#reconciler;
    if (!(await outbox.room())) return;
    const turn = this.#reconciler.turn();
    await turn.begin();
    try {
      if (this.#open.get(id) !== open) return;
      const answer = reconcile(open.set, Buffer.from(hex, "hex"), this.#answers);
      if (isReason(answer)) this.refuse(id, answer);
      else sayReconciled(outbox, id, answer);
    } finally {
      turn.pause();
    }
  }

  close(id: string): void {
    const open = this.#open.get(id);
    this.#open.delete(id);
    if (open !== undefined) this.#reconciler.holding.give(open.bytes);
  }

  /** Ends one and tells the client so. */
  refuse(id: string, reason: Reason): void {
    this.close(id);
    sayNotReconciled(this.#reconciler.outbox, id, reason);
  }

  closeAll(): void {
    for (const id of this.#open.keys()) this.close(id);
  }

  // The set; why there is none; or undefined when it was closed before it was there.
  async #make(id: string, scoped: readonly ScopedFilter[]): Promise<Open | Reason | undefined> {
    const { store, holding, limits } = this.#reconciler;
    const settings = {
      now: () => this.#reconciler.now(),
      watermark: store.watermark,
      maxLimit: limits.reconcile,
      isGivenUp: () => !this.#open.has(id),
      turn: this.#reconciler.turn(),
    };
    const { headers, more } = await scan(store, scoped, settings);
    if (settings.isGivenUp()) return undefined;
    // A filter's `limit` keeps the newest, as in a REQ.
    const isCut = scoped.every(({ filter: { limit = Infinity } }) => limit <= limits.reconcile);
    if (more && !isCut) return TOO_BIG;
    const bytes = RECORD_BYTES * headers.length;
    const noted = HEADER_BYTES * headers.length;
    if (!holding.take(bytes + noted)) return TOO_MUCH;
    let isKept = false;
    try {
      const set = await reconciledSet(store, headers, settings);
      isKept = !settings.isGivenUp();
      return isKept ? { set, bytes } : undefined;
    } finally {
      holding.give(isKept ? noted : noted + bytes);
    }
  }
}

// An answer leaves room in the outbox for others; and what it asks about is answered in one message, which must not be too long for us.
function answersWithin({ messageBytes, outboxBytes }: ReconciliationLimits): AnswerLimits {
  return {
    frameBytes: Math.max(MIN_FRAME_BYTES, Math.min(FRAME_BYTES, Math.floor(outboxBytes / 4))),
    asks: Math.max(MIN_ASKS, Math.floor((messageBytes - ENVELOPE_BYTES) / 2 / BYTES_AN_ASK)),
  };
}
