import { expiryOf, recipientOf, type RetentionRule, untimely } from "../../src/nostr/drop.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import type { OwnUrl } from "../../src/nostr/own-url.ts";
import { isAddressedHere } from "../../src/nostr/vanish.ts";
import type { Fault } from "./fault.ts";
import { malformed, valuesOf } from "./small-acknowledgement.ts";
import type { SmallRules } from "./small-rules.ts";

/** A drop that a small relay holds. */
export type Held = { event: NostrEvent; recipient: string; expiry: number; until: number };

type Outcome = [accepted: boolean, reason: string];

type SmallBoxesParts = {
  readonly faults: ReadonlySet<Fault>;
  readonly rules: SmallRules;
  /** Unix seconds. */
  readonly now: () => number;
  /** The names of the relay, for kind 62. */
  readonly urls: readonly OwnUrl[];
  /** Sends a drop to who listens, and answers how many there were. */
  readonly deliver: (held: Held) => number;
  /** Sends an event to every subscription that it matches. */
  readonly broadcast: (event: NostrEvent) => void;
};

const EVICTION_BOX = 2;
const FUZZ = 172_800;
const SKEW = 900;
const DAY = 86_400;
const HAVE = "already have this event";

/** What a small relay holds and remembers: its drops, the tombstones, and what it should not have stored. */
export class SmallBoxes {
  readonly kept: NostrEvent[] = [];
  readonly acknowledged: Held[] = [];
  readonly #parts: SmallBoxesParts;
  readonly #rule: RetentionRule;
  readonly #drops = new Map<string, Held>();
  // From when on each holds: where there is a grace, that second.
  readonly #tombstones = new Map<string, number>();
  // Ids that were acknowledged and have not come, by who acknowledged them.
  readonly #unseen = new Map<string, Set<string>>();
  readonly #consumed = new Set<string>();

  constructor(parts: SmallBoxesParts) {
    this.#parts = parts;
    const { formerRetentions, retention } = parts.rules;
    const former = parts.faults.has("forgets former retentions") ? [] : formerRetentions;
    this.#rule = [
      ...former.map(({ until, retention: seconds }) => ({ upTo: until, seconds })),
      { upTo: Infinity, seconds: retention },
    ];
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

