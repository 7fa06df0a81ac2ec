import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { temporaryFolder } from "../support/relay.ts";
import { seat } from "./support.ts";

/** The commands that `deaddrop help` lists. */
async function listed(): Promise<string[]> {
  const { out } = await seat().runs(["help"]);
  const section = /\nCommands:\n((?: {2}.*\n)+)/.exec(out)?.[1] ?? "";
  return [...section.matchAll(/^ {2}(\w+) {2,}\w/gm)].map(([, name]) => name ?? "");
}

async function scriptFor(shell: string): Promise<string> {
  const ran = await seat().runs(["completion", shell]);
  expect(ran).toMatchObject({ code: 0, err: "" });
  return ran.out;
}

/** What bash offers for the last of these words, after the script was read. */
function offered(script: string, words: readonly string[], cwd = temporaryFolder()): string[] {
  const asking = `${script}
    complete -p deaddrop >/dev/null || exit
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _deaddrop
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync("bash", ["-c", asking, "bash", ...words], {
    cwd,
    encoding: "utf8",
  });
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  return stdout.split("\n").filter(Boolean);
}

describe("deaddrop help", () => {
  it("explains each command that it lists, with an example", async () => {
    const names = await listed();
    expect(names).toContain("send");
    for (const name of names) {
      const { code, out, err } = await seat().runs(["help", name]);
      expect({ name, code, err }).toEqual({ name, code: 0, err: "" });
      expect(out).toMatch(new RegExp(`^Usage: deaddrop ${name}\\b`));
      expect(out).toMatch(new RegExp(`^Example: .*\\bdeaddrop ${name}\\b`, "m"));
    }
  });
});

describe("deaddrop completion", () => {
  it("prints what bash accepts", async () => {
    const { status, stderr } = spawnSync("bash", ["-n"], {
      input: await scriptFor("bash"),
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });

  it("completes commands, actions and options in bash", async () => {
    const script = await scriptFor("bash");
    expect(offered(script, ["deaddrop", "pi"])).toEqual(["pickup"]);
    expect(offered(script, ["deaddrop", "send", "--exp"])).toEqual(["--expires"]);
    expect(offered(script, ["deaddrop", "keys", "new", "--no"])).toEqual(["--no-passphrase"]);
    const actions = offered(script, ["deaddrop", "keys", ""]).filter(
      (word) => !word.startsWith("-"),
    );
    expect(actions).toEqual(["new", "show", "import", "auth"]);
    expect(offered(script, ["deaddrop", "relays", "p"])).toEqual(["publish"]);
    expect(offered(script, ["deaddrop", "help", "wa"])).toEqual(["watch"]);
    expect(offered(script, ["deaddrop", "send", "--json", "--ack"])).toEqual([]);
    const all = offered(script, ["deaddrop", ""]);
    expect(all).toEqual(expect.arrayContaining(await listed()));
  });

  it("completes files in bash where an option wants one", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "bob.key"), "");
    const script = await scriptFor("bash");
    expect(offered(script, ["deaddrop", "pickup", "--key", "bo"], folder)).toEqual(["bob.key"]);
  });

  it.each([
    ["zsh", (name: string) => new RegExp(`^ *words="(.* )?${name} `, "m"), / --expires /],
    [
      "fish",
      (name: string) => new RegExp(`^complete -c deaddrop .* -a ${name} `, "m"),
      /__fish_seen_subcommand_from send" -l expires /,
    ],
  ])("knows every command in %s", async (shell, offering, option) => {
    const script = await scriptFor(shell);
    for (const name of await listed()) expect(script).toMatch(offering(name));
    expect(script).toMatch(option);
  });

  it.each([[[]], [["tcsh"]]])(
    "is there for no other shell, and says for which: %j",
    async (args) => {
      const ran = await seat().runs(["completion", ...args]);
      expect(ran).toMatchObject({ code: 2, out: "" });
      expect(ran.err).toBe("deaddrop: for which shell? bash, zsh or fish\n");
    },
  );
});
