// A peer while it runs: a process of ours on a free port of the loopback interface, ended by its id and nothing else's.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const HOST = "127.0.0.1";
const READY_MS = 30_000;
const POLL_MS = 50;
const TERM_MS = 10_000;
const LOG_CHARS_SHOWN = 2_000;

export type Running = { url: string; pid: number; stop(): Promise<void> };

export type Program = {
  command: string;
  args: readonly string[];
  cwd: string;
  env?: NodeJS.ProcessEnv;
};

/** A port that was free a moment ago: for programs that cannot be told to choose one themselves and say which. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port was free");
  return address.port;
}

const ended = (child: ChildProcess): boolean =>
  child.exitCode !== null || child.signalCode !== null;

async function stop(child: ChildProcess): Promise<void> {
  if (ended(child)) return;
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), TERM_MS);
  await exit;
  clearTimeout(late);
}

async function answers(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await answer.body?.cancel();
    return true;
  } catch {
    return false;
  }
}

/**
 * Starts a program that keeps everything it writes in `folder`, and resolves once it answers HTTP. What it prints is in `relay.log` there.
 * Throws, with the end of that log, when it exits or is not ready within 30 s.
 */
export async function serve(folder: string, program: (port: number) => Program): Promise<Running> {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const { command, args, cwd, env } = program(port);
  const logFile = join(folder, "relay.log");
  const log = openSync(logFile, "a");
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  let failure: Error | undefined;
  child.once("error", (error) => {
    failure = error;
  });
  // A caller that throws or exits early must not leave a relay behind.
  const atExit = (): boolean => child.kill("SIGKILL");
  process.once("exit", atExit);
  child.once("exit", () => process.off("exit", atExit));

  const deadline = performance.now() + READY_MS;
  while (!(await answers(`http://${HOST}:${port}/`))) {
    const late = performance.now() > deadline;
    if (failure === undefined && !ended(child) && !late) {
      await sleep(POLL_MS);
      continue;
    }
    await (failure === undefined ? stop(child) : undefined);
    const reason = failure?.message ?? (late ? "is not ready" : "exited");
    const tail = readFileSync(logFile, "utf8").slice(-LOG_CHARS_SHOWN);
    throw new Error(`${command}: ${reason}\n${tail}`, { cause: failure });
  }
  if (child.pid === undefined) throw new Error(`${command}: no process`);
  return { url: `ws://${HOST}:${port}/`, pid: child.pid, stop: () => stop(child) };
}
