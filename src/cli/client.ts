// The client library, as the commands of senders and recipients use it.

import { join } from "node:path";

import { DeadDrop, Nip05Error, NoRelaysError } from "../client/client.ts";
import { fileOutbox } from "../client/node.ts";
import { asFailureOf, CliError } from "./failure.ts";
import {
  badArgument,
  filesRefused,
  personNotFound,
  recipientUnknown,
  recordLost,
} from "./messages.ts";
import type { Profile, ProfileOptions } from "./profile.ts";
import { harmlessLine } from "./show.ts";

/**
 * Does a command's work with a client of this profile, and closes it in the end, whatever becomes of the work. What the library throws for wrong use or an
 * unknown recipient becomes a CliError that says what to do.
 */
export async function withClient(
  profile: Profile,
  options: Pick<ProfileOptions, "timeoutSeconds">,
  work: (client: DeadDrop) => Promise<number>,
): Promise<number> {
  const client = clientOf(profile, options);
  try {
    return await work(client);
  } catch (error) {
    throw asFailure(error);
  } finally {
    client.close();
  }
}

function clientOf(
  { signer, relays, discovery, network, folder, notice }: Profile,
  { timeoutSeconds }: Pick<ProfileOptions, "timeoutSeconds">,
): DeadDrop {
  return new DeadDrop({
    keys: [signer],
    relays,
    discovery,
    outbox: fileOutbox(join(folder, "outbox"), {
      lost: (record) => void notice(recordLost(record)),
    }),
    ...network,
    ...(timeoutSeconds !== undefined && { patienceSeconds: timeoutSeconds }),
  });
}

function asFailure(error: unknown): unknown {
  if (error instanceof NoRelaysError) {
    return new CliError(recipientUnknown(harmlessLine(error.message)));
  }
  if (error instanceof Nip05Error) return new CliError(personNotFound(harmlessLine(error.message)));
  if (error instanceof RangeError) return new CliError(badArgument(error.message));
  return asFailureOf(error, filesRefused);
}
