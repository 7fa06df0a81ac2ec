// `npm run faults:broken [name …]`: does the suite notice? Each patch in broken/ makes the relay break a promise; it is applied to a copy of this checkout, where the
// part of the faults that its first line names (`# part: kills`) must go red with the share that `npm test` runs, and by a test that failed, not by a file that could
// not be run. `# says:` is what the failure must tell of. A part that stays green with every seed fails.

import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

const ROOT = new URL("../../", import.meta.url).pathname;
const PATCHES = join(ROOT, "test/faults/broken");
// Runs in which a part may find it.
const SEEDS = 3;
// What a checkout is without.
const MADE = new Set([".cache", ".git", "coverage", "data", "dist", "node_modules"]);
// Of `.cache`: tools that were installed. The rest is written.
const TOOLS = ["foreign", "python", "tools", "uws"];

type Result = { readonly assertionResults: readonly Assertion[] };
type Assertion = {
  readonly title: string;
  readonly status: string;
  readonly failureMessages: readonly string[];
};

type Patch = { readonly name: string; readonly part: string; readonly says: RegExp };

function readPatch(name: string): Patch {
  const text = readFileSync(join(PATCHES, name), "utf8");
  const [, part] = /^# part: (\S+)$/m.exec(text) ?? [];
  if (part === undefined) throw new Error(`${name} does not begin with "# part: …"`);
  const [, says = ""] = /^# says: (.+)$/m.exec(text) ?? [];
  return { name, part, says: new RegExp(says) };
}

/** A copy of the checkout; what is installed is shared, and nothing else. */
function copyCheckout(): string {
  const folder = mkdtempSync(join(tmpdir(), "deaddrop-broken-"));
  cpSync(ROOT, folder, { recursive: true, filter: (source) => !MADE.has(basename(source)) });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  mkdirSync(join(folder, ".cache"));
  for (const tool of TOOLS) {
    const installed = join(ROOT, ".cache", tool);
    if (existsSync(installed)) symlinkSync(installed, join(folder, ".cache", tool));
  }
  return folder;
}

/** Runs a part in a copy, with a seed. Answers what it said of each test that failed. */
function runPart(folder: string, part: string, seed: number): string[] {
  const results = join(folder, ".cache/results.json");
  rmSync(results, { force: true });
  const args = ["run", `test/faults/${part}.test.ts`, "--reporter=json", `--outputFile=${results}`];
  const env = { ...process.env, FAULTS: undefined, FAULTS_SEED: String(seed) };
  const vitest = join(folder, "node_modules/vitest/vitest.mjs");
  const ran = spawnSync(process.execPath, [vitest, ...args], {
    cwd: folder,
    env,
    encoding: "utf8",
  });
  if (!existsSync(results)) throw new Error(`it could not be run:\n${ran.stdout}${ran.stderr}`);
  const { testResults } = JSON.parse(readFileSync(results, "utf8")) as { testResults: Result[] };
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  if (tests.length === 0) throw new Error(`it could not be run:\n${ran.stdout}${ran.stderr}`);
  return tests
    .filter(({ status }) => status === "failed")
    .map(({ title, failureMessages }) => `${title}\n${failureMessages.join("\n")}`);
}

/** Whether a patch is noticed, with a line for people that says so. */
function isNoticed({ name, part, says }: Patch): boolean {
  const folder = copyCheckout();
  try {
    const applied = spawnSync("git", ["apply", "--whitespace=nowarn", join(PATCHES, name)], {
      cwd: folder,
      encoding: "utf8",
      // Not that of a repository which the folder may lie in.
      env: { ...process.env, GIT_CEILING_DIRECTORIES: tmpdir() },
    });
    if (applied.status !== 0) throw new Error(`it does not apply: ${applied.stderr}`);
    for (let seed = 1; seed <= SEEDS; seed++) {
      const beganAt = performance.now();
      const failures = runPart(folder, part, seed);
      const seconds = Math.round((performance.now() - beganAt) / 1_000);
      const telling = failures.filter((failure) => says.test(failure));
      if (telling.length === 0) {
        console.log(`${name}: ${part} stayed green with seed ${seed} (${seconds} s)`, ...failures);
        continue;
      }
      console.log(`${name}: ${part} went red with seed ${seed} in ${seconds} s`);
      for (const failure of telling) console.log(`  ${short(failure)}`);
      return true;
    }
  } catch (error) {
    console.log(`${name}: ${(error as Error).message}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return false;
}

function short(failure: string): string {
  return failure
    .split("\n")
    .filter((line) => !/^\s+at /.test(line))
    .slice(0, 12)
    .join("\n  ");
}

const wanted = process.argv.slice(2);
const patches = readdirSync(PATCHES)
  .filter((name) => name.endsWith(".patch"))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .map((name) => readPatch(name));
if (patches.length === 0) throw new Error("there is no such patch");
const missed = patches.filter((patch) => !isNoticed(patch));
console.log(`${patches.length - missed.length} of ${patches.length} broken builds were noticed`);
process.exitCode = missed.length === 0 ? 0 : 1;
