// A terminal as a person has it, on tmux: a program in a window of some size, what is typed and pasted, what stands on the screen.

import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";

import { onTestFinished } from "vitest";

import { type AtEnd, temporaryFolder } from "./relay.ts";

/** Why there is no terminal; undefined where there is one. */
export const noTerminal = isThere("tmux", "-V") ? undefined : "no tmux: install tmux";

export type TerminalSetup = {
  /** The program and its arguments. */
  readonly command: readonly [string, ...string[]];
  readonly cwd: string;
  /** All variables that it has, but for TERM. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly columns?: number;
  readonly rows?: number;
};

export type Terminal = {
  /** Types this; `\r` is the return key. */
  type(text: string): Promise<void>;
  /** Presses a key that has a name, such as C-c or Up. */
  press(key: string): Promise<void>;
  /** Pastes this, in one piece and unmarked, as a terminal without bracketed paste does. */
  paste(text: string): Promise<void>;
  /** What stands in the window and what was scrolled out of it; lines that were wrapped are whole. */
  screen(): Promise<string>;
  /** Waits until the screen shows this, and answers the screen. Rejects with the screen when that takes too long, or the program ends before. */
  shows(text: RegExp, seconds?: number): Promise<string>;
};

/** Starts a program in a terminal. It is hung up after the test. */
export async function openTerminal(
  { command, cwd, env, columns = 100, rows = 30 }: TerminalSetup,
  atEnd: AtEnd = onTestFinished,
): Promise<Terminal> {
  const socket = join(temporaryFolder(atEnd), "tmux");
  const options = { cwd, env: { ...env, TERM: "xterm-256color" } };
  const server = ["-S", socket, "-f", "/dev/null"];
  // A server of its own, and so the variables given and no others.
  async function tmux(...args: string[]): Promise<string> {
    return (await promisify(execFile)("tmux", [...server, ...args], options)).stdout;
  }
  const history = ["set-option", "-g", "history-limit", "10000"];
  const session = ["new-session", "-d", "-x", String(columns), "-y", String(rows), "--"];
  await tmux("start-server", ";", ...history, ";", ...session, ...command);

  // Is told of everything that the program writes.
  const watcher = spawn("tmux", [...server, "-C", "attach-session", "-f", "ignore-size"], {
    ...options,
    stdio: ["pipe", "pipe", "ignore"],
  });
  const programEnded = once(watcher, "close");
  const pid = Number(await tmux("display-message", "-p", "#{pane_pid}"));
  // As when its window is closed. What it still has to write it has written then.
  atEnd(async () => {
    if (watcher.exitCode === null) process.kill(pid, "SIGHUP");
    await programEnded;
  });
  watcher.stdout.setMaxListeners(0);

  const screen = async (): Promise<string> => tmux("capture-pane", "-p", "-J", "-S", "-");
  return {
    async type(text) {
      await tmux("send-keys", "-l", "--", text);
    },
    async press(key) {
      await tmux("send-keys", key);
    },
    async paste(text) {
      await tmux("set-buffer", "--", text);
      await tmux("paste-buffer", "-d");
    },
    screen,
    async shows(text, seconds = 60) {
      const giveUp = AbortSignal.timeout(seconds * 1_000);
      for (let shown = ""; ;) {
        const next = once(watcher.stdout, "data", { signal: giveUp });
        // Whether it is waited for or not.
        next.catch(() => undefined);
        shown = await screen().catch(() => shown);
        if (text.test(shown)) return shown;
        const ended = programEnded.then(() => "ended");
        const what = await Promise.race([next, ended]).catch(() => "late");
        if (typeof what === "string") throw new Error(`${what} without ${String(text)}:\n${shown}`);
      }
    },
  };
}

/** Whether a program is on this machine. */
export function isThere(program: string, ...args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
