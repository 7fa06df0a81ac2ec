import { expiryOf } from "../nostr/drop.ts";
import type { NostrEvent } from "../nostr/event.ts";
import { DROP_KINDS, readBoxes } from "./reader.ts";
import type { KeyGroup, RelayPool } from "./relay-pool.ts";

/** What one relay holds for one. */
export type BoxStatus = {
  readonly url: string;
  readonly state: "complete" | "failed";
  readonly reason: string;
  readonly drops: number;
  /** Unix seconds: `created_at` of the oldest, which is up to two days before it was sent; undefined where there is none. */
  readonly oldest: number | undefined;
  /** Unix seconds: when the next one is forgotten; undefined where there is none, or the relay does not say how long it holds. */
  readonly nextExpiry: number | undefined;
};

/** Reads the boxes of all keys at one relay to their end, and counts. Never rejects: a relay that cannot be read has `failed`. */
export async function boxStatus(pool: RelayPool, url: string): Promise<BoxStatus> {
  const { rule } = await pool.informationOf(url);
  const drops = new Set<string>();
  let oldest = Infinity;
  let nextExpiry = Infinity;
  const count = (drop: NostrEvent): void => {
    drops.add(drop.id);
    oldest = Math.min(oldest, drop.created_at);
    const expiry = rule && expiryOf(drop, rule);
    if (typeof expiry === "number") nextExpiry = Math.min(nextExpiry, expiry);
  };
  const failures = await Promise.all(pool.groups.map((group) => readOnce(pool, url, group, count)));
  const reason = failures.find((failure) => failure !== undefined);
  return {
    url,
    state: reason === undefined ? "complete" : "failed",
    reason: reason ?? "",
    drops: drops.size,
    oldest: drops.size > 0 ? oldest : undefined,
    nextExpiry: nextExpiry === Infinity ? undefined : nextExpiry,
  };
}

// Answers why it could not; undefined when it was read to its end.
function readOnce(
  pool: RelayPool,
  url: string,
  group: KeyGroup,
  event: (drop: NostrEvent) => void,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    readBoxes(
      pool,
      { url, group, kinds: DROP_KINDS, isLive: false },
      {
        event,
        reading: () => {},
        complete: () => resolve(undefined),
        failed: resolve,
        over: () => resolve("given up"),
        isFull: () => false,
        room: async () => {},
      },
    );
  });
}
