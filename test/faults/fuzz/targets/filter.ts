// A filter, and whether an event matches it (NIP-01): a pair of both.

import { matchFilter as matchOfNostrTools } from "nostr-tools";

import { parseEvent } from "../../../../src/nostr/event.ts";
import { matchesNothing, matchFilter, parseFilter } from "../../../../src/nostr/filter.ts";
import { isReason } from "../../../../src/nostr/reason.ts";
import { FILTERS, LIMITS, MATCHES_OF_NOSTR_TOOLS } from "../differences.ts";
import { isFilter, passes, type PlainEvent, type PlainFilter } from "../nip01.ts";
import { must, mustAgree, type Target } from "../target.ts";
import { plain, wireFilter } from "../written.ts";

const A = "a".repeat(64);
const B = "b".repeat(64);

function pair(filter: unknown, change: object = {}): string {
  const event = {
    id: A,
    pubkey: B,
    created_at: 5,
    kind: 1059,
    tags: [["p", A], ["e", B, "wss://x"], ["t"], ["t", "x", "y"], ["tt", "x"]],
    content: "",
    sig: A + B,
  };
  return JSON.stringify([filter, { ...event, ...change }]);
}

export const target: Target = {
  seeds: [
    pair({}),
    pair({ ids: [A, B], authors: [B], kinds: [4, 1059], since: 5, until: 5, limit: 0 }),
    pair({ "#p": [A], "#e": [B], "#t": ["x"] }),
    pair({ ids: [] }),
    pair({ kinds: [] }),
    pair({ "#t": [] }),
    pair({ "#t": [""] }),
    pair({ since: 6 }),
    pair({ until: 0 }, { created_at: 0 }),
    pair({ search: "x" }),
    pair({ until: 2 ** 64 }),
    pair([]),
  ],
  words: [
    `"${A}"`,
    `"${B}"`,
    '"#p":',
    '"ids":[]',
    '"kinds":',
    ",",
    "{",
    "[]",
    "18446744073709551615",
    "1e400",
  ],
  isJson: true,
  steps: { fixed: 1_000, perChar: 4 },
  check(text) {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return;
    }
    if (!Array.isArray(value)) return;
    const [given, candidate] = value as unknown[];
    const filter = parseFilter(given, LIMITS.filterValues);
    mustAgree(
      { ours: !isReason(filter), theirs: isFilter(given), value: given },
      FILTERS,
      "NIP-01",
    );
    if (isReason(filter)) return;
    const again = parseFilter(wireFilter(filter), LIMITS.filterValues);
    must(plain(again) === plain(filter), "written and read again it is another filter");

    const event = parseEvent(candidate);
    if (isReason(event)) return;
    const ours = matchFilter(filter, event);
    must(!(ours && matchesNothing(filter)), "an event matches what nothing matches");
    const [wire, copy] = [given as PlainFilter, candidate as PlainEvent];
    mustAgree({ ours, theirs: passes(copy, wire), value }, [], "NIP-01");
    mustAgree(
      { ours, theirs: matchOfNostrTools(wire as never, copy), value },
      MATCHES_OF_NOSTR_TOOLS,
      "nostr-tools",
    );
  },
};
