// What a user of a packed file does first: install it into an empty folder. Of the whole: start the relay, ask it who it is, end it. Of the suite alone: check
// that relay, without its native parts. The library alone is tried by test/docs/client.test.ts.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

function npm(args: string[], cwd?: string): string {
  return execFileSync("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    ...(cwd !== undefined && { cwd }),
  });
}

// Packs the suite, installs it into a folder of its own, and answers the folder.
function installSuite(): string {
  const alone = join(folder, "conformance");
  mkdirSync(alone);
  writeFileSync(join(alone, "package.json"), '{ "private": true }');
  execFileSync(join(import.meta.dirname, "../.ci/pack"), ["conformance", alone], {
    stdio: "ignore",
  });
  const packed = readdirSync(alone).find((name) => name.endsWith(".tgz")) ?? "";
  npm(["install", "--ignore-scripts", join(alone, packed)], alone);
  const stray = ["lmdb", "koffi", "uWebSockets.js"].filter((name) =>
    existsSync(join(alone, "node_modules", name)),
  );
  if (stray.length > 0) throw new Error(`${packed} brings ${stray.join()}`);
  return alone;
}

// The suite alone checks the relay, as far as the first subjects go.
function runSuite(cwd: string, url: string): void {
  const bin = join(cwd, "node_modules/.bin/deaddrop-conformance");
  const args = [url, "--only", "information", "--only", "drops"];
  const shown = execFileSync(bin, args, { cwd, encoding: "utf8" });
  if (!/^all +\d+ +0 +0 +\d+$/m.test(shown)) throw new Error(`the suite alone printed: ${shown}`);
}

let relay: ChildProcess | undefined;
const folder = mkdtempSync(join(tmpdir(), "deaddrop-smoke-"));
try {
  const [packed] = JSON.parse(
    npm(["pack", "--json", "--ignore-scripts", "--pack-destination", folder]),
  ) as [{ filename: string; files: { path: string }[] }];
  const stray = packed.files.filter(({ path }) => !/^(deploy|dist|docs|nips)\/|^[^/]+$/.test(path));
  if (stray.length > 0) throw new Error(`the package holds ${JSON.stringify(stray)}`);
  writeFileSync(join(folder, "package.json"), '{ "private": true }');
  npm(["install", "--ignore-scripts", join(folder, packed.filename)], folder);

  const bin = join(folder, "node_modules/.bin/deaddrop");
  const env = { PATH: process.env["PATH"], DEADDROP_LISTEN: "127.0.0.1:0" };
  const child = spawn(bin, ["serve"], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  relay = child;
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  let url: string | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    ({ url } = JSON.parse(line) as { url?: string });
    if (url !== undefined) break;
  }
  if (url === undefined) throw new Error(`the relay ended with ${await exited}`);
  child.stdout.resume();
  const info = execFileSync(bin, ["info", url, "--json"], { cwd: folder, env, encoding: "utf8" });
  const { supported_nips: nips } = JSON.parse(info) as { supported_nips: number[] };
  if (!nips.includes(1)) throw new Error(`unexpected information: ${info}`);

  runSuite(installSuite(), url);
  child.kill("SIGTERM");
  const code = await exited;
  if (code !== 0) throw new Error(`the relay ended with ${code}`);
  console.log(`smoke: installed, served ${url}, stopped; the suite alone`);
} finally {
  relay?.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}
