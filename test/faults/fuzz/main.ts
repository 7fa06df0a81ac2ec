// Fuzzes one target, and prints what came of it as a line of JSON.
//
//   npm run fuzz TARGET -- [--runs 1000000] [--seed 1] [--corpus FILE]
//
// Ends with 1 when something was found: the input is printed, as short as it could be made. A corpus is read from the file, where there is one, and written back.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";

import { fuzz } from "./loop.ts";
import { TARGETS } from "./targets.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
    corpus: { type: "string" },
  },
});
const [name = ""] = positionals;
const load = TARGETS[name];
if (load === undefined) throw new Error(`one of: ${Object.keys(TARGETS).join(", ")}`);
const { corpus: file } = values;
const former =
  file !== undefined && existsSync(file)
    ? (JSON.parse(readFileSync(file, "utf8")) as string[])
    : [];
const began = performance.now();
const fuzzed = await fuzz(await load(), {
  runs: Number(values.runs),
  seed: Number(values.seed),
  corpus: former,
});
const { corpus, ...figures } = fuzzed;
if (file !== undefined) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(corpus));
}
const seconds = Math.round((performance.now() - began) / 100) / 10;
console.log(JSON.stringify({ target: name, ...figures, corpus: corpus.length, seconds }));
process.exit(figures.finding === undefined ? 0 : 1);
