import type { Context } from "./context.ts";
import type { Advertised } from "./information.ts";
import type { ObligationId } from "./obligations.ts";

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
  /** Whether all that it rests on is what a relay SHOULD do: then what it finds is advice, and fails nothing. */
  readonly isAdvice: boolean;
  /** Without these in the NIP-11 document the check is skipped, unless it was asked for. */
  readonly needs: readonly Advertised[];
  /** Throws Failed or Skipped; what it answers goes into the report and is no judgement. */
  readonly run: (context: Context) => Promise<string | void>;
};
