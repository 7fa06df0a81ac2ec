import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { PassThrough } from "node:stream";

import type { Terminal } from "../../src/cli/terminal.ts";
import { temporaryFolder } from "../support/relay.ts";

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;
const TYPIST = new URL("./typist.py", import.meta.url).pathname;
const PYTHON = "python3";
const PATIENCE_SECONDS = 30;

type Scene = {
  /** What somebody types on a terminal. */
  readonly typed?: string | Buffer;
  /** What comes through a pipe; the default is nothing. */
  readonly piped?: string | Buffer;
  readonly env?: Record<string, string>;
};

/** A terminal or a pipe, an empty home, and all that is written. */
export function scene({ typed, piped, env }: Scene = {}): {
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
      stderr: { isTTY, write: (text) => (written.err += text) },
      env: { DEADDROP_HOME: home, ...env },
    },
    home,
    file: join(home, "key"),
    raw,
    out: () => written.out,
    err: () => written.err,
  };
}

/** What runs `deaddrop` with these arguments as a process of its own, and its environment. */
export function driven(args: readonly string[]): {
  readonly command: readonly string[];
  readonly env: Record<string, string | undefined>;
} {
  const command = [process.execPath, MAIN, ...args];
  return { command, env: { PATH: process.env["PATH"] } };
}

/** Why there is no terminal to be had here; undefined: there is. */
export function ptyMissing(): string | undefined {
  const { status } = spawnSync(PYTHON, ["-c", "import fcntl, pty, termios"]);
  return status === 0 ? undefined : `no ${PYTHON} with its module pty`;
}

/** Runs a verb on a terminal of its own and types when something is seen, in this order. Standard output is no terminal. */
export function onTerminal(
  args: readonly string[],
  steps: readonly { readonly see: string; readonly type: string }[],
): {
  /** All that the terminal showed. */
  readonly terminal: string;
  readonly stdout: string;
  readonly code: number;
  /** What was waited for in vain. */
  readonly missing: string | null;
} {
  const script = { ...driven(args), steps, seconds: PATIENCE_SECONDS };
  const { stdout, stderr } = spawnSync(PYTHON, [TYPIST], {
    input: JSON.stringify(script),
    encoding: "utf8",
  });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as ReturnType<typeof onTerminal>;
}
