import { expiryOf, recipientOf, untimely } from "../../src/nostr/drop.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import type { OwnUrl } from "../../src/nostr/own-url.ts";
import { isAddressedHere } from "../../src/nostr/vanish.ts";
import type { Fault } from "./fault.ts";

/** A drop that a small relay holds. */
export type Held = { event: NostrEvent; recipient: string; expiry: number; until: number };

type SmallBoxesParts = {
  readonly faults: ReadonlySet<Fault>;
  /** Unix seconds. */
  readonly now: () => number;
  readonly boxDrops: number;
  /** The names of the relay, for kind 62. */
  readonly urls: readonly OwnUrl[];
  /** Sends a drop to who listens, and answers how many there were. */
  readonly deliver: (held: Held) => number;
  /** Sends an event to every subscription that it matches. */
  readonly broadcast: (event: NostrEvent) => void;
};

export const RETENTION = 2_592_000;
export const BOX = 100;
const RULE = [{ upTo: Infinity, seconds: RETENTION }];
const EVICTION_BOX = 2;
const HAVE = "already have this event";

/** What a small relay holds and remembers: its drops, the tombstones, and what it should not have stored. */
export class SmallBoxes {
  readonly kept: NostrEvent[] = [];
  readonly acknowledged: Held[] = [];
  readonly #parts: SmallBoxesParts;
  readonly #drops = new Map<string, Held>();
  // From when on each holds: where there is a grace, that second.
  readonly #tombstones = new Map<string, number>();
  readonly #consumed = new Set<string>();

  constructor(parts: SmallBoxesParts) {
    this.#parts = parts;
  }

