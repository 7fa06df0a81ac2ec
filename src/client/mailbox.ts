import { CLOCK_SKEW_SECONDS, expiryOf, latestExpiry, parseExpiration } from "../nostr/drop.ts";
import { type NostrEvent, tagValue } from "../nostr/event.ts";
import { ACKNOWLEDGEMENT, DIRECT_MESSAGE, GIFT_WRAP } from "../nostr/kinds.ts";
import { type Brought, Collection, type PickedUp } from "./collection.ts";
import { ruleOf } from "./information.ts";
import type { Links } from "./links.ts";
import { MAX_REMEMBERED, type Memory } from "./memory.ts";
import type { AcknowledgementRecord, AcknowledgementReport, Outbox } from "./outbox.ts";
import { readBoxes, type ReaderEvents } from "./reader.ts";
import { messagesIn } from "./receipts.ts";
import { mustBeHex } from "./signer.ts";
import { addressOf, type Chance, hasOwnId, open, type Receiver, wholeSeconds } from "./wrap.ts";

export type CollectOptions = {
  readonly signal?: AbortSignal;
  /** Default: gift wraps and old messages of kind 4. */
  readonly kinds?: readonly number[];
};

export type AcknowledgeOptions = {
  /** Leaves the drops to one's other devices for so many seconds. */
  readonly graceSeconds?: number;
  /** The key that the drops are addressed to; needed for drops that this client has not seen, when it has several keys. */
  readonly key?: string;
};

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

export type MailboxParts = {
  readonly relays: readonly string[];
  readonly receivers: ReadonlyMap<string, Receiver>;
  readonly links: Links;
  readonly outbox: Outbox;
  readonly memory: Memory;
  readonly chance: Chance;
};

const DEFAULT_KINDS = [GIFT_WRAP, DIRECT_MESSAGE];
// A relay that does not say how long it holds: as long as dead drops do by default.
const USUAL_RETENTION_SECONDS = 30 * 24 * 60 * 60;

/** One's boxes at all of one's relays, seen as one. */
export class Mailbox {
  readonly #parts: MailboxParts;

  constructor(parts: MailboxParts) {
    this.#parts = parts;
  }

  collect({ signal, kinds = DEFAULT_KINDS }: CollectOptions, isLive: boolean): Collection {
    const given = new Set<string>();
    return new Collection({
      signal,
      open: (brought) => this.#open(brought, given),
      start: (collection) => this.#start(collection, kinds, isLive),
    });
  }

