// Loaded before everything else in a process (`node --import`): at SIGUSR2 it collects all garbage of its main thread and writes into the file $TEST_HEAP
// what is left, as JSON with the number of the signal.

import { renameSync, writeFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { isMainThread } from "node:worker_threads";

if (isMainThread) {
  const file = process.env["TEST_HEAP"] ?? "";
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  let signals = 0;
  process.on("SIGUSR2", () => {
    // What is outside the heap goes with the collection that follows.
    for (let times = 0; times < 2; times += 1) collect();
    const { heapUsed, external } = process.memoryUsage();
    signals += 1;
    writeFileSync(`${file}.new`, JSON.stringify({ signals, heapUsed, external }));
    renameSync(`${file}.new`, file);
  });
}
