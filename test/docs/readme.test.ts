import { execFile, type ExecFileException } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

import { decode } from "nostr-tools/nip19";
import { getPublicKey } from "nostr-tools/pure";
import { describe, expect, it } from "vitest";

import { COMMANDS } from "../../src/cli/commands.ts";
import { SETTINGS } from "../../src/config/settings.ts";
import { Client } from "../support/client.ts";
import { startRelay, temporaryFolder } from "../support/relay.ts";

const ROOT = new URL("../../", import.meta.url);

describe("the README", () => {
  it("shows a program that drops, picks up and acknowledges", async () => {
    const relay = await startRelay({ env: { DEADDROP_METRICS: "127.0.0.1:0" } });
    const readme = readFileSync(new URL("README.md", ROOT), "utf8");
    const [, program = ""] = /```js\n([^]*?)```/.exec(readme) ?? [];
    expect(program).toContain("ws://127.0.0.1:7777");
    // Inside the project, where its imports are found.
    const folder = new URL(".cache/readme/", ROOT);
    mkdirSync(folder, { recursive: true });
    const file = new URL("example.mjs", folder);
    writeFileSync(file, program.replace("ws://127.0.0.1:7777", relay.url));

    const { stdout } = await promisify(execFile)(process.execPath, [file.pathname]);

    expect(stdout).toBe("Under the third bench.\n");
    const metrics = await (await fetch(relay.metrics ?? "")).text();
    expect(metrics).toMatch(/^deaddrop_drops_held 0$/m);
    expect(metrics).toMatch(/^deaddrop_tombstones 1$/m);
  });

  it("shows the whole way with curl, from one key file to another", async () => {
    const relay = await startRelay();
    const readme = readFileSync(new URL("README.md", ROOT), "utf8");
    const [, script = ""] = /```sh\n(relay=[^]*?)```/.exec(readme) ?? [];
    const cwd = temporaryFolder();
    const main = new URL("src/main.ts", ROOT).pathname;
    const prelude = `set -euo pipefail\ndeaddrop() { "${process.execPath}" "${main}" "$@"; }\n`;
    const { code, out, err } = await bash(
      prelude + script.replace("http://127.0.0.1:7777", relay.http),
      cwd,
    );
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const answers = out.split("\n").filter((line) => line.startsWith("{"));
    expect(answers.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { accepted: true, reason: "" },
      { accepted: true, reason: "" },
    ]);
    expect(out).toContain("\n  Under the third bench.\n");
    const client = await Client.connect(relay.url);
    const secret = nsecOf(readFileSync(join(cwd, "bob.key"), "utf8"));
    await client.authenticate({ secret, key: getPublicKey(secret) });
    expect(await client.pickup()).toEqual([]);
  });

  it("names commands that exist", () => {
    const readme = readFileSync(new URL("README.md", ROOT), "utf8");
    const named = [...readme.matchAll(/^(?:npm run -s deaddrop -- |deaddrop )([a-z]+)/gm)];
    expect(named.length).toBeGreaterThan(8);
    for (const [, name = ""] of named) expect(Object.keys(COMMANDS)).toContain(name);
  });

  it("names settings that exist", () => {
    const readme = readFileSync(new URL("README.md", ROOT), "utf8");
    const settings = SETTINGS.map(({ path }) => path.at(-1));
    const named = [...readme.matchAll(/^\| `([a-zA-Z]+)` /gm)].map(([, name]) => name);
    expect(named.length).toBeGreaterThan(5);
    for (const name of named) expect(settings).toContain(name);
  });
});

function bash(script: string, cwd: string): Promise<{ code: number; out: string; err: string }> {
  const env = { PATH: process.env["PATH"], DEADDROP_HOME: join(cwd, "home") };
  return new Promise((resolve) => {
    execFile(
      "bash",
      ["--norc", "-c", script],
      { cwd, env },
      (error: ExecFileException | null, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code), out, err });
      },
    );
  });
}

function nsecOf(line: string): Uint8Array {
  const decoded: { type: string; data: unknown } = decode(line.trim());
  return decoded.data as Uint8Array;
}
