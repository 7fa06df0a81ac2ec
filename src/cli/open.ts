import { createInterface } from "node:readline";

import { open, type PickedUp } from "../client/client.ts";
import { hasOwnId } from "../client/genuine.ts";
import { type NostrEvent, parseEvent, tagValue } from "../nostr/event.ts";
import { isReason } from "../nostr/reason.ts";
import { DONE, PARTLY } from "./failure.ts";
import { openProfile, type ProfileOptions } from "./profile.ts";
import { printPicked } from "./show.ts";
import type { Terminal } from "./terminal.ts";

export type OpenOptions = Pick<ProfileOptions, "key"> & { readonly json: boolean };

// A line of a box over HTTP is one drop.
const MAX_LINE_CHARS = 1024 * 1024;

/** `deaddrop open`: opens drops that came another way, one as JSON on each line of standard input. Answers 3 when some of them cannot be opened. */
export async function openDrops({ key, json }: OpenOptions, terminal: Terminal): Promise<number> {
  const none = { relay: [], discovery: [], timeoutSeconds: undefined };
  const { signer } = await openProfile({ key, ...none }, terminal);
  let failures = 0;
  for await (const line of createInterface({ input: terminal.stdin })) {
    if (line.trim() === "") continue;
    const drop = dropIn(line);
    if (typeof drop === "string") {
      failures += 1;
      terminal.stderr.write(`deaddrop: ${drop}\n`);
      continue;
    }
    const opened = await open(drop, { address: signer, identity: signer });
    const { id } = drop;
    const relay = "";
    const picked: PickedUp =
      "why" in opened
        ? { type: "unreadable", id, ...opened, drop, relay }
        : {
            type: "message",
            id,
            message: opened.message,
            from: opened.message.pubkey,
            to: tagValue(drop, "p") ?? "",
            relay,
          };
    if (!(await printPicked(picked, { json }, terminal))) failures += 1;
  }
  return failures > 0 ? PARTLY : DONE;
}

function dropIn(line: string): NostrEvent | string {
  if (line.length > MAX_LINE_CHARS) return "a line is too long to be a drop";
  try {
    const event = parseEvent(JSON.parse(line));
    if (isReason(event)) return `a line is no event: ${event}`;
    // By a wrong one something else would be acknowledged.
    return hasOwnId(event) ? event : "a line has an id that is not its own";
  } catch {
    return "a line is not JSON";
  }
}
