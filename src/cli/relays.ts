import { asPerson, asRelays } from "./arguments.ts";
import { causeOf } from "./cause.ts";
import { withClient } from "./client.ts";
import { CliError, DONE, PARTLY, tell } from "./failure.ts";
import { findRelays } from "./find-relays.ts";
import {
  ASKING_RELAYS,
  LIST_NOT_PUBLISHED,
  NO_RELAYS_TO_SET,
  PERSON,
  unknownRelaysAction,
} from "./messages.ts";
import { mustHaveRelays, openProfile, type ProfileOptions, saveRelays } from "./profile.ts";
import { progressLine, type Terminal } from "./terminal.ts";

export type RelaysOptions = ProfileOptions & {
  /** `set`, `publish`, `of`; undefined: show one's own. */
  readonly action: string | undefined;
  /** URLs to set, or whose relays to look up. */
  readonly values: readonly string[];
  readonly json: boolean;
};

const ACTIONS: readonly string[] = ["set", "publish", "of"];

/** `deaddrop relays`. Answers the exit code: 3 when some relay did not take the list, 1 when none did or none is found. */
export async function relays(options: RelaysOptions, terminal: Terminal): Promise<number> {
  const { action, values } = options;
  if (action !== undefined && !ACTIONS.includes(action)) {
    throw new CliError(unknownRelaysAction(action, ACTIONS));
  }
  const given = action === "set" ? asRelays(values) : undefined;
  const person = action === "of" ? asPerson(values[0], PERSON) : undefined;
  if (given?.length === 0) throw new CliError(NO_RELAYS_TO_SET);
  // What is set anew is not read before: it may be damaged.
  const profile = await openProfile({ ...options, relay: given ?? options.relay }, terminal);
  if (action === "set") await saveRelays(profile.folder, profile.relays);
  if (action !== "of") mustHaveRelays(profile);
  if (action === undefined) {
    list(profile.relays, options, terminal);
    return DONE;
  }
  const { progress, done } = progressLine(terminal);
  return withClient(profile, options, async (client) => {
    if (person === undefined) {
      progress(ASKING_RELAYS);
      return reportPublished(await client.publishRelays().finally(done), options, terminal);
    }
    const found = await findRelays(client, person, terminal);
    list(found.relays, options, terminal);
    return DONE;
  });
}

function list(urls: readonly string[], { json }: RelaysOptions, { stdout }: Terminal): void {
  if (json) stdout.write(`${JSON.stringify({ relays: urls })}\n`);
  else for (const url of urls) stdout.write(`${url}\n`);
}

function reportPublished(
  results: readonly { readonly url: string; readonly refusal: string | undefined }[],
  { json }: RelaysOptions,
  { stdout, stderr }: Terminal,
): number {
  for (const { url, refusal } of results) {
    const said = refusal === undefined ? "published" : causeOf(refusal);
    stdout.write(
      json
        ? `${JSON.stringify({ url, published: refusal === undefined, reason: refusal ?? "" })}\n`
        : `${url} ${said}\n`,
    );
  }
  const refusals = results.flatMap(({ refusal }) => refusal ?? []);
  const taken = results.length - refusals.length;
  // A dead drop keeps nothing public and says so: that is no failure, as long as somebody keeps the list.
  const failed = refusals.filter((refusal) => !refusal.startsWith("blocked:"));
  if (taken === 0) return tell(stderr, LIST_NOT_PUBLISHED);
  return failed.length > 0 ? PARTLY : DONE;
}
