import type { DeadDrop, RelayLookup } from "../client/client.ts";
import { causeOf } from "./cause.ts";
import { CliError, tell } from "./failure.ts";
import {
  LIST_NAMES_NONE,
  LOOKING_FOR_RELAYS,
  NO_LIST,
  NO_LIST_YET,
  NOBODY_COULD_BE_ASKED,
  NOBODY_TO_ASK,
  notAsked,
  recipientUnknown,
} from "./messages.ts";
import { progressLine, type Terminal } from "./terminal.ts";

export type Found = {
  /** 64 hex digits. */
  readonly key: string;
  readonly relays: readonly string[];
  readonly lookup: RelayLookup;
};

/** Finds somebody, named as people do, and where they receive. Tells who could not be asked: one of those may have a newer list. Throws a CliError when there is none. */
export async function findRelays(
  client: DeadDrop,
  person: string,
  terminal: Pick<Terminal, "stderr" | "env">,
): Promise<Found> {
  const { progress, done } = progressLine(terminal);
  progress(LOOKING_FOR_RELAYS);
  const { key, lookup } = await lookedUp(client, person).finally(done);
  const { relays, asked, failures } = lookup;
  for (const { url, reason } of failures) tell(terminal.stderr, notAsked(url, causeOf(reason)));
  if (relays !== undefined && relays.length > 0) return { key, relays, lookup };
  if (relays !== undefined) throw new CliError(recipientUnknown(LIST_NAMES_NONE));
  if (asked.length === 0) throw new CliError(recipientUnknown(NOBODY_TO_ASK));
  if (failures.length === 0) throw new CliError(recipientUnknown(NO_LIST));
  const isNobody = failures.length === asked.length;
  throw new CliError(recipientUnknown(isNobody ? NOBODY_COULD_BE_ASKED : NO_LIST_YET));
}

async function lookedUp(
  client: DeadDrop,
  person: string,
): Promise<{ readonly key: string; readonly lookup: RelayLookup }> {
  const { key, hints } = await client.findPerson(person);
  return { key, lookup: await client.lookUpRelays(key, { hints }) };
}
