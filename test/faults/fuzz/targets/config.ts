// The configuration: lines of the environment, an empty line, and the file.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ConfigError, loadConfig } from "../../../../src/config/load.ts";
import { printConfig } from "../../../../src/config/print.ts";
import { BY_VARIABLE } from "../../../../src/config/settings.ts";
import { must, type Target } from "../target.ts";
import { plain } from "../written.ts";

const folder = mkdtempSync(join(tmpdir(), "deaddrop-fuzz-"));
process.on("exit", () => rmSync(folder, { recursive: true }));
const FILE = join(folder, "deaddrop.yaml");

export const target: Target = {
  seeds: [
    "\n",
    "DEADDROP_LISTEN=[::1]:0\nDEADDROP_LIMITS_EVENT_BYTES=1KiB\n\nretention: 7d\nlimits:\n  boxBytes: 1MiB\n",
    "DEADDROP_ALIASES=wss://a, wss://b\n\naliases: [wss://x.example]\nallowedRecipients: []\n",
    "\n\nretention: 30\n",
    "\n\n%YAML 1.1\n---\nname: !!binary aGk=\n",
    "\n\nname: &a [*a]\n",
    "\n\n? [a]\n: b\n",
    "\n\n- a\n",
    "\n\n!!set {a}\n",
  ],
  words: [
    ...BY_VARIABLE.keys(),
    "=",
    "\n",
    "\n\n",
    ": ",
    "- ",
    "&a ",
    "*a",
    "<<: ",
    "!!",
    "|\n ",
    "~",
    "30d",
    "1MiB",
    "[",
    "{",
    '"',
    "limits:\n  ",
    "%YAML 1.1\n---\n",
    "0x10",
    "1e3",
    ".inf",
    "2001-01-01",
  ],
  maxChars: 1_024,
  steps: { fixed: 60_000, perChar: 20 },
  check(text) {
    const [environment = "", ...file] = text.split("\n\n");
    const variables = environment.split("\n").map((line): [string, string] => {
      const [name = "", ...value] = line.split("=");
      return [name, value.join("=")];
    });
    const given = Object.fromEntries(variables.filter(([name]) => name.startsWith("DEADDROP_")));
    delete given["DEADDROP_CONFIG"];
    writeFileSync(FILE, file.join("\n\n"));
    const config = loaded(given);
    if (config === undefined) return;
    writeFileSync(FILE, printConfig(config));
    const again = loaded({});
    must(again !== undefined, "printed it is no configuration");
    must(plain(again) === plain(config), "printed and read again it is another configuration");
  },
};

function loaded(environment: Record<string, string>): ReturnType<typeof loadConfig> | undefined {
  try {
    return loadConfig(environment, FILE);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    must(error.message.trim() !== "", "an error without a word");
    return undefined;
  }
}
