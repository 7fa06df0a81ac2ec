import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import { describe, test } from "vitest";

import { transportContract } from "./contract.ts";
import { type Serve, startFixture } from "./process.ts";

// uWebSockets.js is no dependency, and its binaries for newer versions of Node need a newer glibc than some machines have. So it is looked for where
// DEADDROP_UWS says, and may run in another Node than this one (DEADDROP_UWS_NODE), which may be too old to read TypeScript.
const ROOT = new URL("../../", import.meta.url);
const COMPILER = fileURLToPath(new URL("node_modules/typescript/bin/tsc", ROOT));
const PROJECT = fileURLToPath(new URL("tsconfig.fixture.json", import.meta.url));
const FIXTURE = fileURLToPath(new URL(".cache/transport-contract/test/transport/fixture.js", ROOT));
const RUNTIME = process.env["DEADDROP_UWS_NODE"] ?? process.execPath;

const serve: Serve = (settings) => startFixture(RUNTIME, FIXTURE, "uws", settings);

execFileSync(process.execPath, [COMPILER, "-p", PROJECT], { stdio: "inherit" });
const reason = await whyNot();
if (reason === undefined) {
  // The 10 s that uWebSockets.js gives a handshake, counted in steps of 4.
  transportContract("uws", serve, { settings: {}, withinMs: 30_000 });
} else if (process.env["CI"] === undefined) {
  describe.skip(`the uws transport (skipped: ${reason})`, () => {
    test("keeps the contract", () => {});
  });
} else {
  test("uWebSockets.js loads", () => {
    throw new Error(reason);
  });
}

async function whyNot(): Promise<string | undefined> {
  try {
    const fixture = await serve();
    await fixture.stop();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
