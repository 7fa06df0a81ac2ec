import type { AcknowledgementReport, DeadDrop } from "../client/client.ts";
import { asFailureOf, exitCodeFor } from "./failure.ts";
import { harmlessLine } from "./show.ts";
import { progressLine, type Terminal } from "./terminal.ts";

/** Acknowledges drops, with a progress line on a terminal. */
export async function acknowledge(
  client: DeadDrop,
  ids: readonly string[],
  { graceSeconds }: { readonly graceSeconds: number | undefined },
  { stderr }: Terminal,
): Promise<AcknowledgementReport[]> {
  const { progress, done } = progressLine(stderr);
  progress("telling the relays");
  try {
    return await client.acknowledge(ids, { ...(graceSeconds !== undefined && { graceSeconds }) });
  } catch (error) {
    throw asFailureOf(
      error,
      (why) =>
        `the acknowledgement cannot be kept (${why}), so no relay was told and all of it is held on; make room, and acknowledge again`,
    );
  } finally {
    done();
  }
}

/** Names the relays that were not told, and answers the exit code. */
export function reportUntold(
  reports: readonly AcknowledgementReport[],
  { stderr }: Terminal,
): number {
  const untold = reports.filter(({ state }) => state !== "done");
  for (const { url, state, reason } of untold) {
    const what =
      state === "later" ? "could not be told and is told later" : "takes no acknowledgement";
    stderr.write(`deaddrop: ${url} ${what}: ${harmlessLine(reason)}\n`);
  }
  return exitCodeFor(untold.length, reports.length);
}