  /** Whether somebody has acknowledged this drop, which has not come. */
  isExpected({ id }: NostrEvent): boolean {
    return [...this.#unseen.values()].some((ids) => ids.has(id));
  }

  /** Forgets that somebody has. */
  forget({ id }: NostrEvent): void {
    for (const ids of this.#unseen.values()) ids.delete(id);
  }

  /** Whether a signed event is accepted, and the reason, as in OK. */
  publish(event: NostrEvent): Outcome {
    const { faults, rules } = this.#parts;
    if (event.kind === 20_221 || event.kind === 5) return this.#acknowledge(event);
    if (event.kind === 62) return this.#vanish(event);
    if (event.kind === 22_242 && faults.has("broadcasts an AUTH that is published")) {
      this.#parts.broadcast(event);
      return [true, ""];
    }
    if (![...rules.kinds, 21_059].includes(event.kind)) {
      return faults.has("takes every kind") ? [true, ""] : [false, "blocked: not here"];
    }
    return this.#drop(event);
  }

  #drop(event: NostrEvent): Outcome {
    const { faults, rules, now } = this.#parts;
    let recipient = recipientOf(event);
    if (typeof recipient !== "string") {
      const [, first] = event.tags.find(([name]) => name === "p") ?? [];
      if (!faults.has("takes drops for two") || first === undefined)
        return [false, recipient.reason];
      recipient = first;
    }
    const isEphemeral = event.kind === 21_059;
    const expiry = this.#expiryOf(event);
    const isTimeless = isEphemeral && faults.has("takes kind 21059 at any time");
    const isGone = this.#isAcknowledged(`${event.id} ${recipient}`);
    if (isGone && faults.has("answers an acknowledged drop after its expiry")) {
      return [true, `duplicate: ${HAVE}`];
    }
    if (!isTimeless) {
      if (typeof expiry === "string") return [false, expiry];
      const why = this.#untimely(event, expiry);
      if (why !== undefined) return [false, why];
    }
    const until = Number(expiry);
    const held = { event, recipient, expiry: until, until };
    if (isEphemeral) return this.#passOn(held);
    const key = `${event.id} ${recipient}`;
    const isAnybodys = faults.has("remembers unseen ids for everybody");
    const unseen = isAnybodys
      ? [...this.#unseen.values()].find((ids) => ids.has(event.id))
      : this.#unseen.get(recipient);
    if (unseen?.has(event.id) === true) {
      unseen.delete(event.id);
      this.#tombstones.set(key, now());
      return faults.has("tells that a drop was acknowledged before it came")
        ? [true, `duplicate: ${HAVE}`]
        : [true, rules.welcome];
    }
    if (!faults.has("forgets what was acknowledged") && this.#isAcknowledged(key)) {
      return [true, `duplicate: ${faults.has("tells acknowledged from held") ? "gone" : HAVE}`];
    }
    if (this.#drops.has(event.id)) {
      return [!faults.has("refuses what it holds"), `duplicate: ${HAVE}`];
    }
    const box = this.held.filter((other) => other.recipient === recipient);
    if (faults.has("evicts the oldest") && box.length >= EVICTION_BOX) {
      const oldest = box.toSorted((a, b) => a.event.created_at - b.event.created_at)[0];
      if (oldest !== undefined) this.#drops.delete(oldest.event.id);
    } else if (box.length >= rules.boxDrops) return [false, "rate-limited: mailbox full"];
    this.#drops.set(event.id, held);
    const isOld = event.created_at < now() - 600;
    if (!isOld || !faults.has("delivers live by created_at")) this.#parts.deliver(held);
    return [true, rules.welcome];
  }

  #passOn(held: Held): Outcome {
    const { faults } = this.#parts;
    const listeners = this.#parts.deliver(held);
    if (faults.has("stores kind 21059")) this.#drops.set(held.event.id, held);
    return faults.has("answers kind 21059 by presence")
      ? [true, listeners > 0 ? "" : "nobody listens"]
      : [true, ""];
  }

  #expiryOf(event: NostrEvent): number | string {
    const { faults, rules } = this.#parts;
    const tags = event.tags.filter(([name]) => name === "expiration");
    const isLast = faults.has("uses the last expiration tag");
    const expiry = expiryOf(isLast ? { ...event, tags: tags.slice(-1) } : event, this.#rule);
    if (typeof expiry === "number") return expiry;
    if (!faults.has("reads a malformed expiration as none")) return expiry.reason;
    return event.created_at + FUZZ + rules.retention;
  }

  #untimely({ kind, created_at }: NostrEvent, expiry: number | string): string | undefined {
    const { faults, now } = this.#parts;
    const isOld = kind === 21_059 && created_at < now() - DAY;
    if (isOld && faults.has("refuses kind 21059 from yesterday")) return "invalid: too old";
    const why = untimely(created_at, Number(expiry), now());
    const isForgiven = faults.has(
      why === "invalid: expired" ? "takes what has expired" : "takes the distant future",
    );
    return isForgiven ? undefined : why;
  }

  #isAcknowledged(key: string): boolean {
    return (this.#tombstones.get(key) ?? Infinity) <= this.#parts.now();
  }

  #acknowledge(event: NostrEvent): Outcome {
    const { faults, rules, now } = this.#parts;
    const why = malformed(event, rules.maxAcknowledgementIds, faults);
    if (why !== undefined) return [false, why];
    const window = FUZZ + SKEW + rules.retention;
    const age = now() - event.created_at;
    if (age > DAY && faults.has("ignores old acknowledgements")) return [true, ""];
    const isYoung = age <= (faults.has("forgets unseen ids after a day") ? DAY : window);
    const isCounted = isYoung || faults.has("remembers unseen ids of old acknowledgements");
    const ids = this.#applied(valuesOf(event, "e"));
    const isAgain = ids.some((id) => this.#isAcknowledged(`${id} ${event.pubkey}`));
    if (isAgain && faults.has("refuses what is acknowledged twice")) {
      return [false, "invalid: acknowledged already"];
    }
    const unseen = ids.filter((id) => this.#isUnseen(event, id));
    const known = this.#unseen.get(event.pubkey)?.size ?? 0;
    const isTooMany = isCounted && known + unseen.length > rules.maxEarlyAcknowledgements;
    if (isTooMany && !faults.has("forgets unseen ids beyond its bound")) {
      return [false, "rate-limited: too many unseen ids"];
    }
    if (event.kind === 5 && faults.has("stores kind 5")) this.kept.push(event);
    if (event.kind === 20_221 && faults.has("stores acknowledgements")) this.kept.push(event);
    if (faults.has("broadcasts acknowledgements")) this.#parts.broadcast(event);
    const isAnyHeld = ids.some((id) => this.#drops.has(id));
    const isIgnored = event.kind === 5 && faults.has("ignores kind 5 by the recipient");
    if (isCounted && !isTooMany && !isIgnored) this.#remember(event.pubkey, unseen);
    for (const id of ids) this.#delete(event, id);
    return faults.has("refuses an acknowledgement of nothing") && !isAnyHeld
      ? [false, "invalid: no such drop"]
      : [true, ""];
  }

  // The ids of an acknowledgement that count.
  #applied(ids: readonly string[]): readonly string[] {
    const { faults } = this.#parts;
    if (faults.has("applies half of an acknowledgement")) {
      return ids.slice(0, Math.ceil(ids.length / 2));
    }
    const stranger = ids.findIndex((id) => !this.#drops.has(id));
    const isStopped = faults.has("stops at an id it does not hold") && stranger >= 0;
    return isStopped ? ids.slice(0, stranger + 1) : ids;
  }

  // What is in somebody else's box is as unknown to the signer as what is in none.
  #isUnseen({ pubkey }: NostrEvent, id: string): boolean {
    return this.#drops.get(id)?.recipient !== pubkey && !this.#tombstones.has(`${id} ${pubkey}`);
  }

  #remember(signer: string, ids: readonly string[]): void {
    const { faults } = this.#parts;
    if (faults.has("ignores an early acknowledgement")) return;
    const unseen = this.#unseen.get(signer) ?? new Set();
    const isOne = faults.has("remembers one unseen id of an acknowledgement");
    for (const id of isOne ? ids.slice(0, 1) : ids) unseen.add(id);
    this.#unseen.set(signer, unseen);
  }

