// Runs `deaddrop` as a process of its own. Tests of one file may run side by side, so what they start is ended after the last of them.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";

import { afterAll } from "vitest";

import { COMPILED } from "../support/compiled.ts";
import { temporaryFolder } from "../support/relay.ts";

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;
const TYPIST = new URL("./typist.py", import.meta.url).pathname;
const PYTHON = "python3";
const TERMINAL_SECONDS = 30;

const cleaning: (() => unknown)[] = [];
afterAll(async () => {
  for (const clean of cleaning.toReversed()) await clean();
});

/** Has something done after the last test of the file. */
export function atEnd(clean: () => unknown): void {
  cleaning.push(clean);
}

export type Ran = { readonly code: number | null; readonly out: string; readonly err: string };

/** A command that goes on until it is told to stop. */
export type Running = {
  /** Resolves once it has printed all of these; rejects when it ends before. */
  prints(...texts: readonly string[]): Promise<void>;
  /** The same on standard error. */
  says(...texts: readonly string[]): Promise<void>;
  /** Interrupts it as Ctrl-C does, and answers how it ended. */
  interrupt(): Promise<Ran>;
};

export type Circumstances = {
  /** All of its environment beside PATH. */
  readonly env?: Readonly<Record<string, string>>;
  /** Where it runs; the default is an empty folder. */
  readonly cwd?: string;
  /** What comes through a pipe; the default is nothing. */
  readonly input?: string;
  /** More is yet to come. */
  readonly openInput?: boolean;
  /** Nobody reads what it prints. */
  readonly unread?: boolean;
};

/** The command line of `deaddrop` with these arguments, and the least environment for it. */
export function commandLine(args: readonly string[]): {
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
} {
  return {
    command: [process.execPath, MAIN, ...args],
    env: { PATH: process.env["PATH"] ?? "" },
  };
}

/** Starts `deaddrop`. */
export function start(
  args: readonly string[],
  {
    env,
    cwd = temporaryFolder(atEnd),
    input = "",
    openInput = false,
    unread = false,
  }: Circumstances = {},
): Running & { readonly ended: Promise<Ran> } {
  const line = commandLine(args);
  const [program, ...rest] = line.command;
  const child = spawn(program, rest, {
    env: { ...line.env, NODE_COMPILE_CACHE: COMPILED, ...env },
    cwd,
    stdio: "pipe",
  });
  const closed = once(child, "close");
  atEnd(async () => {
    child.kill("SIGKILL");
    await closed;
  });
  // It may end without having read all of it.
  child.stdin.on("error", () => {}).write(input);
  if (!openInput) child.stdin.end();
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  if (unread) child.stdout.destroy();
  const ended = closed.then(() => ({ code: child.exitCode, out, err }));
  const wrote = (stream: Readable, all: () => string, texts: readonly string[]): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (texts.every((text) => all().includes(text))) resolve();
      };
      stream.on("data", look);
      void ended.then((ran) => reject(new Error(`it ended: ${JSON.stringify(ran)}`)));
      look();
    });
  return {
    ended,
    prints: (...texts) => wrote(child.stdout, () => out, texts),
    says: (...texts) => wrote(child.stderr, () => err, texts),
    interrupt() {
      child.kill("SIGINT");
      return ended;
    },
  };
}

/** Runs `deaddrop` to its end. */
export function run(args: readonly string[], circumstances: Circumstances = {}): Promise<Ran> {
  return start(args, circumstances).ended;
}

/** Why there is no terminal to be had here; undefined: there is. */
export function ptyMissing(): string | undefined {
  const { status } = spawnSync(PYTHON, ["-c", "import fcntl, pty, termios"]);
  return status === 0 ? undefined : `no ${PYTHON} with its module pty`;
}

/** Runs `deaddrop` on a terminal of its own and types when something is seen, in this order. Standard output is no terminal. */
export async function onTerminal(
  args: readonly string[],
  steps: readonly { readonly see: string; readonly type: string }[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<{
  /** All that the terminal showed. */
  readonly terminal: string;
  readonly stdout: string;
  readonly code: number;
  /** What was waited for in vain. */
  readonly missing: string | null;
}> {
  const line = commandLine(args);
  const script = { command: line.command, env: { ...line.env, ...env }, steps };
  const typist = spawn(PYTHON, [TYPIST], { stdio: ["pipe", "pipe", "inherit"] });
  const closed = once(typist, "close");
  atEnd(async () => {
    typist.kill("SIGKILL");
    await closed;
  });
  typist.stdin.end(JSON.stringify({ ...script, seconds: TERMINAL_SECONDS }));
  let told = "";
  typist.stdout.setEncoding("utf8").on("data", (text: string) => (told += text));
  await closed;
  return JSON.parse(told) as Awaited<ReturnType<typeof onTerminal>>;
}
