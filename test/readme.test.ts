import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";

import { describe, expect, it } from "vitest";

import { startRelay } from "./support/relay.ts";

const ROOT = new URL("../", import.meta.url);

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

  it("names settings that exist", () => {
    const readme = readFileSync(new URL("README.md", ROOT), "utf8");
    const config = readFileSync(new URL("src/config.ts", ROOT), "utf8");
    const named = [...readme.matchAll(/^\| `([a-zA-Z]+)` /gm)].map(([, name]) => name);
    expect(named.length).toBeGreaterThan(5);
    for (const name of named) expect(config).toContain(`${name}:`);
  });
});
