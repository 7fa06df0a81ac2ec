import { type NostrEvent } from "../nostr/event.ts";
import { isGenuine } from "./genuine.ts";
import type { RelayConnection } from "./relay-connection.ts";
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

/** The relays in the newest kind 10050 list that the given relays have of this person; undefined when none has one. */
export async function lookUpRelays(
  person: string,
  connections: readonly RelayConnection[],
  patienceSeconds: number,
): Promise<string[] | undefined> {
  const found = (
    await Promise.all(connections.map((connection) => ask(connection, person, patienceSeconds)))
  ).flat();
  const newest = found
    .filter(({ pubkey, kind }) => pubkey === person && kind === RELAY_LIST)
    .sort((a, b) => b.created_at - a.created_at)
    // Checked last, and only until one is right: most relays have the same event.
    .find((event) => isGenuine(event));
  return newest && listedIn(newest);
}

function listedIn(list: NostrEvent): string[] {
  const relays = new Set<string>();
  for (const [name, url = ""] of list.tags) {
    if (name !== "relay" || relays.size >= MAX_LISTED) continue;
    try {
      relays.add(relayUrl(url));
    } catch {
      // Somebody else's typing error; the other relays are good.
    }
  }
  return [...relays];
}

// What one relay has, up to its EOSE. A relay that never comes to one is not waited for.
function ask(
  connection: RelayConnection,
  person: string,
  patienceSeconds: number,
): Promise<NostrEvent[]> {
  return new Promise((resolve) => {
    const events: NostrEvent[] = [];
    const done = (): void => {
      clearTimeout(timer);
      stop();
      resolve(events);
    };
    const timer = setTimeout(done, patienceSeconds * 1_000);
    const filter = { kinds: [RELAY_LIST], authors: [person], limit: 1 };
    const stop = connection.subscribe([filter], {
      // A relay that sends more than was asked for is not listened to.
      event: (event) => events.length < MAX_LISTED && events.push(event),
      eose: done,
      closed: done,
    });
  });
}
