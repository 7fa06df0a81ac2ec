import type { NostrEvent } from "../../src/nostr/event.ts";
import { type Filter, parseFilter } from "../../src/nostr/filter.ts";
import { MIN_ASKS, MIN_FRAME_BYTES, reconcile } from "../../src/nostr/negentropy.ts";
import { RecordSet } from "../../src/nostr/record-set.ts";
import { isReason } from "../../src/nostr/reason.ts";
import type { Fault } from "./fault.ts";

type Behind = {
  /** What a REQ with this filter finds, or why it is refused. */
  readonly read: (filter: Filter) => readonly NostrEvent[] | string;
  readonly remove: (id: string) => void;
};

/** The reconciliations (NIP-77) of one peer of a small relay. Answers each message with what is to be said. */
export class SmallReconciliations {
  readonly #behind: Behind;
  readonly #faults: ReadonlySet<Fault>;
  readonly #open = new Map<string, RecordSet>();

  constructor(behind: Behind, faults: ReadonlySet<Fault>) {
    this.#behind = behind;
    this.#faults = faults;
  }

  open(id: string, given: unknown, message: string): readonly unknown[] {
    const filter = parseFilter(given, 1_000);
    if (isReason(filter)) return ["NEG-ERR", id, filter];
    const events = this.#behind.read(filter);
    if (typeof events === "string") return ["NEG-ERR", id, events];
    const isKept = this.#faults.has("reconciles from the start on for ever") && this.#open.has(id);
    if (!isKept) this.#open.set(id, setOf(events));
    if (this.#faults.has("acknowledges what it reconciles")) {
      for (const event of events) this.#behind.remove(event.id);
    }
    return this.answer(id, message);
  }

  answer(id: string, message: string): readonly unknown[] {
    const set = this.#open.get(id);
    if (set === undefined) return ["NEG-ERR", id, "closed: not open"];
    const limits = { frameBytes: MIN_FRAME_BYTES, asks: MIN_ASKS };
    const answer = reconcile(set, Buffer.from(message, "hex"), limits);
    if (!isReason(answer)) return ["NEG-MSG", id, Buffer.from(answer).toString("hex")];
    this.#open.delete(id);
    return ["NEG-ERR", id, answer];
  }

  close(id: string): void {
    if (!this.#faults.has("answers after NEG-CLOSE")) this.#open.delete(id);
  }
}

function setOf(events: readonly NostrEvent[]): RecordSet {
  const set = new RecordSet(events.length);
  const inOrder = events.toSorted((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1));
  for (const { created_at, id } of inOrder) set.add(created_at, id);
  return set;
}
