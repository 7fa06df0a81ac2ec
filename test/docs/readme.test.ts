import { execFile } from "node:child_process";
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";

import { describe, expect, it } from "vitest";

import { COMMANDS } from "../../src/cli/commands.ts";
import { SETTINGS } from "../../src/config/settings.ts";
import { linkedCheckout } from "../support/checkout.ts";
import { COMPILED } from "../support/compiled.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";
import { isThere, noTerminal, openTerminal } from "../support/terminal.ts";

const ROOT = new URL("../../", import.meta.url);
const README = readFileSync(new URL("README.md", ROOT), "utf8");

const maySkip = process.env["CI"] === undefined;

// As they are without anybody's settings: a zsh then takes a comment for a command.
const SHELLS: readonly { name: string; command: [string, ...string[]]; found: boolean }[] = [
  { name: "bash", command: ["bash", "--norc"], found: isThere("bash", "--version") },
  { name: "zsh", command: ["zsh", "-f"], found: isThere("zsh", "--version") },
];

describe("the README", () => {
  it("shows a program that drops, picks up and acknowledges", async () => {
    const relay = await startRelay({ env: { DEADDROP_METRICS: "127.0.0.1:0" } });
    const [, program = ""] = /```js\n([^]*?)```/.exec(README) ?? [];
    expect(program).toContain("ws://127.0.0.1:7777");
    // Inside the project, where its imports are found.
    const folder = new URL(".cache/readme/", ROOT);
    mkdirSync(folder, { recursive: true });
    const file = new URL("example.mjs", folder);
    writeFileSync(file, program.replace("ws://127.0.0.1:7777", relay.url));

    const { stdout } = await promisify(execFile)(process.execPath, [file.pathname]);

    expect(stdout).toBe("Under the third bench.\n");
    expect(await gauges(relay)).toEqual({ held: 0, tombstones: 1 });
  });

  it.skipIf(maySkip)("can be pasted into what there is in CI", () => {
    expect(noTerminal).toBe(undefined);
    expect(SHELLS.filter(({ found }) => !found)).toEqual([]);
  });

  // Line by line, as a shell reads it, with whatever would take the rest of it for its own input.
  for (const { name, command, found } of SHELLS) {
    const why = noTerminal ?? (found ? undefined : `no ${name}`);
    const but = why === undefined ? "" : ` (${why})`;
    it.skipIf(why !== undefined)(
      `sends, picks up and acknowledges when it is pasted into ${name}${but}`,
      async () => {
        const relay = await startRelay({ env: { DEADDROP_METRICS: "127.0.0.1:0" } });
        const [session, drop, pickup] = shellBlocks(README)
          .slice(1)
          .map((block) => block.replaceAll("127.0.0.1:7777", new URL(relay.url).host));
        const cwd = linkedCheckout();
        const terminal = await openTerminal({
          command,
          cwd,
          env: { PATH: process.env["PATH"], HOME: cwd, NODE_COMPILE_CACHE: COMPILED },
          columns: 200,
        });

        await terminal.paste(`${session}echo "$((100 + 1)) done"\n`);
        const seen = await terminal.shows(/^101 done$/m);
        expect(seen).toMatch(/^ {2}Under the third bench\.$/m);
        expect(await gauges(relay)).toEqual({ held: 0, tombstones: 1 });

        await terminal.paste(`${drop}echo "$((100 + 2)) done"\n`);
        await terminal.shows(/^102 done$/m);
        expect(await gauges(relay)).toEqual({ held: 1, tombstones: 1 });

        await terminal.paste(`${pickup}echo "$((100 + 3)) done"\n`);
        const all = await terminal.shows(/^103 done$/m);
        expect(all).toMatch(/^ {2}By the old mill\.$/m);
        expect(await gauges(relay)).toEqual({ held: 0, tombstones: 2 });
        // Nothing was taken for something else.
        expect(all).not.toMatch(/not found|no such|error|usage|dquote|refused|Unknown/i);
      },
      120_000,
    );
  }

  it("names commands that exist", () => {
    const named = [...README.matchAll(/^(?:npm run -s deaddrop -- |(?:\| `)?deaddrop )([a-z]+)/gm)];
    expect(named.length).toBeGreaterThan(8);
    for (const [, name = ""] of named) expect(Object.keys(COMMANDS)).toContain(name);
  });

  it("names settings that exist", () => {
    const settings = SETTINGS.map(({ path }) => path.at(-1));
    const named = [...README.matchAll(/^\| `([a-zA-Z]+)` /gm)].map(([, name]) => name);
    expect(named.length).toBeGreaterThan(5);
    for (const name of named) expect(settings).toContain(name);
  });
});

describe("the commands that the documents show", () => {
  const documents = globSync("{*,docs/*,nips/*,bench/**/*}.md", { cwd: ROOT });
  const shown = documents.flatMap((file) =>
    shellBlocks(readFileSync(new URL(file, ROOT), "utf8")).map((block) => [file, block] as const),
  );

  // A zsh takes a comment for arguments, and its apostrophe for the beginning of a string.
  it.each(shown)("are no more than what a shell is to read: %s", (_, block) => {
    expect(block).not.toMatch(/(?:^|\s)#|\t|…|<\w+>/m);
  });

  it("are there", () => {
    expect(shown.length).toBeGreaterThan(6);
  });
});

function shellBlocks(text: string): string[] {
  return [...text.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block = ""]) => block);
}

async function gauges({ metrics = "" }: RelayProcess): Promise<Record<string, number>> {
  const text = await (await fetch(metrics)).text();
  const value = (name: string): number =>
    Number(new RegExp(`^deaddrop_${name} (\\d+)$`, "m").exec(text)?.[1]);
  return { held: value("drops_held"), tombstones: value("tombstones") };
}
