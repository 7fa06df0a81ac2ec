import type { Collection } from "../client/client.ts";
import { acknowledge, reportUntold } from "./acknowledge.ts";
import { withClient } from "./client.ts";
import { CliError, DONE, exitCodeFor, tell } from "./failure.ts";
import { ASKING_RELAYS, GRACE_WITHOUT_ACK, notRead, pickupProgress } from "./messages.ts";
import { mustHaveRelays, openProfile, type Profile, type ProfileOptions } from "./profile.ts";
import { printPicked } from "./print-picked.ts";
import { harmlessLine } from "./show.ts";
import { progressLine, type Terminal } from "./terminal.ts";

export type PickupOptions = ProfileOptions & {
  /** Acknowledge what was printed. */
  readonly ack: boolean;
  readonly graceSeconds: number | undefined;
  readonly json: boolean;
};

/** `deaddrop pickup`. Answers the exit code: 3 when some relay could not be read or told, 1 when none could. */
export async function pickup(options: PickupOptions, terminal: Terminal): Promise<number> {
  return withClient(await recipient(options, terminal), options, async (client) => {
    const { progress, done } = progressLine(terminal.stderr);
    const collection = client.pickup();
    const ids: string[] = [];
    progress(ASKING_RELAYS);
    for await (const picked of collection) {
      done();
      if (await printPicked(picked, options, terminal)) ids.push(picked.id);
      progress(progressOf(collection, ids.length));
    }
    done();
    const readCode = reportUnread(collection, terminal);
    if (!options.ack || ids.length === 0) return readCode;
    const reports = await acknowledge(client, ids, options, terminal);
    return Math.max(readCode, reportUntold(reports, terminal));
  });
}

/** `deaddrop watch`: prints what is held and what comes, until `signal` is aborted. */
export async function watch(
  options: PickupOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number> {
  return withClient(await recipient(options, terminal), options, async (client) => {
    for await (const picked of client.watch({ signal })) {
      const isPrinted = await printPicked(picked, options, terminal);
      // Relays that are not there are told later; the watch goes on.
      if (options.ack && isPrinted) await acknowledge(client, [picked.id], options, terminal);
    }
    return DONE;
  });
}

async function recipient(options: PickupOptions, terminal: Terminal): Promise<Profile> {
  if (options.graceSeconds !== undefined && !options.ack) {
    throw new CliError(GRACE_WITHOUT_ACK);
  }
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
  for (const { url, reason } of unread) tell(stderr, notRead(url, harmlessLine(reason), exitCode));
  return exitCode;
}
