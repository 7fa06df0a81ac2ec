import type { Collection, PickedUp } from "../client/client.ts";
import { acknowledge, reportUntold, takenBy } from "./acknowledge.ts";
import { causeOf } from "./cause.ts";
import { withClient } from "./client.ts";
import { CliError, exitCodeFor, tell } from "./failure.ts";
import { inOrder, type InOrderOptions } from "./in-order.ts";
import {
  ASKING_RELAYS,
  GRACE_WITHOUT_ACK,
  notRead,
  nothingNew,
  pickupInterrupted,
  pickupProgress,
  TELLING_INTERRUPTED,
} from "./messages.ts";
import { printPicked } from "./print-picked.ts";
import { mustHaveRelays, openProfile, type Profile, type ProfileOptions } from "./profile.ts";
import { progressLine, type Terminal } from "./terminal.ts";

export type PickupOptions = ProfileOptions & {
  /** Acknowledge what was printed. */
  readonly ack: boolean;
  readonly graceSeconds: number | undefined;
  readonly json: boolean;
};

/**
 * `deaddrop pickup`: prints what is held, and acknowledges it when all of it was printed. Answers the exit code: 3 when some relay could not be read or
 * told, 1 when none could, 130 when `signal` is aborted before: then what came is printed and nothing acknowledged.
 */
export async function pickup(
  options: PickupOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number> {
  return withClient(await recipient(options, terminal), options, async (client) => {
    const { stderr } = terminal;
    const { progress, done } = progressLine(terminal);
    const collection = client.pickup({ signal });
    const ids: string[] = [];
    let unreadable = 0;
    progress(ASKING_RELAYS);
    const gathered = (count: number): void => progress(progressOf(collection, count));
    for await (const batch of batchesOf(collection, options, { gathered })) {
      done();
      for (const picked of batch) {
        if (await printPicked(picked, options, terminal)) ids.push(picked.id);
        else unreadable += 1;
      }
      if (batch.length > 0) gathered(ids.length + unreadable);
    }
    done();
    if (signal.aborted) return tell(stderr, pickupInterrupted(ids.length, options.ack));
    const read = collection.reports.filter(({ state }) => state === "complete");
    const isEmpty = ids.length + unreadable === 0 && read.length > 0;
    if (isEmpty && !options.json) tell(stderr, nothingNew(read.map(({ url }) => url)));
    if (!options.ack || ids.length === 0) return reportUnread(collection, terminal);
    const reports = await unless(signal, acknowledge(client, ids, options, terminal));
    if (reports === undefined) return tell(stderr, TELLING_INTERRUPTED);
    const taken = takenBy(reports, ids.length, options);
    if (taken !== undefined && !options.json) tell(stderr, taken);
    return Math.max(reportUnread(collection, terminal), reportUntold(reports, terminal));
  });
}

/** What is picked up, in the batches in which it is printed: in the order of time for people, and as it comes for programs, however much it is. */
export async function* batchesOf(
  collection: AsyncIterable<PickedUp>,
  { json }: Pick<PickupOptions, "json">,
  options: InOrderOptions,
): AsyncGenerator<readonly PickedUp[]> {
  if (!json) yield* inOrder(collection, options);
  else for await (const picked of collection) yield [picked];
}

/** Who picks up. Throws a CliError for options that do not go together, and without relays. */
export async function recipient(options: PickupOptions, terminal: Terminal): Promise<Profile> {
  if (options.graceSeconds !== undefined && !options.ack) throw new CliError(GRACE_WITHOUT_ACK);
  const profile = await openProfile(options, terminal);
  mustHaveRelays(profile);
  return profile;
}

function progressOf({ reports }: Collection, messages: number): string {
  const complete = reports.filter(({ state }) => state !== "reading").length;
  return pickupProgress(messages, complete, reports.length);
}

// Names the relays that were not read, and answers the exit code.
function reportUnread({ reports }: Collection, { stderr }: Terminal): number {
  const unread = reports.filter(({ state }) => state !== "complete");
  const exitCode = exitCodeFor(unread.length, reports.length);
  for (const { url, reason } of unread) tell(stderr, notRead(url, causeOf(reason), exitCode));
  return exitCode;
}

// Undefined when the signal is aborted before the work is done; that goes on then, as far as it can.
function unless<T>(signal: AbortSignal, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => resolve(undefined);
    if (signal.aborted) aborted();
    signal.addEventListener("abort", aborted, { once: true });
    work.then(resolve, reject);
  });
}
