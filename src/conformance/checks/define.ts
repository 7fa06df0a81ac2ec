import type { Check } from "../check.ts";
import type { Advertised } from "../information.ts";
import { type ObligationId, OBLIGATIONS } from "../obligations.ts";
import { Skipped } from "../verdict.ts";

type Described = Pick<Check, "id" | "title" | "run">;
type Covered = readonly [ObligationId, ...ObligationId[]];

/**
 * A check of NIP-DD; the first obligation it covers is the one it quotes. `advises`: it looks at more than the sentence demands, at what a client would like to
 * find.
 */
export function deadDropCheck({
  covers,
  needs = [],
  advises = false,
  ...described
}: Described & { covers: Covered; needs?: readonly Advertised[]; advises?: boolean }): Check {
  const sentence = OBLIGATIONS[covers[0]];
  return {
    ...described,
    nip: "DD",
    sentence,
    obligations: covers,
    isAdvice: advises || isAdvice(sentence, covers),
    needs: ["dead_drop", ...needs],
  };
}

/** A check of another NIP. `needs` is empty for what every relay owes. */
export function nipCheck({
  obligations = [],
  needs = [],
  ...check
}: Described &
  Pick<Check, "nip" | "sentence"> &
  Partial<Pick<Check, "obligations" | "needs">>): Check {
  return { ...check, obligations, isAdvice: isAdvice(check.sentence, obligations), needs };
}

/** An obligation that no conversation can show; `why` is the reason it is skipped. */
export function unobservable(id: string, obligation: ObligationId, why: string): Check {
  return {
    id,
    title: OBLIGATIONS[obligation],
    nip: "DD",
    sentence: OBLIGATIONS[obligation],
    obligations: [obligation],
    isAdvice: isAdvice(OBLIGATIONS[obligation], []),
    needs: [],
    run: () => Promise.reject(new Skipped(why)),
  };
}

// RFC 2119 is about words in capitals; "advisable" is how NIP-17 says it. A sentence with none of them says how the protocol is.
function isAdvice(sentence: string, obligations: readonly ObligationId[]): boolean {
  const sentences = [sentence, ...obligations.map((id) => OBLIGATIONS[id])];
  return sentences.every((text) => /\bSHOULD\b|\badvisable\b/.test(text) && !/\bMUST\b/.test(text));
}
