import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, onTestFinished, test } from "vitest";

import { transportContract } from "./contract.ts";
import { type Serve, startFixture } from "./process.ts";

// uWebSockets.js is no dependency, and its binaries for newer versions of Node need a newer glibc than some machines have. So it is looked for where
// DEADDROP_UWS says, and may run in another Node than this one (DEADDROP_UWS_NODE), which may be too old to read TypeScript.
const ROOT = new URL("../../", import.meta.url);
const COMPILER = fileURLToPath(new URL("node_modules/typescript/bin/tsc", ROOT));
const PROJECT = fileURLToPath(new URL("tsconfig.fixture.json", import.meta.url));
const SOURCE = fileURLToPath(new URL("fixture.ts", import.meta.url));
const COMPILED = fileURLToPath(
  new URL(".cache/transport-contract/test/transport/fixture.js", ROOT),
);
const RUNTIME = process.env["DEADDROP_UWS_NODE"] ?? process.execPath;

const serve: Serve = (settings) => startFixture(RUNTIME, [COMPILED, "uws"], settings);

execFileSync(process.execPath, [COMPILER, "-p", PROJECT], { stdio: "inherit" });
const reason = await whyNot();
const but = reason === undefined ? "" : ` (but: ${reason})`;
const maySkip = process.env["CI"] === undefined;

// The 10 s that uWebSockets.js gives a handshake, counted in steps of 4.
if (reason === undefined) {
  const slowHandshake = { settings: {}, withinMs: 30_000 };
  transportContract("uws", serve, {
    slowHandshake,
    headTakes: ["first"],
    isLenient: false,
    afterStop: "refused",
    isIntroduced: false,
  });
}

// That Node is also the oldest one that the relay runs on, and its HTTP server is not that of the newest.
if (process.env["DEADDROP_UWS_NODE"] !== undefined) {
  transportContract(
    "ws on an older Node",
    (settings) => startFixture(RUNTIME, [COMPILED, "ws"], settings),
    {
      slowHandshake: { settings: { handshakeSeconds: 1 }, withinMs: 10_000 },
      headTakes: [],
      isLenient: true,
      afterStop: "answered",
      isIntroduced: true,
    },
  );
}

test.skipIf(reason !== undefined && maySkip)(`uWebSockets.js loads${but}`, () => {
  expect(reason).toBeUndefined();
});

describe("the uws transport without a uWebSockets.js that works", () => {
  test("says how to get it where it is missing", async () => {
    const folder = await folderWith({});
    await expect(serveFrom(folder)).rejects.toThrow(
      /^uWebSockets\.js is not installed in .+ \(DEADDROP_UWS\)\. .+npm install /,
    );
  });

  test("says why its binary does not load", async () => {
    const code = 'throw new Error("Unsupported.\\n\\nGLIBC_2.38 not found")';
    const folder = await folderWith({ "node_modules/uWebSockets.js/index.js": code });
    await expect(serveFrom(folder)).rejects.toThrow(
      /uWebSockets\.js\/index\.js does not load in Node \d+.+: GLIBC_2\.38 not found\. /,
    );
  });

  test("refuses a package that is something else", async () => {
    const folder = await folderWith({ "index.js": "exports.App = 1" });
    await expect(serveFrom(folder)).rejects.toThrow(/index\.js is not uWebSockets\.js$/);
  });
});

async function whyNot(): Promise<string | undefined> {
  try {
    const fixture = await serve();
    await fixture.stop();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function serveFrom(folder: string): Promise<void> {
  const fixture = await startFixture(
    process.execPath,
    [SOURCE, "uws"],
    {},
    { DEADDROP_UWS: folder },
  );
  await fixture.stop();
}

async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "deaddrop-uws-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(folder, name, ".."), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}
