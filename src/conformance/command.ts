import { progressLine, type Stream } from "./progress-line.ts";
import {
  listed,
  listedAsJson,
  printable,
  shown,
  shownAsJson,
  summary,
  summaryAsJson,
} from "./report.ts";
import { run } from "./runner.ts";
import { Session } from "./session.ts";
import { checksNamed, SUITE } from "./suite.ts";

export type ConformanceOptions = {
  /** What says that it was used wrongly, such as "deaddrop". */
  readonly program: string;
  /** ws:// or wss:// */
  readonly url: string | undefined;
  readonly json: boolean;
  /** Names of checks, subjects, obligations or NIPs; none: all checks. */
  readonly only: readonly string[];
  /** Run what the relay does not advertise, too. What `only` names runs in any case. */
  readonly all: boolean;
  readonly list: boolean;
  /** The limit of each check. */
  readonly timeoutSeconds: number | undefined;
};

/** Where the report and the progress line go. `process` is one. */
type Output = {
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly env: Readonly<Record<string, string | undefined>>;
};

const DEFAULT_TIMEOUT_SECONDS = 30;
const MAX_TIMEOUT_SECONDS = 60 * 60;
// One answer may take a sixth of what a check may, so that a check that waits in vain can still say for what.
const ANSWERS_PER_CHECK = 6;

/** A time limit as it is typed: seconds, or a number with s or m. Answers seconds, NaN when it is not written so. */
export function timeLimit(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(s|m)?$/.exec(text) ?? [];
  return Number(amount) * (unit === "m" ? 60 : 1);
}

export const ALL_WELL = 0;
export const SOMETHING_FAILED = 1;
export const WRONG_USE = 2;

/**
 * The command behind `deaddrop conformance` and `deaddrop-conformance`: checks any relay against NIP-DD and what it builds on. Answers the exit status: 0 only when
 * no check failed, 2 for wrong use and where there is no relay.
 */
export async function conformance(options: ConformanceOptions, out: Output): Promise<number> {
  const { program, json, only, list, url, timeoutSeconds = DEFAULT_TIMEOUT_SECONDS } = options;
  const misused = (what: string): number => {
    out.stderr.write(`${program}: ${what}\n`);
    return WRONG_USE;
  };
  const unknown = only.find((name) => checksNamed(name).length === 0);
  if (unknown !== undefined) {
    return misused(`no check is called "${unknown}"; --list shows them all`);
  }
  const chosen = new Set(only.flatMap(checksNamed));
  const checks = only.length === 0 ? SUITE : SUITE.filter((check) => chosen.has(check));
  if (list) {
    for (const check of checks) out.stdout.write(json ? listedAsJson(check) : listed(check));
    return ALL_WELL;
  }
  if (url === undefined || !/^wss?:\/\//i.test(url) || !URL.canParse(url)) {
    return misused("give the URL of a relay, such as wss://drop.example.com");
  }
  if (!(timeoutSeconds > 0 && timeoutSeconds <= MAX_TIMEOUT_SECONDS)) {
    return misused(
      `the time limit is a number of seconds up to ${MAX_TIMEOUT_SECONDS}, such as 30 or 2m`,
    );
  }

  const timeoutMs = timeoutSeconds * 1_000;
  const started = performance.now();
  const session = await Session.begin(url, Math.ceil(timeoutMs / ANSWERS_PER_CHECK));
  const progress = progressLine(out);
  let absence: string | undefined;
  const results = await run(session, checks, {
    timeoutMs,
    force: options.all || only.length > 0,
    began: ({ id }, index) => progress.progress(`[${index + 1}/${checks.length}] ${id}`),
    ended(result) {
      progress.done();
      out.stdout.write(json ? shownAsJson(result) : shown(result));
    },
    absent: (why) => (absence = why),
  });
  if (results.length === 0 && absence !== undefined) {
    return misused(`no relay answers at ${printable(url)}: ${printable(absence)}`);
  }
  const about = {
    url,
    cleanUp: await session.cleanUp(),
    seconds: Math.round((performance.now() - started) / 1_000),
  };
  out.stdout.write(json ? summaryAsJson(results, about) : summary(results, about));
  if (absence !== undefined) {
    const done = `after ${results.length} of ${checks.length} checks`;
    out.stderr.write(`${program}: the relay is gone ${done}: ${printable(absence)}\n`);
    return SOMETHING_FAILED;
  }
  return results.some(({ outcome }) => outcome === "failed") ? SOMETHING_FAILED : ALL_WELL;
}
