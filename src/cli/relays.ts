import { CliError, DONE, FAILED, PARTLY, WRONG_USE } from "./failure.ts";
import {
  asKey,
  asRelays,
  clientOf,
  mustHaveRelays,
  openProfile,
  type ProfileOptions,
  saveRelays,
} from "./profile.ts";
import { harmlessLine, shownTime } from "./show.ts";
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
    throw new CliError(WRONG_USE, `relays has no "${action}"; it has ${ACTIONS.join(", ")}`);
  }
  const given = action === "set" ? asRelays(values) : undefined;
  const person = action === "of" ? asKey(values[0], "the person") : undefined;
  if (given?.length === 0) throw new CliError(WRONG_USE, "which relays? Give one to three URLs");
  // What is set anew is not read before: it may be damaged.
  const profile = await openProfile({ ...options, relay: given ?? options.relay }, terminal);
  if (action === "set") await saveRelays(profile.folder, profile.relays);
  if (action === undefined) {
    mustHaveRelays(profile);
    list(profile.relays, options, terminal);
    return DONE;
  }
  const client = clientOf(profile, options);
  const { progress, done } = progressLine(terminal.stderr);
  progress("asking the relays");
  try {
    switch (action) {
      case "of": {
        const theirs = await client.lookUpRelays(person ?? "");
        done();
        if (theirs === undefined) {
          throw new CliError(
            FAILED,
            "no list of relays is found; name other relays to look with --discovery",
          );
        }
        list(theirs, options, terminal);
        return DONE;
      }
      default: {
        mustHaveRelays(profile);
        const results = await client.publishRelays();
        done();
        return published(results, options, terminal);
      }
    }
  } finally {
    done();
    client.close();
  }
}

function list(urls: readonly string[], { json }: RelaysOptions, { stdout }: Terminal): void {
  if (json) stdout.write(`${JSON.stringify({ relays: urls })}\n`);
  else for (const url of urls) stdout.write(`${url}\n`);
}

function published(
  results: readonly { readonly url: string; readonly refusal: string | undefined }[],
  { json }: RelaysOptions,
  { stdout, stderr }: Terminal,
): number {
  for (const { url, refusal } of results) {
    const said = refusal === undefined ? "published" : harmlessLine(refusal);
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
  if (taken === 0) {
    stderr.write(
      "deaddrop: nobody published the list, so others cannot find it; name relays that do with --discovery\n",
    );
    return FAILED;
  }
  return failed.length > 0 ? PARTLY : DONE;
}

export type StatusOptions = ProfileOptions & { readonly json: boolean };

/** `deaddrop status`: what each relay holds for one. Answers the exit code: 3 when some relay could not be read, 1 when none could. */
export async function status(options: StatusOptions, terminal: Terminal): Promise<number> {
  const profile = await openProfile(options, terminal);
  mustHaveRelays(profile);
  const client = clientOf(profile, options);
  const { progress, done } = progressLine(terminal.stderr);
  try {
    progress("asking the relays");
    const boxes = await client.status();
    const waiting = await client.flush();
    done();
    for (const box of boxes) {
      const { url, state, reason, drops, oldest, nextExpiry } = box;
      if (options.json) {
        const shown = { ...box, oldest: oldest ?? null, nextExpiry: nextExpiry ?? null };
        terminal.stdout.write(`${JSON.stringify(shown)}\n`);
      } else if (state === "failed") {
        terminal.stdout.write(`${url} not read: ${harmlessLine(reason)}\n`);
      } else {
        const since = oldest === undefined ? "" : `, the oldest from about ${shownTime(oldest)}`;
        const until = nextExpiry === undefined ? "" : `, the next expires ${shownTime(nextExpiry)}`;
        terminal.stdout.write(
          `${url} ${drops} ${drops === 1 ? "drop" : "drops"}${since}${until}\n`,
        );
      }
    }
    if (waiting > 0) {
      terminal.stderr.write(
        `deaddrop: ${waiting} acknowledgements wait for relays that are not there\n`,
      );
    }
    const failed = boxes.filter(({ state }) => state === "failed").length;
    if (failed === 0) return DONE;
    return failed < boxes.length ? PARTLY : FAILED;
  } finally {
    client.close();
  }
}
