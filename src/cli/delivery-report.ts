import type { Delivery, DeliveryReport } from "../client/client.ts";
import { causeOf } from "./cause.ts";
import { DONE, FAILED, PARTLY, tell } from "./failure.ts";
import { answersProgress, tooFewHold, untilTime } from "./messages.ts";
import { shownTime } from "./show.ts";
import type { Terminal } from "./terminal.ts";

/** How far a delivery is, for a progress line. */
export function answeredOf({ reports }: Delivery): string {
  const answered = reports.filter(({ state }) => state !== "waiting").length;
  return answersProgress(answered, reports.length);
}

/** Prints what each relay said to a message, and what to do when too few hold it. Answers the exit code. */
export function reportDelivery(
  delivery: Delivery,
  { json }: { readonly json: boolean },
  { stdout, stderr }: Terminal,
): number {
  const { message, isDelivered, mayArrive, quorum, reports } = delivery;
  if (json) {
    const relays = reports.map(({ heldUntil = null, ...report }) => ({ ...report, heldUntil }));
    stdout.write(`${JSON.stringify({ message, delivered: isDelivered, quorum, relays })}\n`);
  } else {
    for (const report of reports) stdout.write(shownReport(report));
  }
  if (isDelivered) return DONE;
  const holding = reports.filter(({ state }) => state === "held" || state === "known").length;
  const exitCode = holding > 0 ? PARTLY : FAILED;
  return tell(stderr, tooFewHold({ holding, of: reports.length, quorum }, mayArrive, exitCode));
}

// What a relay said to a message, for people.
function shownReport({ url, state, reason, heldUntil }: DeliveryReport): string {
  const until = heldUntil === undefined ? "" : untilTime(shownTime(heldUntil));
  const why = reason === "" || state === "known" ? "" : `: ${causeOf(reason)}`;
  return `${url} ${state}${until}${why}\n`;
}
