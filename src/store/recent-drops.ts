import { ID_PREFIX_DIGITS, type Header, newestFirst, type Window } from "./store.ts";

/** What is recent of one box; sorted, as NIP-01 asks, when somebody lists it. */
type RecentBox = { headers: Header[]; isSorted: boolean };

/**
 * The drops whose entries in `boxes` are not written yet, by id and by box. What a transaction takes away is leaving until it is committed: the writer does
 * not see it any more, everybody else still does.
 */
export class RecentDrops {
  readonly #byId = new Map<string, Header>();
  readonly #byBox = new Map<string, RecentBox>();
  readonly #leaving = new Set<Header>();

  // --- what the writer sees and does, inside a transaction

  /** Whether it is here, be it leaving. */
  has(id: string): boolean {
    return this.#byId.has(id.slice(0, ID_PREFIX_DIGITS));
  }

  get(idPrefix: string): Header | undefined {
    const recent = this.#byId.get(idPrefix);
    return recent === undefined || this.#leaving.has(recent) ? undefined : recent;
  }

  of(recipient: string): Header[] {
    const headers = this.#byBox.get(recipient)?.headers ?? [];
    return headers.filter((held) => !this.#leaving.has(held));
  }

  add(added: Header): void {
    this.#byId.set(added.idPrefix, added);
    const box = this.#byBox.get(added.recipient);
    if (box === undefined) {
      this.#byBox.set(added.recipient, { headers: [added], isSorted: true });
    } else {
      box.headers.push(added);
      box.isSorted = false;
    }
  }

  /** It is deleted, or its entry is written. */
  leave(held: Header): void {
    this.#leaving.add(held);
  }

  committed(): void {
    this.#forget(this.#leaving);
    this.#leaving.clear();
  }

  /** `undone` is what the transaction had added. */
  aborted(undone: ReadonlySet<Header>): void {
    this.#forget(undone);
    this.#leaving.clear();
  }

  // --- what everybody else sees

  /** Those of a box up to this `seq`, in NIP-01's order. */
  list(recipient: string, window: Window, newest: number): Header[] {
    const box = this.#byBox.get(recipient);
    if (box === undefined) return [];
    if (!box.isSorted) {
      box.headers.sort(newestFirst);
      box.isSorted = true;
    }
    const { since = 0, until = Infinity, after: last } = window;
    return box.headers.filter(
      (held) =>
        held.seq <= newest &&
        held.created_at >= since &&
        held.created_at <= until &&
        (last === undefined || newestFirst(last, held) < 0),
    );
  }

  /** All of it, a box at a time. */
  *boxes(): Generator<[recipient: string, headers: readonly Header[]]> {
    for (const [recipient, { headers }] of this.#byBox) yield [recipient, headers];
  }

  #forget(headers: ReadonlySet<Header>): void {
    const boxes = new Set<string>();
    for (const held of headers) {
      if (this.#byId.get(held.idPrefix) === held) this.#byId.delete(held.idPrefix);
      boxes.add(held.recipient);
    }
    for (const recipient of boxes) {
      const box = this.#byBox.get(recipient);
      const left = box?.headers.filter((held) => !headers.has(held)) ?? [];
      if (left.length === 0) this.#byBox.delete(recipient);
      else if (box !== undefined) box.headers = left;
    }
  }
}
