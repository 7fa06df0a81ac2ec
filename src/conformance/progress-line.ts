/** Standard output or standard error. */
export type Stream = {
  readonly isTTY?: boolean;
  write(text: string, done?: (error?: Error | null) => void): unknown;
};

const ERASE_LINE = "\r\u001b[K";

/** A line that is written anew again and again, on a terminal alone: a report in a file or a pipe has no use for it. */
export function progressLine(stderr: Stream): {
  readonly progress: (text: string) => void;
  readonly done: () => void;
} {
  const write = (text: string): void => {
    if (stderr.isTTY === true) stderr.write(text);
  };
  return {
    progress: (text) => write(`${ERASE_LINE}${text}`),
    done: () => write(ERASE_LINE),
  };
}
