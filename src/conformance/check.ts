import type { ObligationId } from "./obligations.ts";
import type { Trial } from "./trial.ts";

/** What a relay says it does: a NIP in `supported_nips`, the `dead_drop` object of NIP-DD, or `http` in that object. */
export type Advertised = number | "dead_drop" | "http";

/** One thing that a relay promises, and the conversation that would show a broken promise. */
export type Check = {
  /** `<subject>/<name>`, as `--only` and `--list` know it. */
  readonly id: string;
  /** The behaviour in one sentence, in the present tense. */
  readonly title: string;
  /** The number of the NIP that demands it. */
  readonly nip: string;
  /** The words of that NIP. */
  readonly sentence: string;
  /** Obligations of NIP-DD that would show here if they were broken. */
  readonly obligations: readonly ObligationId[];
  /** Without these in the NIP-11 document the check is skipped, unless it was asked for. */
  readonly needs: readonly Advertised[];
  /** Throws Failed or Skipped; what it answers goes into the report and is no judgement. */
  readonly run: (trial: Trial) => Promise<string | void>;
};

/** The relay did something else than it should. */
export class Failed extends Error {
  override readonly name = "Failed";
}

/** Cannot be seen here: not advertised, not configured, not observable. */
export class Skipped extends Error {
  override readonly name = "Skipped";
}

/** Fails the check, with `reason`, unless the condition holds. A function, so that checks read as lists of expectations. */
export function must(condition: boolean, reason: string): asserts condition {
  if (!condition) throw new Failed(reason);
}

/** Fails unless both are the same ids, in whatever order. */
export function mustBe(
  what: string,
  ids: readonly string[],
  events: readonly { readonly id: string }[],
): void {
  const expected = new Set(events.map(({ id }) => id));
  const missing = [...expected].filter((id) => !ids.includes(id));
  const surplus = ids.filter((id) => !expected.has(id));
  must(
    missing.length === 0,
    `${what}: ${missing.length} of ${expected.size} missing: ${missing.join()}`,
  );
  must(surplus.length === 0, `${what}: ${surplus.length} too many: ${surplus.join()}`);
  must(ids.length === expected.size, `${what}: the same event came twice`);
}
