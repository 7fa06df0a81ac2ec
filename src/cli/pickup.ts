import type { Collection } from "../client/client.ts";
import { acknowledge, reportUntold } from "./acknowledge.ts";
import { withClient } from "./client.ts";
import { CliError, DONE, exitCodeFor, WRONG_USE } from "./failure.ts";
import { mustHaveRelays, openProfile, type Profile, type ProfileOptions } from "./profile.ts";
import { harmlessLine, printPicked } from "./show.ts";
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
    progress("asking the relays");
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
    throw new CliError(WRONG_USE, "--grace says when acknowledged drops go; give --ack with it");
  }
  const profile = await openProfile(options, terminal);
  mustHaveRelays(profile);
  return profile;
}

function progressOf({ reports }: Collection, messages: number): string {
  const complete = reports.filter(({ state }) => state !== "reading").length;
  return `${messages} messages, ${complete} of ${reports.length} relays done`;
}

// Names the relays that were not read, and answers the exit code.
function reportUnread({ reports }: Collection, { stderr }: Terminal): number {
  const unread = reports.filter(({ state }) => state !== "complete");
  for (const { url, reason } of unread) {
    stderr.write(`deaddrop: ${url} could not be read: ${harmlessLine(reason)}\n`);
  }
  return exitCodeFor(unread.length, reports.length);
}
