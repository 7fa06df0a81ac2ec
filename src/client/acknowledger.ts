// Acknowledges drops at all of one's relays (NIP-DD, kind 20221).
//
// - An acknowledgement is signed by the key that its drops are addressed to: another could not, and would tell the relay that both are one's own.
// - It goes into the outbox, which keeps it before it tells any relay.

import { CLOCK_SKEW_SECONDS, latestExpiry, longestRetention } from "../nostr/drop.ts";
import { GRACE, graceIn } from "../nostr/grace.ts";
import { ACKNOWLEDGEMENT } from "../nostr/kinds.ts";
import { mustBeHex, wholeSeconds } from "./arguments.ts";
import type { AcknowledgementReport, Outbox } from "./outbox.ts";
import type { AcknowledgementRecord } from "./outbox-store.ts";
import { ruleOf } from "./relay-information.ts";
import type { RelayPool } from "./relay-pool.ts";
import type { Runtime } from "./runtime.ts";
import type { SeenDrops } from "./seen-drops.ts";
import { signedBy } from "./signer.ts";
import type { Receiver } from "./unwrap.ts";

export type AcknowledgeOptions = {
  /** Leaves the drops to one's other devices for so many seconds. */
  readonly graceSeconds?: number;
  /** The key that the drops are addressed to; needed for drops that this client has not seen, when it has several keys. */
  readonly key?: string;
};

export type AcknowledgerParts = {
  readonly relays: readonly string[];
  readonly receivers: ReadonlyMap<string, Receiver>;
  readonly pool: RelayPool;
  readonly outbox: Outbox;
  readonly seenDrops: SeenDrops;
  readonly runtime: Runtime;
};

// A relay that does not say how long it holds: as long as dead drops do by default.
const USUAL_RULE = ruleOf(30 * 24 * 60 * 60);

export class Acknowledger {
  readonly #parts: AcknowledgerParts;

  constructor(parts: AcknowledgerParts) {
    this.#parts = parts;
  }

  /** Signs acknowledgements of these drops, tells all relays, and answers what each did, and the acknowledgements. */
  async acknowledge(
    ids: readonly string[],
    { key, graceSeconds }: AcknowledgeOptions,
  ): Promise<{ reports: AcknowledgementReport[]; records: AcknowledgementRecord[] }> {
    const { pool, relays, outbox, runtime } = this.#parts;
    // What was picked up before, by another process too, is what these ids are of.
    await outbox.loaded();
    const byAddress = this.#byAddress(ids, key);
    const at =
      graceSeconds === undefined
        ? undefined
        : runtime.now() + wholeSeconds(graceSeconds, "graceSeconds");
    const information = await Promise.all(relays.map((url) => pool.informationOf(url)));
    const most = Math.min(...information.map((each) => each.maxAcknowledgementIds));
    const retention = Math.max(
      ...information.map(({ rule = USUAL_RULE }) => longestRetention(rule)),
    );
    const records: AcknowledgementRecord[] = [];
    for (const [address, group] of byAddress) {
      const all = [...group];
      for (let next = 0; next < all.length; next += most) {
        const some = all.slice(next, next + most);
        records.push(await this.#sign(address, some, retention, at));
      }
    }
    const reports = await Promise.all(records.map((record) => outbox.acknowledge(record)));
    return { reports: leastOf(relays, reports.flat()), records };
  }

  /** Acknowledges a copy of a message that was acknowledged `before`: it goes when the message was said to go. */
  async acknowledgeCopy(id: string, address: string, before: AcknowledgementRecord): Promise<void> {
    const { outbox, runtime } = this.#parts;
    const grace = graceIn(before.event);
    const at = typeof grace === "number" ? grace : undefined;
    const retention = Math.max(before.until - runtime.now(), 0);
    await outbox.acknowledge(await this.#sign(address, [id], retention, at));
  }

  // A message may have come in several wraps; to have it is to have them all. Each is acknowledged by the key it came to.
  #byAddress(ids: readonly string[], key: string | undefined): Map<string, Set<string>> {
    const byAddress = new Map<string, Set<string>>();
    for (const id of ids) {
      mustBeHex(id, "id");
      const address = this.#addressOf(id, key);
      for (const copy of this.#parts.seenDrops.copiesOf(id)) {
        const own = copy === id ? address : this.#addressOf(copy, undefined);
        byAddress.set(own, (byAddress.get(own) ?? new Set()).add(copy));
      }
    }
    return byAddress;
  }

  #addressOf(id: string, given: string | undefined): string {
    const { receivers, seenDrops } = this.#parts;
    const [only, another] = receivers.keys();
    const address =
      given ?? seenDrops.get(id)?.address ?? (another === undefined ? only : undefined);
    if (address === undefined) {
      throw new RangeError(
        `drop ${id} was not seen here; say to which of the keys it is addressed`,
      );
    }
    if (!receivers.has(address)) throw new RangeError(`${address} is none of one's keys`);
    return address;
  }

  // `at`: when the drops are to go, Unix seconds; undefined: now.
  async #sign(
    address: string,
    ids: readonly string[],
    retentionSeconds: number,
    at: number | undefined,
  ): Promise<AcknowledgementRecord> {
    const { runtime, seenDrops, receivers, relays } = this.#parts;
    const now = runtime.now();
    const tags = ids.map((id) => ["e", id]);
    if (at !== undefined) tags.push([GRACE, String(at)]);
    const template = { kind: ACKNOWLEDGEMENT, created_at: now, tags, content: "" };
    const signer = receivers.get(address)?.address;
    if (signer === undefined) throw new RangeError(`${address} is none of one's keys`);
    const event = await signedBy(signer, template);
    const known = ids.map((id) => seenDrops.get(id));
    // A drop that was not seen may have been sent just now; one from the future is refused everywhere.
    const latest = latestExpiry(now + CLOCK_SKEW_SECONDS, ruleOf(retentionSeconds));
    const expiries = known.map((drop) => {
      const expiry = latestExpiry(drop?.created_at ?? now, ruleOf(retentionSeconds));
      return Math.min(expiry, drop?.expiration ?? Infinity, latest);
    });
    return {
      type: "acknowledgement",
      id: event.id,
      event,
      relays,
      messages: known.flatMap((drop) => drop?.message?.id ?? []),
      until: Math.max(...expiries),
    };
  }
}

// One report a relay, for several acknowledgements: the least that it has done.
function leastOf(
  urls: readonly string[],
  reports: readonly AcknowledgementReport[],
): AcknowledgementReport[] {
  const order: readonly AcknowledgementReport["state"][] = ["later", "kept", "done"];
  return urls.flatMap((url) => {
    const own = reports.filter((report) => report.url === url);
    return own.sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state)).slice(0, 1);
  });
}
