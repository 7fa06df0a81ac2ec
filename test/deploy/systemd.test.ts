// deploy/deaddrop.service, as systemd reads it. It is not started: that takes a machine that runs systemd.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { temporaryFolder } from "../support/relay.ts";
import { programAt } from "./program.ts";

const FILE = new URL("../../deploy/deaddrop.service", import.meta.url).pathname;
const UNIT = readFileSync(FILE, "utf8");
const COMMAND = "/opt/deaddrop/node_modules/.bin/deaddrop";
// Of 100, which is a service that may do everything.
const MOST_EXPOSED = 20;

const program = programAt("systemd-analyze");

function analyze(...args: string[]): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(program ?? "", args, { encoding: "utf8" });
  return { status, said: stdout + stderr };
}

describe.skipIf(program === undefined)("deploy/deaddrop.service", () => {
  it("is a unit without a mistake", () => {
    // With a command that is there: systemd looks for it.
    const file = join(temporaryFolder(), "deaddrop.service");
    expect(UNIT.split(COMMAND)).toHaveLength(2);
    writeFileSync(file, UNIT.replace(COMMAND, "/bin/true"));
    expect(analyze("verify", file)).toEqual({ status: 0, said: "" });
  });

  it("leaves the service little that it may do", () => {
    const threshold = `--threshold=${MOST_EXPOSED}`;
    const { status, said } = analyze("security", "--offline=true", "--no-pager", threshold, FILE);
    expect(said).toContain("Overall exposure level");
    expect(status).toBe(0);
  });
});
