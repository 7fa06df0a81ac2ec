// docs/FIRST-STEPS.md, done as it says by somebody with terminals: what it says is typed, and what stands there afterwards is what it shows and nothing else.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { copiedCheckout, linkedCheckout } from "../support/checkout.ts";
import { COMPILED } from "../support/compiled.ts";
import { closedPort } from "../support/port.ts";
import { noTerminal, openTerminal, type Terminal } from "../support/terminal.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const GUIDE = readFileSync(join(ROOT, "docs/FIRST-STEPS.md"), "utf8");
const BLOCKS = [...GUIDE.matchAll(/^```console (\w+)\n([^]*?)^```$/gm)].map(
  ([, terminal = "", text = ""]) => ({ terminal, lines: text.split("\n").slice(0, -1) }),
);
const FIRST_PORT = "7777";
const SECOND_PORT = "7778";
// An installation takes most of it.
const PATIENCE_SECONDS = 60;
const INSTALL = "npm install && ";

const maySkip = process.env["CI"] === undefined;

type Looks = {
  readonly columns: number;
  readonly env: Readonly<Record<string, string>>;
  readonly install: boolean;
};

const LOOKS: Record<string, Looks> = {
  "80 columns, from the installation on": { columns: 80, env: {}, install: true },
  "40 columns": { columns: 40, env: {}, install: false },
  "80 columns without colour": { columns: 80, env: { NO_COLOR: "1" }, install: false },
  "40 columns where nothing on the screen can be changed": {
    columns: 40,
    env: { NO_COLOR: "1", TERM: "dumb" },
    install: false,
  },
};

describe("docs/FIRST-STEPS.md", () => {
  it.skipIf(maySkip)("is tried in CI", () => expect(noTerminal).toBe(undefined));

  it.skipIf(noTerminal !== undefined).each(Object.entries(LOOKS))(
    `is what a terminal shows at %s${noTerminal === undefined ? "" : ` (${noTerminal})`}`,
    async (_, { columns, env, install }) => {
      const cwd = install ? copiedCheckout() : linkedCheckout();
      const [first = "", second = ""] = [await closedPort(), await closedPort()].map(String);
      const here = (line: string): string =>
        line
          .replace(install ? "" : INSTALL, "")
          .replaceAll(FIRST_PORT, first)
          .replaceAll(SECOND_PORT, second);
      const session = new Session(async (name) =>
        openTerminal({
          command: ["env", ...asWords(env), "bash", "--norc", "--noediting"],
          cwd,
          env: {
            PATH: process.env["PATH"],
            HOME: cwd,
            PS1: "$ ",
            NODE_COMPILE_CACHE: COMPILED,
            npm_config_cache: npmCache(),
            npm_config_prefer_offline: "true",
            npm_config_update_notifier: "false",
            ...(name === "relay" && { DEADDROP_LISTEN: `127.0.0.1:${first}` }),
          },
          columns,
        }),
      );
      for (const { terminal, lines } of BLOCKS) {
        await expect(session.does(terminal, lines.map(here))).resolves.toBe(undefined);
      }
    },
    240_000,
  );

  it("has something to do in four terminals", () => {
    expect(new Set(BLOCKS.map(({ terminal }) => terminal)).size).toBe(4);
    expect(BLOCKS.flatMap(({ lines }) => lines).length).toBeGreaterThan(80);
  });
});

/** Somebody at several terminals, by their names. */
class Session {
  readonly #open: (name: string) => Promise<Terminal>;
  // What stands on each screen, from its first line on, as a regular expression.
  readonly #shown = new Map<string, string>();
  readonly #terminals = new Map<string, Terminal>();

  constructor(open: (name: string) => Promise<Terminal>) {
    this.#open = open;
  }

  /** Does what the lines of a block say, and waits until the screen shows the others. */
  async does(name: string, lines: readonly string[]): Promise<void> {
    const terminal = this.#terminals.get(name) ?? (await this.#open(name));
    this.#terminals.set(name, terminal);
    let shown = this.#shown.get(name) ?? "^";
    let prompt = String.raw`\$`;
    const sees = async (more = ""): Promise<void> => {
      await terminal.shows(new RegExp(`${shown}${more}\\s*$`), PATIENCE_SECONDS);
    };
    for (const line of lines) {
      if (line.startsWith("$ ")) {
        await sees(prompt);
        await terminal.type(`${line.slice(2)}\r`);
        shown += prompt + asPattern(line.slice(1));
      } else if (line.endsWith("⏎")) {
        const text = line.slice(0, -1);
        const question = text.slice(0, text.lastIndexOf(": ") + 1);
        await sees(escaped(question));
        await terminal.type(`${text.slice(question.length).trimStart()}\r`);
        shown += asPattern(text);
      } else if (line === "^D") {
        await sees();
        await terminal.press("C-d");
      } else if (line === "^C") {
        await sees();
        await terminal.press("C-c");
        // Bash begins a new line after what was interrupted.
        prompt = String.raw`\s*\$`;
        // A terminal that can takes it back.
        shown += String.raw`(?:\^C\n?)?`;
      } else {
        shown += asPattern(line);
      }
    }
    this.#shown.set(name, shown);
    // A program that goes on leaves no prompt.
    await sees(`${prompt}?`);
  }
}

function asPattern(line: string): string {
  if (line === "…") return "[^]*?";
  return `${line.split("…").map(escaped).join(".*")} *\n`;
}

function escaped(text: string): string {
  return text.trimEnd().replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}

function asWords(env: Readonly<Record<string, string>>): string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

function npmCache(): string {
  return execFileSync("npm", ["config", "get", "cache"], { encoding: "utf8" }).trim();
}
