import { GRACE } from "../nostr/grace.ts";
import { isHex32 } from "../nostr/hex.ts";
import { ACKNOWLEDGEMENT } from "../nostr/kinds.ts";
import { acknowledge, reportUntold, takenBy } from "./acknowledge.ts";
import { withClient } from "./client.ts";
import { CliError, DONE } from "./failure.ts";
import { NO_IDS, NOT_AN_ID } from "./messages.ts";
import { mustHaveRelays, openProfile, type ProfileOptions } from "./profile.ts";
import type { Terminal } from "./terminal.ts";

export type AckOptions = ProfileOptions & {
  readonly ids: readonly string[];
  readonly graceSeconds: number | undefined;
  /** Print the acknowledgement, and tell nobody. */
  readonly print: boolean;
  readonly json: boolean;
};

// As many as NIP-DD's relays take.
const IDS_AN_EVENT = 1_000;

/** `deaddrop ack`. Answers the exit code: 3 when some relay was not told, 1 when none was. */
export async function ack(options: AckOptions, terminal: Terminal): Promise<number> {
  const { ids, json, print } = options;
  if (ids.length === 0) throw new CliError(NO_IDS);
  if (!ids.every(isHex32)) throw new CliError(NOT_AN_ID);
  if (print) return printAcknowledgements(options, terminal);
  const profile = await openProfile(options, terminal);
  mustHaveRelays(profile);
  return withClient(profile, options, async (client) => {
    const reports = await acknowledge(client, ids, options, terminal);
    const taken = takenBy(reports, ids.length, options);
    if (json) {
      for (const report of reports) terminal.stdout.write(`${JSON.stringify(report)}\n`);
    } else if (taken !== undefined) terminal.stdout.write(`${taken.text}\n`);
    return reportUntold(reports, terminal);
  });
}

async function printAcknowledgements(options: AckOptions, terminal: Terminal): Promise<number> {
  const { ids, graceSeconds } = options;
  const { signer } = await openProfile(options, terminal);
  const created_at = Math.floor(Date.now() / 1_000);
  const grace = graceSeconds === undefined ? [] : [[GRACE, String(created_at + graceSeconds)]];
  for (let next = 0; next < ids.length; next += IDS_AN_EVENT) {
    const tags = [...ids.slice(next, next + IDS_AN_EVENT).map((id) => ["e", id]), ...grace];
    const event = await signer.sign({ kind: ACKNOWLEDGEMENT, created_at, tags, content: "" });
    terminal.stdout.write(`${JSON.stringify(event)}\n`);
  }
  return DONE;
}