  /** Signs acknowledgements of these drops, tells all relays, and answers what each did, and the acknowledgements. */
  async acknowledge(
    ids: readonly string[],
    { key, graceSeconds }: AcknowledgeOptions,
  ): Promise<{ reports: AcknowledgementReport[]; records: AcknowledgementRecord[] }> {
    const { links, relays, memory, outbox } = this.#parts;
    const byAddress = new Map<string, Set<string>>();
    for (const id of ids) {
      mustBeHex(id, "id");
      const address = this.#addressOf(id, key);
      // A message may have come in several wraps; to have it is to have them all. Each is acknowledged by the key it came to: another could not, and would
      // tell the relay that both are one's own.
      for (const copy of memory.copiesOf(id)) {
        const own = copy === id ? address : this.#addressOf(copy, undefined);
        byAddress.set(own, (byAddress.get(own) ?? new Set()).add(copy));
      }
    }
    const at =
      graceSeconds === undefined
        ? undefined
        : this.#parts.chance.now() + wholeSeconds(graceSeconds, "graceSeconds");
    const facts = await Promise.all(relays.map((url) => links.factsOf(url)));
    const most = Math.min(...facts.map(({ maxAcknowledgementIds }) => maxAcknowledgementIds));
    const retention = Math.max(
      ...facts.map(({ retentionSeconds = USUAL_RETENTION_SECONDS }) => retentionSeconds),
    );
    const records: AcknowledgementRecord[] = [];
    for (const [address, group] of byAddress) {
      const all = [...group];
      for (let next = 0; next < all.length; next += most) {
        const some = all.slice(next, next + most);
        records.push(await this.#acknowledgement(address, some, retention, at));
      }
    }
    const reports = await Promise.all(records.map((record) => outbox.acknowledge(record)));
    return { reports: leastOf(relays, reports.flat()), records };
  }

  async status(url: string): Promise<BoxStatus> {
    const { links } = this.#parts;
    const { retentionSeconds } = await links.factsOf(url);
    let drops = 0;
    let oldest = Infinity;
    let nextExpiry = Infinity;
    const event = (drop: NostrEvent): void => {
      drops += 1;
      oldest = Math.min(oldest, drop.created_at);
      const expiry =
        retentionSeconds === undefined ? undefined : expiryOf(drop, ruleOf(retentionSeconds));
      if (typeof expiry === "number") nextExpiry = Math.min(nextExpiry, expiry);
    };
    const failures = await Promise.all(
      links.groups.map(
        (addresses) =>
          new Promise<string | undefined>((resolve) => {
            this.#read(url, addresses, DEFAULT_KINDS, false, {
              event,
              complete: () => resolve(undefined),
              failed: resolve,
              over: () => resolve("given up"),
              isFull: () => false,
              room: async () => {},
            });
          }),
      ),
    );
    const reason = failures.find((failure) => failure !== undefined);
    return {
      url,
      state: reason === undefined ? "complete" : "failed",
      reason: reason ?? "",
      drops,
      oldest: drops > 0 ? oldest : undefined,
      nextExpiry: nextExpiry === Infinity ? undefined : nextExpiry,
    };
  }

  #start(collection: Collection, kinds: readonly number[], isLive: boolean): () => void {
    const { outbox } = this.#parts;
    let stop: (() => void) | undefined;
    let isStopped = false;
    const begin = async (): Promise<void> => {
      // What was acknowledged is not brought again, so what was acknowledged has to be known first.
      await outbox.loaded();
      if (isStopped) return;
      stop = this.#readAll(collection, kinds, isLive);
      // What cannot be told now is told later.
      void outbox.flush().catch(() => {});
    };
    begin().catch((error: unknown) => {
      for (const url of this.#parts.relays) {
        collection.report(url, "failed", `the outbox: ${(error as Error).message}`);
      }
      collection.end();
    });
    return () => {
      isStopped = true;
      stop?.();
    };
  }

  #readAll(collection: Collection, kinds: readonly number[], isLive: boolean): () => void {
    const { relays, links } = this.#parts;
    const seen = new Set<string>();
    const left = new Set<object>();
    const stops: (() => void)[] = [];
    for (const url of relays) {
      // The boxes of this relay that were not read to their end yet.
      const open = new Set<object>();
      collection.report(url, "reading");
      for (const addresses of links.groups) {
        open.add(addresses);
        const reader = {};
        left.add(reader);
        const told: ReaderEvents = {
          event(drop) {
            if (seen.has(drop.id)) return;
            if (seen.size >= MAX_REMEMBERED) seen.clear();
            seen.add(drop.id);
            collection.bring({ drop, relay: url });
          },
          complete() {
            open.delete(addresses);
            if (open.size === 0) collection.report(url, "complete");
          },
          failed(why) {
            open.add(addresses);
            collection.report(url, "failed", why);
          },
          over() {
            left.delete(reader);
            if (left.size === 0) collection.end();
          },
          isFull: () => collection.isFull,
          room: () => collection.room(),
        };
        stops.push(this.#read(url, addresses, kinds, isLive, told));
      }
    }
    if (relays.length === 0) collection.end();
    return () => {
      for (const stop of stops) stop();
    };
  }

  #read(
    url: string,
    addresses: readonly string[],
    kinds: readonly number[],
    isLive: boolean,
    told: ReaderEvents,
  ): () => void {
    const { links, receivers } = this.#parts;
    const { patienceSeconds, retrySeconds } = links;
    const link = links.toPickUp(url, addresses[0] ?? "");
    const own = addresses.some((key) => receivers.get(key)?.identity.key === key);
    // NIP-RK: nobody sends kind 4 to a receiving key.
    const wanted = own ? kinds : kinds.filter((kind) => kind !== DIRECT_MESSAGE);
    return readBoxes(
      link,
      { kinds: wanted, addresses, isLive, patienceSeconds, retrySeconds },
      told,
    );
  }

  // Answers undefined for what the caller has stored already, or was given already.
  async #open({ drop, relay }: Brought, given: Set<string>): Promise<PickedUp | undefined> {
    const { outbox, receivers, memory } = this.#parts;
    const { id, created_at } = drop;
    const expiration = parseExpiration(tagValue(drop, "expiration"));
    // What a relay that keeps everything still shows is over all the same.
    if (expiration !== undefined && expiration <= this.#parts.chance.now()) return undefined;
    if (outbox.acknowledgementOf(id) !== undefined) return undefined;
    const address = addressOf(drop);
    const receiver = receivers.get(address ?? "");
    // Not what was asked for, or not what it says it is: a relay that errs or lies.
    if (address === undefined || receiver === undefined || !hasOwnId(drop)) return undefined;
    const opened = await open(drop, receiver);
    if ("why" in opened) {
      memory.remember(id, { created_at, expiration, address, message: undefined });
      return { type: "unreadable", id, why: opened.why, drop, relay };
    }
    const { message } = opened;
    const from = message.pubkey;
    const told = messagesIn(message);
    const of = { id: message.id, from, isReceipt: told !== undefined };
    memory.remember(id, { created_at, expiration, address, message: of });
    const before = outbox.acknowledgementOf(message.id);
    if (before !== undefined) {
      // Another copy of what the caller has stored already. Should this fail, the copy is met again at the next pickup.
      void this.#acknowledgeCopy(id, address, before).catch(() => {});
      return undefined;
    }
    if (given.has(message.id)) return undefined;
    if (given.size >= MAX_REMEMBERED) given.clear();
    given.add(message.id);
    const common = { id, from, to: address, relay };
    return told === undefined
      ? { type: "message", ...common, message }
      : { type: "receipt", ...common, messages: told };
  }

  #addressOf(id: string, given: string | undefined): string {
    const { receivers, memory } = this.#parts;
    const [only, another] = receivers.keys();
    const address = given ?? memory.get(id)?.address ?? (another === undefined ? only : undefined);
    if (address === undefined) {
      throw new RangeError(
        `drop ${id} was not seen here; say to which of the keys it is addressed`,
      );
    }
    if (!receivers.has(address)) throw new RangeError(`${address} is none of one's keys`);
    return address;
  }

  // The copy goes when the message was said to go.
  async #acknowledgeCopy(
    id: string,
    address: string,
    before: AcknowledgementRecord,
  ): Promise<void> {
    const at = parseExpiration(tagValue(before.event, "expiration"));
    const retention = Math.max(before.until - this.#parts.chance.now(), 0);
    await this.#parts.outbox.acknowledge(await this.#acknowledgement(address, [id], retention, at));
  }

  // `at`: when the drops are to go, Unix seconds; undefined: now.
  async #acknowledgement(
    address: string,
    ids: readonly string[],
    retentionSeconds: number,
    at: number | undefined,
  ): Promise<AcknowledgementRecord> {
    const { chance, memory, receivers, relays } = this.#parts;
    const now = chance.now();
    const tags = ids.map((id) => ["e", id]);
    if (at !== undefined) tags.push(["expiration", String(at)]);
    const template = { kind: ACKNOWLEDGEMENT, created_at: now, tags, content: "" };
    const event = await receivers.get(address)?.address.sign(template);
    if (event === undefined) throw new RangeError(`${address} is none of one's keys`);
    const known = ids.map((id) => memory.get(id));
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
  const order: readonly AcknowledgementReport["state"][] = ["later", "refused", "done"];
  return urls.flatMap((url) => {
    const own = reports.filter((report) => report.url === url);
    return own.sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state)).slice(0, 1);
  });
}
