// Loaded before everything else in each thread of a process (`node --import`): adds to its clocks what stands in the file $TEST_CLOCK, which may change at
// any time: how many milliseconds the wall clock is ahead, and the monotonic one, as 64-bit numbers.

import { openSync, readSync } from "node:fs";

const file = openSync(process.env["TEST_CLOCK"] ?? "", "r");
const ahead = new Float64Array(2);
const RealDate = Date;
const now = Date.now.bind(Date);
const monotonic = performance.now.bind(performance);

function shift(clock) {
  readSync(file, ahead, 0, ahead.byteLength, 0);
  return ahead[clock] ?? 0;
}

globalThis.Date = class extends RealDate {
  constructor(...time) {
    if (time.length === 0) super(now() + shift(0));
    else super(...time);
  }

  static now() {
    return now() + shift(0);
  }
};
performance.now = () => monotonic() + shift(1);
