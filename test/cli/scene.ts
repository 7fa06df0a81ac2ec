import { join } from "node:path";
import { PassThrough } from "node:stream";

import type { Terminal } from "../../src/cli/terminal.ts";
import { temporaryFolder } from "../support/relay.ts";

type Scene = {
  /** What somebody types on a terminal. */
  readonly typed?: string | Buffer;
  /** What comes through a pipe; the default is nothing. */
  readonly piped?: string | Buffer;
  readonly env?: Record<string, string>;
  /** How wide the terminal is; the default is as wide as it has to be. */
  readonly columns?: number;
};

/** A terminal or a pipe, an empty home, and all that is written. */
export function scene({ typed, piped, env, columns }: Scene = {}): {
  readonly terminal: Terminal;
  readonly home: string;
  readonly file: string;
  readonly raw: readonly boolean[];
  readonly out: () => string;
  readonly err: () => string;
} {
  const home = join(temporaryFolder(), "home");
  const isTTY = typed !== undefined;
  const raw: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), {
    isTTY,
    setRawMode: (isRaw: boolean) => raw.push(isRaw),
  });
  stdin.end(typed ?? piped ?? "");
  const written = { out: "", err: "" };
  return {
    terminal: {
      stdin,
      stdout: { isTTY, write: (text) => (written.out += text) },
      stderr: {
        isTTY,
        ...(columns !== undefined && { columns }),
        write: (text) => (written.err += text),
      },
      env: { DEADDROP_HOME: home, ...env },
    },
    home,
    file: join(home, "key"),
    raw,
    out: () => written.out,
    err: () => written.err,
  };
}
