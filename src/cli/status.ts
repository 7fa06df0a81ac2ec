import type { BoxStatus } from "../client/client.ts";
import { causeOf } from "./cause.ts";
import { withClient } from "./client.ts";
import { exitCodeFor, tell } from "./failure.ts";
import { acknowledgementsWait, ASKING_RELAYS, boxEmpty, boxHolds, boxNotRead } from "./messages.ts";
import { mustHaveRelays, openProfile, type ProfileOptions } from "./profile.ts";
import { shownTime } from "./show.ts";
import { progressLine, type Terminal } from "./terminal.ts";

export type StatusOptions = ProfileOptions & { readonly json: boolean };

/** `deaddrop status`: what each relay holds for one. Answers the exit code: 3 when some relay could not be read, 1 when none could. */
export async function status(options: StatusOptions, terminal: Terminal): Promise<number> {
  const profile = await openProfile(options, terminal);
  mustHaveRelays(profile);
  return withClient(profile, options, async (client) => {
    const { stdout, stderr } = terminal;
    const { progress, done } = progressLine(terminal);
    progress(ASKING_RELAYS);
    const boxes = await client.status();
    const waiting = await client.flush();
    done();
    for (const box of boxes) stdout.write(options.json ? boxAsJson(box) : shownBox(box));
    if (waiting > 0) tell(stderr, acknowledgementsWait(waiting));
    return exitCodeFor(boxes.filter(({ state }) => state === "failed").length, boxes.length);
  });
}

function boxAsJson(box: BoxStatus): string {
  const { oldest = null, nextExpiry = null } = box;
  return `${JSON.stringify({ ...box, oldest, nextExpiry })}\n`;
}

function shownBox({ url, state, reason, drops, oldest, nextExpiry }: BoxStatus): string {
  if (state === "failed") return `${boxNotRead(url, causeOf(reason))}\n`;
  if (drops === 0) return `${boxEmpty(url)}\n`;
  const times = {
    ...(oldest !== undefined && { oldest: shownTime(oldest) }),
    ...(nextExpiry !== undefined && { nextExpiry: shownTime(nextExpiry) }),
  };
  return `${boxHolds(url, drops, times)}\n`;
}
