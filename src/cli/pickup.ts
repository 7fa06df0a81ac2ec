import { createInterface } from "node:readline";

import {
  type AcknowledgementReport,
  type Collection,
  type DeadDrop,
  open,
  type PickedUp,
} from "../client/client.ts";
import { parseEvent, type NostrEvent, tagValue } from "../nostr/event.ts";
import { isHex32 } from "../nostr/hex.ts";
import { ACKNOWLEDGEMENT } from "../nostr/kinds.ts";
import { isReason } from "../nostr/reason.ts";
import { hasOwnId } from "../client/genuine.ts";
import { CliError, DONE, FAILED, PARTLY, WRONG_USE } from "./failure.ts";
import { clientOf, mustHaveRelays, openProfile, type ProfileOptions } from "./profile.ts";
import { asFailure } from "./send.ts";
import { dropAsJson, harmlessLine, shownDrop, written } from "./show.ts";
import { progressLine, type Terminal } from "./terminal.ts";

export type PickupOptions = ProfileOptions & {
  /** Acknowledge what was printed. */
  readonly ack: boolean;
  readonly graceSeconds: number | undefined;
  readonly json: boolean;
};

function mustAcknowledge({ ack, graceSeconds }: PickupOptions): void {
  if (graceSeconds === undefined || ack) return;
  throw new CliError(WRONG_USE, "--grace says when acknowledged drops go; give --ack with it");
}

/** `deaddrop pickup`. Answers the exit code: 3 when some relay could not be read or told, 1 when none could. */
export async function pickup(options: PickupOptions, terminal: Terminal): Promise<number> {
  mustAcknowledge(options);
  return withClient(options, terminal, async (client) => {
    const { progress, done } = progressLine(terminal.stderr);
    const collection = client.pickup();
    const ids: string[] = [];
    progress("asking the relays");
    for await (const picked of collection) {
      done();
      if (await shown(picked, options, terminal)) ids.push(picked.id);
      progress(progressOf(collection, ids.length));
    }
    done();
    const read = readCode(collection, terminal);
    if (!options.ack || ids.length === 0) return read;
    const reports = await acknowledged(client, ids, options, terminal);
    return Math.max(read, toldCode(reports, terminal));
  });
}

/** `deaddrop watch`: prints what is held and what comes, until `signal` is aborted. */
export async function watch(
  options: PickupOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number> {
  mustAcknowledge(options);
  return withClient(options, terminal, async (client) => {
    for await (const picked of client.watch({ signal })) {
      const isShown = await shown(picked, options, terminal);
      // Relays that are not there are told later; the watch goes on.
      if (options.ack && isShown) await acknowledged(client, [picked.id], options, terminal);
    }
    return DONE;
  });
}

export type AckOptions = Omit<PickupOptions, "ack"> & {
  readonly ids: readonly string[];
  /** Print the acknowledgement, and tell nobody. */
  readonly print: boolean;
};

// As many as NIP-DD's relays take.
const IDS_AN_EVENT = 1_000;

/** `deaddrop ack`. Answers the exit code: 3 when some relay could not be told yet, 1 when none could. */
export async function ack(options: AckOptions, terminal: Terminal): Promise<number> {
  const { ids, json, print } = options;
  if (ids.length === 0)
    throw new CliError(WRONG_USE, "which drops? Give the ids that pickup shows");
  if (!ids.every(isHex32)) {
    throw new CliError(WRONG_USE, "an id is 64 hex digits; give the ids that pickup shows");
  }
  if (print) {
    const { signer } = await openProfile(options, terminal);
    const created_at = Math.floor(Date.now() / 1_000);
    const { graceSeconds } = options;
    const grace =
      graceSeconds === undefined ? [] : [["expiration", String(created_at + graceSeconds)]];
    for (let next = 0; next < ids.length; next += IDS_AN_EVENT) {
      const tags = [...ids.slice(next, next + IDS_AN_EVENT).map((id) => ["e", id]), ...grace];
      const event = await signer.sign({ kind: ACKNOWLEDGEMENT, created_at, tags, content: "" });
      terminal.stdout.write(`${JSON.stringify(event)}\n`);
    }
    return DONE;
  }
  return withClient(options, terminal, async (client) => {
    const reports = await acknowledged(client, ids, options, terminal);
    for (const report of reports) {
      const { url, state, reason } = report;
      const why = reason === "" ? "" : `: ${harmlessLine(reason)}`;
      terminal.stdout.write(json ? `${JSON.stringify(report)}\n` : `${url} ${state}${why}\n`);
    }
    return toldCode(reports, terminal);
  });
}

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
        ? { type: "unreadable", id, why: opened.why, drop, relay }
        : {
            type: "message",
            id,
            message: opened.message,
            from: opened.message.pubkey,
            to: tagValue(drop, "p") ?? "",
            relay,
          };
    if (!(await shown(picked, { json }, terminal))) failures += 1;
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

async function withClient(
  options: ProfileOptions,
  terminal: Terminal,
  work: (client: DeadDrop) => Promise<number>,
): Promise<number> {
  const profile = await openProfile(options, terminal);
  mustHaveRelays(profile);
  const client = clientOf(profile, options);
  try {
    return await work(client);
  } catch (error) {
    throw asFailure(error);
  } finally {
    client.close();
  }
}

// Answers whether it was a message, or a receipt, and is now with whoever reads standard output: only that may be acknowledged.
async function shown(
  picked: PickedUp,
  { json }: { readonly json: boolean },
  terminal: Terminal,
): Promise<boolean> {
  if (picked.type !== "unreadable") {
    await written(terminal, json ? dropAsJson(picked) : shownDrop(picked));
    return true;
  }
  if (json) await written(terminal, dropAsJson(picked));
  else {
    terminal.stderr.write(
      `deaddrop: drop ${picked.id} cannot be opened: ${picked.why}; "deaddrop ack ${picked.id}" removes it\n`,
    );
  }
  return false;
}

async function acknowledged(
  client: DeadDrop,
  ids: readonly string[],
  { graceSeconds }: Pick<PickupOptions, "graceSeconds">,
  { stderr }: Terminal,
): Promise<AcknowledgementReport[]> {
  const { progress, done } = progressLine(stderr);
  progress("telling the relays");
  try {
    return await client.acknowledge(ids, { ...(graceSeconds !== undefined && { graceSeconds }) });
  } finally {
    done();
  }
}

function progressOf({ reports }: Collection, messages: number): string {
  const complete = reports.filter(({ state }) => state !== "reading").length;
  return `${messages} messages, ${complete} of ${reports.length} relays done`;
}

function readCode({ reports }: Collection, { stderr }: Terminal): number {
  const failed = reports.filter(({ state }) => state !== "complete");
  for (const { url, reason } of failed) {
    stderr.write(`deaddrop: ${url} could not be read: ${harmlessLine(reason)}\n`);
  }
  return codeOf(failed.length, reports.length);
}

function toldCode(reports: readonly AcknowledgementReport[], { stderr }: Terminal): number {
  const later = reports.filter(({ state }) => state !== "done");
  for (const { url, state, reason } of later) {
    const what =
      state === "later" ? "could not be told and is told later" : "takes no acknowledgement";
    stderr.write(`deaddrop: ${url} ${what}: ${harmlessLine(reason)}\n`);
  }
  return codeOf(later.length, reports.length);
}

function codeOf(failed: number, all: number): number {
  if (failed === 0) return DONE;
  return failed < all ? PARTLY : FAILED;
}
