import type { Reason } from "../nostr/reason.ts";

/** What became of an event: `carried out` is an acknowledgement, a deletion or a request to vanish. */
export type Imported = "stored" | "known" | "carried out" | { readonly refused: Reason };

// Reasons that are counted one by one; a stranger who wrote the file does not decide how many there are.
const MOST_REASONS = 30;
const OTHER_REASONS = "for other reasons";

// What differs from event to event is left out, and so all of a kind are one.
const VARYING: readonly [RegExp, string][] = [
  [/^invalid: message is not JSON$/, "invalid: not JSON"],
  [/^blocked: kind \d+ is/, "blocked: its kind is"],
  [/^invalid: \d+ tags, /, "invalid: too many tags, "],
  [/^invalid: event of \d+ bytes, /, "invalid: event too large, "],
  [/^pow: difficulty \d+ is less/, "pow: difficulty is less"],
];

/** What became of the events of an import. */
export class ImportCounts {
  stored = 0;
  known = 0;
  carriedOut = 0;
  refused = 0;
  readonly #reasons = new Map<string, number>();

  add(imported: Imported): void {
    if (imported === "stored") this.stored += 1;
    else if (imported === "known") this.known += 1;
    else if (imported === "carried out") this.carriedOut += 1;
    else {
      this.refused += 1;
      this.#count(imported.refused);
    }
  }

  get all(): number {
    return this.stored + this.known + this.carriedOut + this.refused;
  }

  /** Why events were refused and how many for each reason, the most first. */
  get reasons(): readonly (readonly [reason: string, count: number])[] {
    return [...this.#reasons].sort(([, a], [, b]) => b - a);
  }

  #count(reason: string): void {
    let same = reason;
    for (const [pattern, words] of VARYING) same = same.replace(pattern, words);
    const isNew = !this.#reasons.has(same);
    const counted = isNew && this.#reasons.size >= MOST_REASONS ? OTHER_REASONS : same;
    this.#reasons.set(counted, (this.#reasons.get(counted) ?? 0) + 1);
  }
}
