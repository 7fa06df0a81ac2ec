// The relay on uWebSockets.js, for tests that start it beside one on ws. uWebSockets.js is no dependency: DEADDROP_UWS says where it lies, DEADDROP_UWS_NODE which
// Node has a binary of it (`.ci/tools` prints both). That one is too old to read TypeScript.

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";

import type { Launcher } from "./relay.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const MADE = join(ROOT, ".cache/relay");

/** Compiles the sources, and answers what runs them on uWebSockets.js; or why that cannot be. */
export function uwsLauncher(): Launcher | string {
  const { DEADDROP_UWS: uws, DEADDROP_UWS_NODE: node } = process.env;
  if (uws === undefined || node === undefined) {
    return "DEADDROP_UWS and DEADDROP_UWS_NODE are not set";
  }
  mkdirSync(MADE, { recursive: true });
  // The version stands in it.
  copyFileSync(join(ROOT, "package.json"), join(MADE, "package.json"));
  const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
  const project = join(ROOT, "tsconfig.build.json");
  const dist = join(MADE, "dist");
  execFileSync(process.execPath, [compiler, "-p", project, "--outDir", dist], { stdio: "inherit" });
  return { command: node, args: [join(dist, "main.js")], env: { DEADDROP_UWS: uws } };
}
