import { fill } from "./harness/filled.ts";
import { median } from "./harness/load.ts";
import { memoryBytes } from "./harness/process.ts";
import type { Scenario } from "./harness/scenario.ts";

const STARTS = 5;
const QUICK_STARTS = 2;
const DROPS_A_BOX = 100;

export const scenario: Scenario = {
  name: "start",
  title: "From the start of the process to listening",
  columns: [
    { key: "readyMs", head: "median, ms", digits: 0, better: "lower" },
    { key: "mostMs", head: "most, ms", digits: 0, better: "lower" },
    { key: "memoryMb", head: "memory then (RssAnon), MB", digits: 1, better: "context" },
  ],
  target: "under 2 s with 1,000,000 drops held",
  points: (quick) => [
    { label: "nothing held", x: 0 },
    quick ? { label: "10,000 held", x: 10_000 } : { label: "1,000,000 held", x: 1_000_000 },
  ],
  note: "The store's file is in the page cache, and was closed in good order.",
  peers: false,
  async measure(subject, run, { x: held }) {
    const folder = run.folder();
    if (held > 0) await fill(folder, { held, boxes: held / DROPS_A_BOX });
    const ready: number[] = [];
    let memory = 0;
    for (let start = 0; start < (run.quick ? QUICK_STARTS : STARTS); start += 1) {
      const began = performance.now();
      const relay = await subject.start(folder);
      ready.push(performance.now() - began);
      memory = memoryBytes(relay.pid);
      await relay.stop();
    }
    return { readyMs: median(ready), mostMs: Math.max(...ready), memoryMb: memory / 1e6 };
  },
};
