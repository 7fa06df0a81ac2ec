// The directions of the imports, as the linter enforces them: each is broken on purpose in a copy of the house.

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { describe, expect, it } from "vitest";

import { temporaryFolder } from "./support/relay.ts";

const ROOT = new URL("..", import.meta.url).pathname;

// Whoever imports, and what it must not: folders of `src`, or files of it.
const FORBIDDEN: readonly [string, readonly string[]][] = [
  ["nostr", ["verify", "store", "policy", "client", "relay", "transport", "config", "node:fs"]],
  ["verify", ["store", "policy", "client", "relay", "transport", "config", "server"]],
  ["store", ["verify", "policy", "client", "relay", "transport", "config", "server"]],
  ["policy", ["verify", "store", "client", "relay", "transport", "config", "server"]],
  ["client", ["verify", "store", "policy", "relay", "http", "transport", "config", "cli"]],
  ["client", ["node:fs", "package:ws", "package:socks", "conformance", "server", "version.ts"]],
  ["transport", ["nostr", "verify", "store", "policy", "relay", "http", "config", "server"]],
  ["config", ["nostr", "verify", "store", "policy", "relay", "http", "transport", "server"]],
  ["relay", ["store/lmdb.ts", "verify/native.ts", "transport/ws.ts", "client", "config"]],
  ["relay", ["http", "server", "cli", "conformance", "version.ts"]],
  ["http", ["store/lmdb.ts", "verify/pool.ts", "transport/uws.ts", "client", "server", "cli"]],
  ["http/page", ["relay", "store", "policy", "config", "http/routes.ts", "server", "client"]],
  ["http", ["steering"]],
  ["steering", ["store/lmdb.ts", "verify/pool.ts", "transport/ws.ts", "client", "server", "cli"]],
  ["server", ["cli", "client", "conformance"]],
  [
    "cli",
    ["verify", "store", "policy", "relay", "http", "transport", "steering", "server/start.ts"],
  ],
  ["conformance", ["verify", "store", "policy", "client", "relay", "http", "cli", "server"]],
  ["conformance", ["config", "version.ts", "main.ts"]],
  ["conformance/checks", ["verify", "store", "client", "relay", "http", "config", "version.ts"]],
  [".", ["server", "relay", "store", "client", "config"]],
];

const ALLOWED: readonly [string, readonly string[]][] = [
  ["verify", ["nostr"]],
  ["store", ["nostr"]],
  ["policy", ["nostr"]],
  ["client", ["nostr"]],
  ["relay", ["nostr", "policy", "store/store.ts", "verify/verifier.ts", "transport/transport.ts"]],
  ["http", ["nostr", "policy", "relay", "config", "transport/transport.ts"]],
  ["http/page", ["nostr", "transport/transport.ts"]],
  ["steering", ["http", "relay", "policy", "config", "nostr", "store/write-whole.ts"]],
  ["server", ["http", "relay", "store", "policy", "verify", "transport", "config", "nostr"]],
  ["server", ["steering"]],
  ["cli", ["client", "conformance", "config", "server/serve.ts"]],
  ["conformance/checks", ["nostr"]],
  [".", ["cli"]],
];

type Finding = { readonly code: string; readonly filename: string };

/** What the linter finds against imports in a house of these files. */
function findings(files: ReadonlyMap<string, string>): Finding[] {
  const house = temporaryFolder();
  copyFileSync(join(ROOT, ".oxlintrc.json"), join(house, ".oxlintrc.json"));
  for (const [path, text] of files) {
    mkdirSync(dirname(join(house, path)), { recursive: true });
    writeFileSync(join(house, path), text);
  }
  const bin = join(ROOT, "node_modules/.bin/oxlint");
  let report: string;
  try {
    report = execFileSync(bin, ["--format=json"], { cwd: house, encoding: "utf8" });
  } catch (error) {
    // It exits with 1 for anything it finds.
    report = (error as { stdout: string }).stdout;
  }
  const { diagnostics } = JSON.parse(report) as { diagnostics: Finding[] };
  return diagnostics.filter(({ code }) => /no-restricted-imports|no-cycle/.test(code));
}

/** A file of a folder that imports one thing. */
function importing(from: string, what: string, index: number): [path: string, text: string] {
  const up = from === "." ? "./" : "../".repeat(from.split("/").length);
  const specifier = /^(?:node|package):/.test(what)
    ? what.replace("package:", "")
    : `${up}${what.endsWith(".ts") ? what : `${what}/some.ts`}`;
  const name = from === "." ? "main.ts" : `${from}/breaks-${index}-${what.replace(/\W/g, "-")}.ts`;
  return [`src/${name}`, `import { some } from "${specifier}";\nexport const other = some;\n`];
}

describe("the linter", () => {
  it.each(FORBIDDEN)("refuses what %s must not import: %j", (from, all) => {
    for (const [index, what] of all.entries()) {
      const [path, text] = importing(from, what, index);
      const found = findings(new Map([[path, text]]));
      expect(found, `${path}: ${text}`).toMatchObject([{ filename: path }]);
    }
  });

  it.each(ALLOWED)("lets %s import %j", (from, all) => {
    for (const [index, what] of all.entries()) {
      const [path, text] = importing(from, what, index);
      expect(findings(new Map([[path, text]])), `${path}: ${text}`).toEqual([]);
    }
  });

  it("refuses a circle, also one of types alone", () => {
    const found = findings(
      new Map([
        ["src/store/a.ts", 'import type { B } from "./b.ts";\nexport type A = { b: B };\n'],
        ["src/store/b.ts", 'import type { A } from "./a.ts";\nexport type B = { a: A };\n'],
      ]),
    );
    expect(found.map(({ filename }) => filename).sort()).toEqual([
      "src/store/a.ts",
      "src/store/b.ts",
    ]);
  });
});
