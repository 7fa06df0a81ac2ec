// deploy/deaddrop.service and deploy/deaddrop.socket, as systemd reads them. They are not started: that takes a machine that runs systemd. What the relay makes of
// a socket that systemd hands it: test/server/restart.test.ts.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { loadConfig } from "../../src/config/load.ts";
import { joinListen } from "../../src/config/values.ts";
import { temporaryFolder } from "../support/relay.ts";
import { programAt } from "./program.ts";

const FILE = new URL("../../deploy/deaddrop.service", import.meta.url).pathname;
const UNIT = readFileSync(FILE, "utf8");
const SOCKET = readFileSync(new URL("../../deploy/deaddrop.socket", import.meta.url), "utf8");
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

  it("is a unit without a mistake beside the socket that it is started with", () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "deaddrop.service"), UNIT.replace(COMMAND, "/bin/true"));
    const file = join(folder, "deaddrop.socket");
    writeFileSync(file, SOCKET);
    expect(analyze("verify", file)).toEqual({ status: 0, said: "" });
    writeFileSync(file, SOCKET.replace("ListenStream=", "ListenSteam="));
    expect(analyze("verify", file).said).toContain("ListenSteam");
  });

  it("leaves the service little that it may do", () => {
    const threshold = `--threshold=${MOST_EXPOSED}`;
    const { status, said } = analyze("security", "--offline=true", "--no-pager", threshold, FILE);
    expect(said).toContain("Overall exposure level");
    expect(status).toBe(0);
  });
});

describe("deploy/deaddrop.socket", () => {
  it("listens where the relay does by default, or the relay would not take it", () => {
    const listen = [...SOCKET.matchAll(/^ListenStream=(.+)$/gm)].map(([, address]) => address);
    expect(listen).toEqual(loadConfig({}).listen.map((address) => joinListen(address)));
  });
});
