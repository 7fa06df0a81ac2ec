// Loaded before everything else in each thread of a process (`node --import`): has one fail as a file in the folder $TEST_FAULTS says, by its name: which thread, and
// how. "verification exit" is taken away by the thread that it befalls, in the middle of its work; with "verification start" none can start while it lies there.

import { existsSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { isMainThread, parentPort, workerData } from "node:worker_threads";

const LOOK_MS = 10;

const failures = {
  exit: () => process.exit(7),
  throw: () => {
    throw new Error("told to");
  },
  memory() {
    const hoard = [];
    for (;;) hoard.push(Array.from({ length: 10_000 }, () => ({ hoard })));
  },
  hang() {
    for (;;);
  },
};

function nameOfThread() {
  if (isMainThread) return "main";
  if (workerData?.admission !== undefined) return "verification";
  return workerData?.settings === undefined ? "other" : "event loop";
}

const name = nameOfThread();
const fileOf = (how) => join(process.env.TEST_FAULTS ?? "", `${name} ${how}`);

// One thread alone can take a file away.
function isBefallen(how) {
  try {
    unlinkSync(fileOf(how));
    return true;
  } catch {
    return false;
  }
}

function look() {
  for (const [how, fail] of Object.entries(failures)) if (isBefallen(how)) fail();
}

if (existsSync(fileOf("start"))) throw new Error("told not to start");
if (name === "verification") parentPort.on("message", look);
else setInterval(look, LOOK_MS).unref();
