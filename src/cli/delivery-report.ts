import type { Delivery } from "../client/client.ts";
import { DONE, FAILED, PARTLY } from "./failure.ts";
import { shownReport } from "./show.ts";
import type { Terminal } from "./terminal.ts";

/** How far a delivery is, for a progress line. */
export function answeredOf({ reports }: Delivery): string {
  const answered = reports.filter(({ state }) => state !== "waiting").length;
  return `${answered} of ${reports.length} relays answered`;
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
  const next = mayArrive
    ? 'go on with "deaddrop send --retry"'
    : "the others never will; change what they refuse, or name other relays with --relay";
  stderr.write(
    `deaddrop: ${holding} of ${reports.length} relays hold the message, ${quorum} are wanted; ${next}\n`,
  );
  return holding > 0 ? PARTLY : FAILED;
}
