// A file system of its own for a relay. It needs root, and loop devices.

import { spawnSync } from "node:child_process";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { TestContext } from "vitest";

import { temporaryFolder } from "../support/relay.ts";

/** The device of what a process mounted last. */
export function loopDeviceOf({ pid }: { readonly pid: number }): string {
  const mounted = readFileSync(`/proc/${pid}/mounts`, "utf8").trim().split("\n").at(-1);
  return /^\/dev\/(loop\d+) /.exec(mounted ?? "")?.[1] ?? "";
}

/** Runs what follows where this folder is an ext4 of its own, in a file; nobody else sees it. */
export function onExt4(image: string, folder: string, options = "errors=remount-ro"): string[] {
  const script = 'mount -o "loop,$2" "$0" "$1" && shift 2 && exec "$@"';
  return ["unshare", "--mount", "sh", "-c", script, image, folder, options];
}

export function makeExt4(): string {
  const image = join(temporaryFolder(), "image");
  writeFileSync(image, "");
  truncateSync(image, 64 * 2 ** 20);
  spawnSync("mkfs.ext4", ["-q", "-F", image]);
  return image;
}

/** Skips a test where there is none to be had, but in CI. */
export function needsExt4({ skip }: Pick<TestContext, "skip">): void {
  const [command = "", ...args] = onExt4(makeExt4(), temporaryFolder());
  const canMount = spawnSync(command, [...args, "true"]).status === 0;
  if (!canMount && process.env["CI"] === undefined)
    skip("an ext4 in a file needs root, and loop devices");
}
