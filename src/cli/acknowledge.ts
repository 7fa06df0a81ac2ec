import type { AcknowledgementReport, DeadDrop } from "../client/client.ts";
import { causeOf } from "./cause.ts";
import { asFailureOf, exitCodeFor, type Message, tell } from "./failure.ts";
import {
  acknowledged,
  acknowledgementNotKept,
  keptThere,
  TELLING_RELAYS,
  toldLater,
} from "./messages.ts";
import { shownTime } from "./show.ts";
import { progressLine, type Terminal } from "./terminal.ts";

type Grace = { readonly graceSeconds: number | undefined };

/** Acknowledges messages, with a progress line on a terminal. Throws a CliError when the acknowledgement cannot be kept on disk, which it is before it is told. */
export async function acknowledge(
  client: DeadDrop,
  ids: readonly string[],
  { graceSeconds }: Grace,
  terminal: Pick<Terminal, "stderr" | "env">,
): Promise<AcknowledgementReport[]> {
  const { progress, done } = progressLine(terminal);
  progress(TELLING_RELAYS);
  try {
    return await client.acknowledge(ids, { ...(graceSeconds !== undefined && { graceSeconds }) });
  } catch (error) {
    throw asFailureOf(error, acknowledgementNotKept);
  } finally {
    done();
  }
}

/** Which relays took an acknowledgement of so many messages, in words; undefined when none did. */
export function takenBy(
  reports: readonly AcknowledgementReport[],
  messages: number,
  { graceSeconds }: Grace,
): Message | undefined {
  const urls = reports.filter(({ state }) => state === "done").map(({ url }) => url);
  if (urls.length === 0) return undefined;
  const until =
    graceSeconds === undefined
      ? undefined
      : shownTime(Math.floor(Date.now() / 1_000) + graceSeconds);
  return acknowledged(messages, urls, until);
}

/** Why a relay did not take an acknowledgement, and what that means; undefined when it did. */
export function untold(
  { url, state, reason }: AcknowledgementReport,
  exitCode: Message["exitCode"],
): Message | undefined {
  if (state === "done") return undefined;
  return state === "later" ? toldLater(url, causeOf(reason), exitCode) : keptThere(url, exitCode);
}

/** Names the relays that were not told, and answers the exit code. */
export function reportUntold(
  reports: readonly AcknowledgementReport[],
  { stderr }: Pick<Terminal, "stderr">,
): Message["exitCode"] {
  const missing = reports.filter(({ state }) => state !== "done").length;
  const exitCode = exitCodeFor(missing, reports.length);
  for (const report of reports) {
    const message = untold(report, exitCode);
    if (message !== undefined) tell(stderr, message);
  }
  return exitCode;
}