  #delete(event: NostrEvent, id: string): void {
    const { faults, now } = this.#parts;
    const held = this.#drops.get(id);
    if (held === undefined || !this.#mayDelete(event, held)) return;
    const key = `${id} ${held.recipient}`;
    const graces = this.#gracesOf(event);
    const isLatest = faults.has("lets the latest grace hold");
    const grace = isLatest ? Math.max(...graces) : Math.min(...graces);
    if (graces.length > 0 && grace > now() && (this.#tombstones.get(key) ?? Infinity) > now()) {
      const isGraced = this.#tombstones.has(key);
      held.until = isLatest && isGraced ? Math.max(held.until, grace) : Math.min(held.until, grace);
      if (faults.has("extends the expiry by the grace")) held.until = held.expiry = grace;
      // The tombstone begins where the grace ends; until then the drop itself answers.
      else this.#tombstones.set(key, held.until);
      return;
    }
    this.#tombstones.set(key, now());
    this.#drops.delete(id);
    this.acknowledged.push(held);
  }

  #gracesOf(event: NostrEvent): readonly number[] {
    const { faults } = this.#parts;
    const graces = valuesOf(event, "grace").map(Number);
    if (faults.has("ignores the grace")) return [];
    if (event.kind === 20_221) return graces;
    if (faults.has("ignores the grace of a kind 5")) return [];
    return faults.has("takes the expiration of a kind 5 for a grace")
      ? [...graces, ...valuesOf(event, "expiration").map(Number)]
      : graces;
  }

  #mayDelete(event: NostrEvent, held: Held): boolean {
    const { faults, rules } = this.#parts;
    if (faults.has("obeys anybody's acknowledgement") && event.kind === 20_221) return true;
    if (faults.has("obeys kind 5 by a stranger") && event.kind === 5) return true;
    if (held.recipient === event.pubkey) {
      return event.kind !== 5 || !faults.has("ignores kind 5 by the recipient");
    }
    if (event.kind !== 5 || held.event.pubkey !== event.pubkey) return false;
    return held.event.kind === 4
      ? !faults.has("ignores kind 5 by the author of a message")
      : rules.authorDeletesWraps || faults.has("obeys kind 5 by the author of a wrap");
  }

  #vanish(event: NostrEvent): Outcome {
    const { faults, now, urls } = this.#parts;
    const isHere = isAddressedHere(event, urls);
    if (!isHere && !faults.has("vanishes for other relays")) {
      return faults.has("accepts a kind 62 for other relays")
        ? [true, ""]
        : [false, "invalid: names another relay"];
    }
    const isAhead = event.created_at > now() + SKEW;
    if (isAhead && !faults.has("vanishes ahead of time")) return [false, "invalid: in the future"];
    if (this.#consumed.has(event.id) && !faults.has("vanishes again at a replay")) {
      return [true, ""];
    }
    this.#consumed.add(event.id);
    if (faults.has("only remembers who vanishes")) return [true, ""];
    for (const [id, { event: drop, recipient }] of this.#drops) {
      const isWritten = drop.kind === 4 && drop.pubkey === event.pubkey;
      const isGone =
        recipient === event.pubkey || (isWritten && !faults.has("keeps what who vanishes wrote"));
      if (!isGone || drop.created_at > event.created_at) continue;
      this.#drops.delete(id);
      if (!faults.has("vanishes without tombstones")) {
        this.#tombstones.set(`${id} ${recipient}`, now());
      }
    }
    return [true, ""];
  }
}

export function now(): number {
  return Math.floor(Date.now() / 1_000);
}