  get held(): Held[] {
    return [...this.#drops.values()];
  }

  /** What a recipient may still pick up. */
  of(recipient: string): NostrEvent[] {
    return this.held
      .filter((held) => held.recipient === recipient && this.#parts.now() < held.until)
      .map(({ event }) => event);
  }

  remove(id: string): void {
    this.#drops.delete(id);
  }

  /** Whether a signed event is accepted, and the reason, as in OK. */
  publish(event: NostrEvent): [accepted: boolean, reason: string] {
    const { faults } = this.#parts;
    if (event.kind === 20_221 || event.kind === 5) return this.#acknowledge(event);
    if (event.kind === 62) return this.#vanish(event);
    if (![4, 1059, 21_059].includes(event.kind)) {
      return faults.has("takes every kind") ? [true, ""] : [false, "blocked: not here"];
    }
    return this.#drop(event);
  }

  #drop(event: NostrEvent): [boolean, string] {
    const { faults } = this.#parts;
    let recipient = recipientOf(event);
    if (typeof recipient !== "string") {
      const [, first] = event.tags.find(([name]) => name === "p") ?? [];
      if (!faults.has("takes drops for two") || first === undefined)
        return [false, recipient.reason];
      recipient = first;
    }
    const tags = event.tags.filter(([name]) => name === "expiration");
    const read = faults.has("uses the last expiration tag")
      ? { ...event, tags: tags.slice(-1) }
      : event;
    let expiry = expiryOf(read, RULE);
    if (typeof expiry !== "number") {
      if (!faults.has("reads a malformed expiration as none")) return [false, expiry.reason];
      expiry = event.created_at + 172_800 + RETENTION;
    }
    const why = untimely(event.created_at, expiry, this.#parts.now());
    const isForgiven = faults.has(
      why === "invalid: expired" ? "takes what has expired" : "takes the distant future",
    );
    if (why !== undefined && !isForgiven) return [false, why];
    const held = { event, recipient, expiry, until: expiry };
    if (event.kind === 21_059) {
      const listeners = this.#parts.deliver(held);
      if (faults.has("stores kind 21059")) this.#drops.set(event.id, held);
      return faults.has("answers kind 21059 by presence")
        ? [true, listeners > 0 ? "" : "nobody listens"]
        : [true, ""];
    }
    if (this.#isAcknowledged(event.id, recipient)) {
      return [true, `duplicate: ${faults.has("tells acknowledged from held") ? "gone" : HAVE}`];
    }
    if (this.#drops.has(event.id)) return [true, `duplicate: ${HAVE}`];
    const box = this.held.filter((other) => other.recipient === recipient);
    if (faults.has("evicts the oldest") && box.length >= EVICTION_BOX) {
      const oldest = box.toSorted((a, b) => a.event.created_at - b.event.created_at)[0];
      if (oldest !== undefined) this.#drops.delete(oldest.event.id);
    } else if (box.length >= this.#parts.boxDrops) return [false, "rate-limited: mailbox full"];
    this.#drops.set(event.id, held);
    const isOld = event.created_at < this.#parts.now() - 600;
    if (!isOld || !faults.has("delivers live by created_at")) this.#parts.deliver(held);
    return [true, ""];
  }

  #isAcknowledged(id: string, recipient: string): boolean {
    const { faults, now } = this.#parts;
    const from = this.#tombstones.get(`${id} ${recipient}`) ?? Infinity;
    return !faults.has("forgets what was acknowledged") && from <= now();
  }

  #acknowledge(event: NostrEvent): [boolean, string] {
    const { faults, now } = this.#parts;
    const isMalformed = event.kind === 20_221 && !isAcknowledgement(event);
    if (isMalformed && !faults.has("accepts a malformed acknowledgement")) {
      return [false, "invalid: malformed acknowledgement"];
    }
    if (event.kind === 5 && faults.has("stores kind 5")) this.kept.push(event);
    if (event.kind === 20_221 && faults.has("stores acknowledgements")) this.kept.push(event);
    if (faults.has("broadcasts acknowledgements")) this.#parts.broadcast(event);
    const expiration = event.tags.find(([name]) => name === "grace" || name === "expiration")?.[1];
    const grace =
      event.kind === 20_221 && !faults.has("ignores the grace") ? expiration : undefined;
    let found = 0;
    for (const [name, id = ""] of event.tags) {
      if (name !== "e") continue;
      const held = this.#drops.get(id);
      if (held !== undefined) found++;
      if (!this.#mayDelete(event, held)) continue;
      const owner = held?.recipient ?? event.pubkey;
      if (held === undefined && faults.has("ignores an early acknowledgement")) continue;
      if (grace !== undefined && held !== undefined && Number(grace) > now()) {
        held.until = Math.min(held.until, Number(grace));
        if (faults.has("extends the expiry by the grace")) held.until = held.expiry = Number(grace);
        if (!faults.has("extends the expiry by the grace")) {
          // The tombstone begins where the grace ends; until then the drop itself answers.
          this.#tombstones.set(`${id} ${owner}`, Number(grace));
        }
        continue;
      }
      this.#tombstones.set(`${id} ${owner}`, now());
      this.#drops.delete(id);
      if (held !== undefined) this.acknowledged.push(held);
    }
    if (faults.has("refuses an acknowledgement of nothing") && found === 0) {
      return [false, "invalid: no such drop"];
    }
    return [true, ""];
  }

  #mayDelete(event: NostrEvent, held: Held | undefined): boolean {
    const { faults } = this.#parts;
    if (faults.has("obeys anybody's acknowledgement") && event.kind === 20_221) return true;
    if (faults.has("obeys kind 5 by a stranger") && event.kind === 5) return true;
    if (held === undefined || held.recipient === event.pubkey) {
      return event.kind !== 5 || !faults.has("ignores kind 5 by the recipient");
    }
    if (event.kind !== 5 || held.event.pubkey !== event.pubkey) return false;
    return held.event.kind === 4
      ? !faults.has("ignores kind 5 by the author of a message")
      : faults.has("obeys kind 5 by the author of a wrap");
  }

  #vanish(event: NostrEvent): [boolean, string] {
    const isHere = isAddressedHere(event, this.#parts.urls);
    if (!isHere && !this.#parts.faults.has("vanishes for other relays")) return [true, ""];
    if (this.#consumed.has(event.id) && !this.#parts.faults.has("vanishes again at a replay")) {
      return [true, ""];
    }
    this.#consumed.add(event.id);
    for (const [id, { event: drop, recipient }] of this.#drops) {
      if (recipient !== event.pubkey || drop.created_at > event.created_at) continue;
      this.#drops.delete(id);
      if (!this.#parts.faults.has("vanishes without tombstones")) {
        this.#tombstones.set(`${id} ${recipient}`, this.#parts.now());
      }
    }
    return [true, ""];
  }
}

export function now(): number {
  return Math.floor(Date.now() / 1_000);
}

function isAcknowledgement({ tags }: NostrEvent): boolean {
  const values = (wanted: string): string[] =>
    tags.filter(([name]) => name === wanted).map(([, value = ""]) => value);
  const ids = values("e");
  return (
    ids.length > 0 &&
    ids.length <= 100 &&
    ids.every((id) => /^[0-9a-f]{64}$/.test(id)) &&
    values("expiration").every((time) => /^\d+$/.test(time))
  );
}
