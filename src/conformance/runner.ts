import type { Check } from "./check.ts";
import { Context } from "./context.ts";
import { whyAbsent, whyUnreachable } from "./presence.ts";
import type { Session } from "./session.ts";
import type { Line } from "./transcript.ts";
import { Failed, Skipped } from "./verdict.ts";

export type Result = {
  readonly check: Check;
  readonly milliseconds: number;
} & (
  | { readonly outcome: "passed"; readonly note?: string }
  | {
      /** "advised": it does not do what it SHOULD, which fails nothing. */
      readonly outcome: "failed" | "advised";
      readonly reason: string;
      readonly transcript: readonly Line[];
    }
  | { readonly outcome: "skipped"; readonly reason: string }
);

export type RunOptions = {
  /** Each check's limit. */
  readonly timeoutMs: number;
  /** Run what is not advertised, too. */
  readonly force: boolean;
  readonly began?: (check: Check, index: number) => void;
  readonly ended?: (result: Result) => void;
  /** Told why the relay is not there, or not there any more: then nothing else is checked. */
  readonly absent?: (why: string) => void;
};

/** Runs the checks one after the other. Whatever a relay does that is there, every check has a result, and the run ends. */
export async function run(
  session: Session,
  checks: readonly Check[],
  { timeoutMs, force, began, ended, absent }: RunOptions,
): Promise<Result[]> {
  const results: Result[] = [];
  let absence = await whyAbsent(session);
  for (const [index, check] of checks.entries()) {
    if (absence !== undefined) break;
    began?.(check, index);
    const result = await runOne(session, check, timeoutMs, force);
    ended?.(result);
    results.push(result);
    // The relay may fail in what was asked, or may have failed altogether: then the checks to come say nothing of it.
    if ("transcript" in result) absence = await whyUnreachable(session);
  }
  if (absence !== undefined) absent?.(absence);
  return results;
}

async function runOne(
  session: Session,
  check: Check,
  timeoutMs: number,
  force: boolean,
): Promise<Result> {
  const missing = force ? undefined : check.needs.map((need) => session.whyNot(need)).find(Boolean);
  if (missing !== undefined) return { check, milliseconds: 0, outcome: "skipped", reason: missing };
  const context = new Context(session, timeoutMs);
  const started = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Failed(`not done within ${timeoutMs} ms`)), timeoutMs);
  });
  const running = check.run(context);
  // When the limit wins, what the check was waiting for fails a moment later, and nobody is there to hear it.
  running.catch(() => {});
  try {
    const note = await Promise.race([running, limit]);
    const milliseconds = Math.round(performance.now() - started);
    return { check, milliseconds, outcome: "passed", ...(typeof note === "string" && { note }) };
  } catch (error) {
    const milliseconds = Math.round(performance.now() - started);
    if (error instanceof Skipped) {
      return { check, milliseconds, outcome: "skipped", reason: error.message };
    }
    const { lines: transcript } = context.transcript;
    // Anything else that is thrown is a fault of the check, and must not look like one of the relay.
    const reason = error instanceof Failed ? error.message : `the check broke: ${String(error)}`;
    const outcome = check.isAdvice && error instanceof Failed ? "advised" : "failed";
    return { check, milliseconds, outcome, reason, transcript };
  } finally {
    clearTimeout(timer);
    session.noteSilence(!context.heardAnything);
    context.end();
  }
}
