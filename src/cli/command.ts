import type { OptionName, OptionValues } from "./options.ts";
import type { Terminal } from "./terminal.ts";

/** One command of `deaddrop`: what help, completion and the command line know of it. */
export type Command = {
  readonly summary: string;
  readonly options: readonly OptionName[];
  /** What may stand after the command's name. */
  readonly actions?: readonly string[];
  /** How many words may stand after the command's name, at most. */
  readonly words: number;
  /** Does it, with what stands after the command's name, and answers the exit code. */
  run(given: OptionValues, words: readonly string[], terminal: Terminal): Promise<number>;
};
