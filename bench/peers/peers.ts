// Other relays, to be held against this one: README.md beside this file says how each is configured and why.

import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

import { HOST, type Running, serve } from "./server.ts";
import { type Log, once, requireTools, run, type Tool } from "./toolchain.ts";

export type Peer = {
  readonly name: string;
  readonly version: string;
  /** Builds it into the cache; does nothing when that version stands there. Throws when a toolchain is missing, with how to get it. */
  build(log: Log): Promise<void>;
  /** Starts it on a free loopback port with its database in `folder`, which a second start finds again. Needs `build` first. */
  start(folder: string): Promise<Running>;
};

const CACHE = resolve(import.meta.dirname, "../../.cache/peers");

const CARGO: Tool = {
  command: "cargo",
  args: ["--version"],
  get: "install a current Rust with rustup (1.95 is known to do; a distribution's is often too old)",
};
const debian = (command: string, args: readonly string[], name: string): Tool => ({
  command,
  args,
  get: `apt-get install ${name}`,
});
const CC = debian("cc", ["--version"], "build-essential");

/** A stamp that also names the text of a recipe, so that a change of it is built like a new version. */
function recipeVersion(version: string, folder: string, files: readonly string[]): string {
  const hash = createHash("sha256");
  for (const file of files) hash.update(readFileSync(join(folder, file)));
  return `${version} ${hash.digest("hex")}`;
}

/** Builders write beside what they build (lock files, packages), so they get a copy. */
function copyRecipe(from: string, to: string, files: readonly string[]): void {
  for (const file of files) {
    mkdirSync(dirname(join(to, file)), { recursive: true });
    copyFileSync(join(from, file), join(to, file));
  }
}

type Crate = {
  name: string;
  version: string;
  /** The folder beside this file with a main of ours; without it, the binary that the crate itself has. */
  recipe?: string;
  tools: readonly Tool[];
  config: (port: number, database: string) => string;
  args: (configFile: string) => readonly string[];
};

const CRATE_FILES = ["Cargo.toml", "src/main.rs"] as const;

function cratePeer({ name, version, recipe, tools, config, args }: Crate): Peer {
  const home = join(CACHE, name);
  const source = recipe === undefined ? undefined : join(import.meta.dirname, recipe);
  return {
    name,
    version,
    build: (log) => {
      const stamp = source === undefined ? version : recipeVersion(version, source, CRATE_FILES);
      return once(home, stamp, log, async () => {
        requireTools(name, [CARGO, CC, ...tools]);
        const target = join(home, "target");
        const copy = join(home, "source");
        if (source !== undefined) copyRecipe(source, copy, CRATE_FILES);
        const what = source === undefined ? [name, "--version", version] : ["--path", copy];
        await run("cargo", ["install", ...what, "--root", home], {
          cwd: home,
          // Without colours, which are no part of a line.
          env: { CARGO_TARGET_DIR: target, CARGO_TERM_COLOR: "never" },
          log,
        });
        // Hundreds of megabytes that nothing needs once the binary is installed.
        rmSync(target, { recursive: true, force: true });
      });
    },
    start: (folder) =>
      serve(folder, (port) => {
        const database = resolve(folder, "database");
        mkdirSync(database, { recursive: true });
        const configFile = resolve(folder, "config.toml");
        writeFileSync(configFile, config(port, database));
        return {
          command: join(home, "bin", name),
          args: args(configFile),
          cwd: folder,
          // One log line per event would be part of what is measured.
          env: { RUST_LOG: "warn" },
        };
      }),
  };
}

const nostrRsRelay = cratePeer({
  name: "nostr-rs-relay",
  version: "0.8.12",
  // Not `--locked`: its lock file pins time 0.3.25, which Rust 1.80 and newer refuse to compile.
  tools: [
    debian("protoc", ["--version"], "protobuf-compiler"),
    debian("pkg-config", ["--exists", "openssl"], "pkg-config libssl-dev"),
  ],
  config: (port, database) => `
[info]
relay_url = "ws://${HOST}:${port}/"
name = "nostr-rs-relay"
[database]
data_directory = ${JSON.stringify(database)}
[network]
address = "${HOST}"
port = ${port}
[authorization]
nip42_auth = true
nip42_dms = true
`,
  args: (configFile) => ["--config", configFile],
});

const rnostr = cratePeer({
  name: "rnostr",
  version: "0.4.8",
  recipe: "rnostr",
  tools: [],
  config: (port, database) => `
[information]
name = "rnostr"
[data]
path = ${JSON.stringify(database)}
[network]
host = "${HOST}"
port = ${port}
[auth]
enabled = true
# Nobody is on the list: that there is one makes the relay ask every reader for NIP-42.
[auth.req]
pubkey_blacklist = []
[count]
enabled = true
`,
  args: (configFile) => [configFile],
});

const NPM_FILES = ["package.json", "package-lock.json", "main.mjs"] as const;
const NPM: Tool = { command: "npm", args: ["--version"], get: "it comes with Node" };

function npmPeer(name: string, version: string, recipe: string): Peer {
  const home = join(CACHE, recipe);
  const source = join(import.meta.dirname, recipe);
  return {
    name,
    version,
    build: (log) =>
      once(home, recipeVersion(version, source, NPM_FILES), log, async () => {
        requireTools(name, [NPM]);
        copyRecipe(source, home, NPM_FILES);
        // No install scripts: the only native package comes prebuilt.
        const quiet = ["--ignore-scripts", "--no-audit", "--no-fund"];
        await run("npm", ["ci", ...quiet], { cwd: home, log });
      }),
    start: (folder) =>
      serve(folder, (port) => ({
        command: process.execPath,
        args: [join(home, "main.mjs"), resolve(folder, "nostr.db"), String(port)],
        cwd: folder,
        env: { NODE_ENV: "production" },
      })),
  };
}

/** Every peer, whether it can be built here or not. */
export function peers(): Peer[] {
  return [nostrRsRelay, rnostr, npmPeer("@nostr-relay/core", "0.0.40", "nostr-relay")];
}
