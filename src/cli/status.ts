import type { BoxStatus } from "../client/client.ts";
import { withClient } from "./client.ts";
import { exitCodeFor } from "./failure.ts";
import { mustHaveRelays, openProfile, type ProfileOptions } from "./profile.ts";
import { harmlessLine, shownTime } from "./show.ts";
import { progressLine, type Terminal } from "./terminal.ts";

export type StatusOptions = ProfileOptions & { readonly json: boolean };

/** `deaddrop status`: what each relay holds for one. Answers the exit code: 3 when some relay could not be read, 1 when none could. */
export async function status(options: StatusOptions, terminal: Terminal): Promise<number> {
  const profile = await openProfile(options, terminal);
  mustHaveRelays(profile);
  return withClient(profile, options, async (client) => {
    const { stdout, stderr } = terminal;
    const { progress, done } = progressLine(stderr);
    progress("asking the relays");
    const boxes = await client.status();
    const waiting = await client.flush();
    done();
    for (const box of boxes) stdout.write(options.json ? boxAsJson(box) : shownBox(box));
    if (waiting > 0) {
      stderr.write(`deaddrop: ${waiting} acknowledgements wait for relays that are not there\n`);
    }
    return exitCodeFor(boxes.filter(({ state }) => state === "failed").length, boxes.length);
  });
}

function boxAsJson(box: BoxStatus): string {
  const { oldest = null, nextExpiry = null } = box;
  return `${JSON.stringify({ ...box, oldest, nextExpiry })}\n`;
}

function shownBox({ url, state, reason, drops, oldest, nextExpiry }: BoxStatus): string {
  if (state === "failed") return `${url} not read: ${harmlessLine(reason)}\n`;
  const since = oldest === undefined ? "" : `, the oldest from about ${shownTime(oldest)}`;
  const until = nextExpiry === undefined ? "" : `, the next expires ${shownTime(nextExpiry)}`;
  return `${url} ${drops} ${drops === 1 ? "drop" : "drops"}${since}${until}\n`;
}
