import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { loadConfig } from "../../src/config/load.ts";
import { SETTINGS } from "../../src/config/settings.ts";
import { temporaryFolder } from "../support/relay.ts";

const ROOT = new URL("../../", import.meta.url);
const LIMITS = readFileSync(new URL("docs/LIMITS.md", ROOT), "utf8");

/** The first two cells of every row that names a bound, without the marks. */
const ROWS = [...LIMITS.matchAll(/^\| `([\w.]+)`(?: in `([\w./-]+)`)? *\| `([^`]+)` *\|/gm)].map(
  ([, name = "", file, initially = ""]) => ({ name, file, initially }),
);
const SETTING_ROWS = ROWS.filter(({ name }) => name.startsWith("limits."));
const CONSTANT_ROWS = ROWS.filter(({ name }) => !name.startsWith("limits."));
const BLOCKS = [...LIMITS.matchAll(/^### (.*)\n(?:(?!^###)[^])*?```yaml\n([^]*?)```/gm)].map(
  ([, title = "", yaml = ""]) => [title, yaml] as const,
);

describe("docs/LIMITS.md", () => {
  it("has one row for every setting under limits, with its default", () => {
    const settings = SETTINGS.filter(({ path, isGroup }) => path[0] === "limits" && !isGroup);
    const told = SETTING_ROWS.map(({ name, initially }) => `${name} ${initially}`);
    const are = settings.map(
      ({ path, defaultValue }) => `${path.join(".")} ${String(defaultValue)}`,
    );
    expect(told.toSorted()).toEqual(are.toSorted());
  });

  it.each(CONSTANT_ROWS.map((row) => [row.name, row] as const))(
    "names a constant that is there, with its value: %s",
    (name, { file = "", initially }) => {
      const source = readFileSync(new URL(file, ROOT), "utf8");
      const [, value = ""] =
        new RegExp(`^(?:export )?const ${name} = ([\\d_ *]+);`, "m").exec(source) ?? [];
      const product = value
        .replaceAll("_", "")
        .split("*")
        .reduce((product, factor) => product * Number(factor), 1);
      expect(String(product)).toBe(initially);
    },
  );

  it.each(BLOCKS)("shows settings that the relay takes: %s", (_, yaml) => {
    const file = join(temporaryFolder(), "deaddrop.yaml");
    writeFileSync(file, yaml);
    expect(loadConfig({}, file).limits.connections).toBeGreaterThan(0);
  });

  it("has rows of both kinds, and settings for several kinds of relay", () => {
    expect(CONSTANT_ROWS.length).toBeGreaterThan(5);
    expect(BLOCKS.length).toBeGreaterThan(3);
  });
});
