/** Standard output or standard error. */
export type Stream = {
  readonly isTTY?: boolean;
  /** How wide a terminal is, in characters. */
  readonly columns?: number;
  write(text: string, done?: (error?: Error | null) => void): unknown;
};

const ERASE_LINE = "\r\u001b[K";

// The last column stays free: some terminals go on to the next line when it is written. One that does not know its width says 0.
function widthOf({ columns = 0 }: Stream): number | undefined {
  return columns > 1 ? columns - 1 : undefined;
}

/**
 * A line that is written anew again and again, on a terminal alone: a report in a file or a pipe has no use for it, and a terminal that is `dumb` cannot take it
 * back. It is cut to the terminal's width, since a line that was wrapped would stay.
 */
export function progressLine({
  stderr,
  env,
}: {
  readonly stderr: Stream;
  readonly env: Readonly<Record<string, string | undefined>>;
}): {
  readonly progress: (text: string) => void;
  readonly done: () => void;
} {
  const isShown = stderr.isTTY === true && env["TERM"] !== "dumb";
  const write = (text: string): void => {
    if (isShown) stderr.write(text);
  };
  return {
    progress: (text) => write(`${ERASE_LINE}${text.slice(0, widthOf(stderr))}`),
    done: () => write(ERASE_LINE),
  };
}
