/** What is fuzzed: one parser, and what must hold of it whatever it is given. */
export type Target = {
  /** Inputs to begin with: the tests' own vectors. */
  readonly seeds: readonly string[];
  /** Pieces of the language that is read. */
  readonly words?: readonly string[];
  readonly isJson?: boolean;
  readonly maxChars?: number;
  /** Throws a `Finding` where the parser does what it does not say, and whatever the parser throws that it does not say. */
  readonly check: (input: string) => void | Promise<void>;
  /** How many branches may be taken for an input of so many characters: a line, so that whatever grows faster is found. */
  readonly steps: { readonly fixed: number; readonly perChar: number };
};

/** Something that must not be. */
export class Finding extends Error {
  override readonly name = "Finding";
}

export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Finding(what);
}

/** What is wanted to differ between two readings of one value, and why. */
export type Difference = {
  readonly ours: "accepts" | "refuses";
  readonly what: string;
  readonly reason: string;
  /** A value that shows it. */
  readonly example: unknown;
  readonly isMet: (value: unknown) => boolean;
};

/** Compares what is made of a value here with what another makes of it. A difference that no row of the table is about is a finding. */
export function mustAgree(
  { ours, theirs, value }: { ours: boolean; theirs: boolean; value: unknown },
  table: readonly Difference[],
  who: string,
): void {
  if (ours === theirs) return;
  const verb = ours ? "accepts" : "refuses";
  const isWanted = table.some((row) => row.ours === verb && row.isMet(value));
  must(isWanted, `ours ${verb} what ${who} does not`);
}
