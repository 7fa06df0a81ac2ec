// What a number depends on beside the code.

import { execFileSync } from "node:child_process";
import { readFileSync, realpathSync } from "node:fs";
import { cpus, release, tmpdir, totalmem, type } from "node:os";

export type Machine = {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  /** Of the folder for temporary files, which databases are made in. */
  readonly filesystem: string;
  readonly node: string;
  /** The libsecp256k1 this process signs with; the relay looks for it in the same places. */
  readonly libsecp256k1: string;
  /** How the clock of the processors is governed, where the system says so. */
  readonly governor: string;
};

export function machine(): Machine {
  const cores = cpus();
  return {
    processor: cores[0]?.model.trim() ?? "unknown",
    cores: cores.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    filesystem: filesystemOf(realpathSync(tmpdir())),
    node: process.version,
    libsecp256k1: /\/\S*libsecp256k1\S*/.exec(read("/proc/self/maps"))?.[0] ?? "not loaded",
    governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").trim() || "unknown",
  };
}

/** What was checked out, here or in another folder, and whether files differ from it. */
export function commit(folder: string = import.meta.dirname): {
  readonly hash: string;
  readonly isDirty: boolean;
} {
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd: folder, encoding: "utf8" }).trim();
  return { hash: git("rev-parse", "HEAD"), isDirty: git("status", "--porcelain") !== "" };
}

// The mount with the longest path that the folder lies under.
function filesystemOf(folder: string): string {
  let found = { at: "", text: "unknown" };
  for (const line of read("/proc/mounts").split("\n")) {
    const [device = "", at = "", kind = "", options = ""] = line.split(" ");
    const isAbove = at !== "" && `${folder}/`.startsWith(at === "/" ? "/" : `${at}/`);
    // Of two at one place the later hides the earlier.
    if (isAbove && at.length >= found.at.length)
      found = { at, text: `${kind} on ${device} (${options})` };
  }
  return found.text;
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
