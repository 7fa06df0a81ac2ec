import { createInterface } from "node:readline";

import { open, type PickedUp } from "../client/client.ts";
import { hasOwnId } from "../client/genuine.ts";
import { type NostrEvent, parseEvent, tagValue } from "../nostr/event.ts";
import { isReason, withoutPrefix } from "../nostr/reason.ts";
import { exitCodeFor, type Message, tell } from "./failure.ts";
import { LINE_IS_NO_JSON, LINE_TOO_LONG, LINE_WITH_WRONG_ID, lineIsNoEvent } from "./messages.ts";
import { openProfile, type ProfileOptions } from "./profile.ts";
import { printPicked } from "./print-picked.ts";
import type { Terminal } from "./terminal.ts";

export type OpenOptions = Pick<ProfileOptions, "key"> & { readonly json: boolean };

// A line of a box over HTTP is one drop.
const MAX_LINE_CHARS = 1024 * 1024;

/** `deaddrop open`: opens drops that came another way, one as JSON on each line of standard input. Answers the exit code: 3 when some of them cannot be opened, 1 when none can. */
export async function openDrops({ key, json }: OpenOptions, terminal: Terminal): Promise<number> {
  const none = { relay: [], discovery: [], socks: undefined, timeoutSeconds: undefined };
  const { signer } = await openProfile({ key, ...none }, terminal);
  let [all, failures] = [0, 0];
  for await (const line of createInterface({ input: terminal.stdin })) {
    if (line.trim() === "") continue;
    all += 1;
    const drop = dropIn(line);
    if ("text" in drop) {
      failures += 1;
      tell(terminal.stderr, drop);
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
  return exitCodeFor(failures, all);
}

function dropIn(line: string): NostrEvent | Message {
  if (line.length > MAX_LINE_CHARS) return LINE_TOO_LONG;
  try {
    const event = parseEvent(JSON.parse(line));
    if (isReason(event)) return lineIsNoEvent(withoutPrefix(event));
    // By a wrong one something else would be acknowledged.
    return hasOwnId(event) ? event : LINE_WITH_WRONG_ID;
  } catch {
    return LINE_IS_NO_JSON;
  }
}
