// The broken builds of `npm run faults:broken` can be made of these sources.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

const ROOT = new URL("../../", import.meta.url).pathname;
const PATCHES = join(ROOT, "test/faults/broken");
const names = readdirSync(PATCHES).filter((name) => name.endsWith(".patch"));

describe("a broken build", () => {
  it.each(names)("can be made, and names the part that is to notice it: %s", (name) => {
    const [first = ""] = readFileSync(join(PATCHES, name), "utf8").split("\n");
    const [, part] = /^# part: (\S+)$/.exec(first) ?? [];
    expect(existsSync(join(ROOT, `test/faults/${part}.test.ts`))).toBe(true);
    const arguments_ = ["apply", "--check", join(PATCHES, name)];
    const { status, stderr } = spawnSync("git", arguments_, { cwd: ROOT, encoding: "utf8" });
    expect(stderr).toBe("");
    expect(status).toBe(0);
  });
});
