// How a process ends that has a store open.

import { spawn } from "node:child_process";
import { once } from "node:events";

import { describe, expect, it } from "vitest";

import { temporaryFolder } from "../support/relay.ts";

const PROGRAM = new URL("../support/ending-while-it-writes.ts", import.meta.url).pathname;

describe.concurrent.each([
  ["exits", 7],
  ["throws", 1],
])("a process that %s while a drop is written", (how, code) => {
  // Two turns after it began, LMDB's thread waits for the one that ends.
  it.for([0, 1, 2, 3, 4])(
    "ends, with its code, turns after it began: %i",
    async (turns, { onTestFinished }) => {
      const folder = temporaryFolder(onTestFinished);
      const args = [PROGRAM, folder, how, String(turns)];
      const child = spawn(process.execPath, args, { stdio: "ignore" });
      onTestFinished(() => void child.kill("SIGKILL"));
      expect(await once(child, "exit")).toEqual([code, null]);
    },
  );
});
