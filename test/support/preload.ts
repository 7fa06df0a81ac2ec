import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

const CACHE = new URL("../../.cache/", import.meta.url).pathname;

/**
 * Compiles a source of this folder, or of one that lies beside `beside`, into a library that is loaded into a process by LD_PRELOAD, to stand between it and the system. Answers its path; undefined
 * where that cannot be: it needs Linux and a C compiler.
 */
export function preloadable(name: string, beside: string = import.meta.url): string | undefined {
  if (process.platform !== "linux") return undefined;
  mkdirSync(CACHE, { recursive: true });
  const library = join(CACHE, `${name}.so`);
  const source = new URL(`${name}.c`, beside).pathname;
  const built = spawnSync("cc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]);
  return built.status === 0 ? library : undefined;
}
