import { type NostrEvent } from "../nostr/event.ts";
import { isGenuine } from "./genuine.ts";
import type { RelayPool } from "./relay-pool.ts";
import { relayUrl, withoutPassword } from "./relay-url.ts";
import type { EventTemplate } from "./signer.ts";
import type { Runtime } from "./runtime.ts";

/** NIP-17: the relays where somebody receives. */
export const RELAY_LIST = 10_050;

/** Of a longer list the first ones count: NIP-17 asks to keep it to one to three. */
const MAX_LISTED = 8;

/** A kind 10050 list of these relays, to be signed and published. Throws a RangeError when some of them would not be read. */
export function relayList(relays: readonly string[], { now }: Runtime): EventTemplate {
  if (relays.length > MAX_LISTED) {
    throw new RangeError(`a list of ${relays.length} relays, of which others read ${MAX_LISTED}`);
  }
  const tags = relays.map((relay) => ["relay", withoutPassword(relay)]);
  return { kind: RELAY_LIST, created_at: now(), tags, content: "" };
}

/** What became of looking up somebody's relays. */
export type RelayLookup = {
  /** Those in the newest list that was found; undefined: none was found. */
  readonly relays: readonly string[] | undefined;
  readonly asked: readonly string[];
  /** Those that did not answer, or not to the end, and why in words: one of them may have a list, or a newer one. */
  readonly failures: readonly { readonly url: string; readonly reason: string }[];
};

/** Nobody knows where somebody receives. */
export class NoRelaysError extends Error {
  override readonly name = "NoRelaysError";
}

/**
 * Looks up the newest genuine kind 10050 list that the discovery relays have of this person; hints are relays that others say may have it too, URLs or what
 * should be some.
 */
export async function lookUpRelays(
  pool: RelayPool,
  person: string,
  discovery: readonly string[],
  hints: readonly string[],
): Promise<RelayLookup> {
  const urls = [...new Set([...discovery, ...goodUrls(hints)])];
  const answers = await Promise.all(urls.map((url) => ask(pool, url, person)));
  const newest = answers
    .flatMap(({ events }) => events)
    .filter(({ pubkey, kind }) => pubkey === person && kind === RELAY_LIST)
    .sort((a, b) => b.created_at - a.created_at)
    // Checked last, and only until one is right: most relays have the same event.
    .find((event) => isGenuine(event));
  return {
    relays: newest && goodUrls(urlsIn(newest)),
    asked: urls,
    failures: answers.flatMap(({ url, reason }) => (reason === undefined ? [] : { url, reason })),
  };
}

/** The relays that were found. Throws a NoRelaysError that says in words why there are none. */
export function relaysIn({ relays, asked, failures }: RelayLookup): readonly string[] {
  if (relays !== undefined && relays.length > 0) return relays;
  const failed = failures.map(({ url, reason }) => `${url} (${reason})`).join(", ");
  if (relays !== undefined) {
    throw new NoRelaysError("the recipient's list of relays (kind 10050) names none that is one");
  }
  if (asked.length === 0) {
    throw new NoRelaysError("no relay is named that could know where the recipient receives");
  }
  if (failures.length === asked.length) {
    throw new NoRelaysError(`nobody could be asked where the recipient receives: ${failed}`);
  }
  throw new NoRelaysError(
    failures.length === 0
      ? "the recipient has published no relays to receive at (kind 10050), or not where it was looked for"
      : `no relay that answered knows where the recipient receives (kind 10050), and some could not be asked: ${failed}`,
  );
}

function urlsIn({ tags }: NostrEvent): string[] {
  return tags.flatMap(([name, url]) => (name === "relay" && url !== undefined ? [url] : []));
}

// The first of what is somebody else's writing. Its typing errors are passed over; the other relays are good.
function goodUrls(texts: readonly string[]): string[] {
  const relays = new Set<string>();
  for (const text of texts) {
    if (relays.size >= MAX_LISTED) break;
    try {
      relays.add(relayUrl(text));
    } catch {
      // Not one.
    }
  }
  return [...relays];
}

type Answer = {
  readonly url: string;
  readonly events: readonly NostrEvent[];
  /** Why it did not answer to the end. */
  readonly reason: string | undefined;
};

// What one relay has, up to its EOSE. A relay that never comes to one is not waited for.
function ask(pool: RelayPool, url: string, person: string): Promise<Answer> {
  const refusal = pool.refusalOf(url);
  if (refusal !== undefined) return Promise.resolve({ url, events: [], reason: refusal });
  const connection = pool.forDrops(url);
  return new Promise((resolve) => {
    const events: NostrEvent[] = [];
    const done = (reason?: string): void => {
      clearTimeout(timer);
      stop();
      resolve({ url, events, reason });
    };
    const timer = setTimeout(() => done(connection.failure), pool.patienceSeconds * 1_000);
    const filter = { kinds: [RELAY_LIST], authors: [person], limit: 1 };
    const stop = connection.subscribe([filter], {
      // A relay that sends more than was asked for is not listened to.
      event: (event) => events.length < MAX_LISTED && events.push(event),
      eose: () => done(),
      closed: (reason) => done(reason === "" ? "it ended the request" : reason),
    });
  });
}
