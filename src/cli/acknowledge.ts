import type { AcknowledgementReport, DeadDrop } from "../client/client.ts";
import { asFailureOf, exitCodeFor, tell } from "./failure.ts";
import { acknowledgementNotKept, notADeadDrop, TELLING_RELAYS, toldLater } from "./messages.ts";
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
  progress(TELLING_RELAYS);
  try {
    return await client.acknowledge(ids, { ...(graceSeconds !== undefined && { graceSeconds }) });
  } catch (error) {
    throw asFailureOf(error, acknowledgementNotKept);
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
  const exitCode = exitCodeFor(untold.length, reports.length);
  for (const { url, state, reason } of untold) {
    const message = state === "later" ? toldLater : notADeadDrop;
    tell(stderr, message(url, harmlessLine(reason), exitCode));
  }
  return exitCode;
}
