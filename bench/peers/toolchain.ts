// Builds a peer into its own folder of the cache, once for each version: what it needs, what it runs, and a stamp when all of it went well.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

export type Log = (line: string) => void;

/** A command that a build calls, with the sentence that tells a person how to get it. */
export type Tool = { readonly command: string; readonly args: readonly string[]; get: string };

const ERRORS_KEPT = 20;

/** Throws an error that names every tool that is missing, and how to get each. */
export function requireTools(peer: string, tools: readonly Tool[]): void {
  const missing = tools.filter(({ command, args }) => spawnSync(command, args).status !== 0);
  if (missing.length === 0) return;
  const list = missing.map(({ command, args, get }) => `  ${[command, ...args].join(" ")}: ${get}`);
  throw new Error(`${peer} cannot be built, these commands fail:\n${list.join("\n")}`);
}

/** Runs a command to its end, each line of its output to `log`; throws with its last lines when it fails. */
export async function run(
  command: string,
  args: readonly string[],
  { cwd, env, log }: { cwd: string; env?: NodeJS.ProcessEnv; log: Log },
): Promise<void> {
  log(`$ ${[command, ...args].join(" ")}`);
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const last: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      log(line);
      last.push(line);
      if (last.length > ERRORS_KEPT) last.shift();
    });
  }
  const outcome = await new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(String(code ?? signal)));
  });
  if (outcome !== "0") throw new Error(`${command} ended with ${outcome}:\n${last.join("\n")}`);
}

/**
 * Runs `build` in `folder` unless its stamp says that this very version stands there. A build that was interrupted left no stamp, and
 * starts from an empty folder.
 */
export async function once(
  folder: string,
  version: string,
  log: Log,
  build: () => Promise<void>,
): Promise<void> {
  const stamp = join(folder, "built");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === version) {
    log(`${folder}: already built (${version})`);
    return;
  }
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await build();
  writeFileSync(stamp, version);
}
