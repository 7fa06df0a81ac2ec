import { expiryOf } from "../nostr/drop.ts";
import { type NostrEvent, parseEvent } from "../nostr/event.ts";
import { isHex32 } from "../nostr/hex.ts";
import { isReason } from "../nostr/reason.ts";
import { type RelayFacts, ruleOf } from "./information.ts";
import type { Answer, Link } from "./link.ts";
import type { Chance } from "./wrap.ts";

/** What one relay said to a drop. */
export type DeliveryReport = {
  readonly url: string;
  /**
   * `waiting`: no answer yet. `held`: on its disk. `known`: it had the drop already, or its recipient acknowledged it: which of the two it does not
   * say. `refused`, `unreachable`: not there, for `reason`.
   */
  readonly state: "waiting" | "held" | "known" | "refused" | "unreachable";
  readonly reason: string;
  /** Unix seconds; undefined while it is not held, and for a relay that does not say how long it holds. */
  readonly heldUntil: number | undefined;
};

/** A delivery to be gone on with later, by `DeadDrop.resume`: JSON, without the text of the message. */
export type SavedDelivery = {
  readonly message: string;
  readonly quorum: number;
  readonly parcels: readonly Addressed[];
};

/** What one relay gets, or `why` it gets nothing; and that it has it already, if so. */
export type Addressed = {
  readonly url: string;
  readonly wrap?: NostrEvent;
  readonly why?: string;
  readonly had?: Pick<DeliveryReport, "state" | "reason" | "heldUntil">;
};

/** Throws a TypeError unless the value is what `Delivery.save` made. */
export function mustBeSaved({ message, quorum, parcels }: SavedDelivery): void {
  const isParcel = ({ url, wrap }: Addressed): boolean =>
    typeof url === "string" && (wrap === undefined || !isReason(parseEvent(wrap)));
  const isSaved =
    isHex32(message) &&
    Number.isInteger(quorum) &&
    Array.isArray(parcels) &&
    (parcels as Addressed[]).every((parcel) => isParcel(Object(parcel) as Addressed));
  if (!isSaved) throw new TypeError("that is no saved delivery");
}

export type DeliveryParts = {
  readonly linkTo: (url: string) => Link;
  readonly factsOf: (url: string) => Promise<RelayFacts>;
  /** Makes the same wrap with more proof of work; undefined when that is not to be had. */
  readonly mineAgain: (url: string, bits: number) => Promise<NostrEvent | undefined>;
  readonly chance: Chance;
};

export type DeliverySettings = {
  readonly message: string;
  readonly quorum: number;
  /** How long a relay that asks to be asked later is asked again, seconds. */
  readonly patienceSeconds: number;
  readonly signal: AbortSignal | undefined;
  readonly progress: ((delivery: Delivery) => void) | undefined;
};

type Parcel = { readonly url: string; wrap: NostrEvent | undefined; report: DeliveryReport };

const FIRST_PAUSE_SECONDS = 1;
const MAX_BITS = 256;

/**
 * A message on its way to the recipient's relays. What is retried is the same event, byte for byte, so that a relay that had it knows it; one that
 * asks for more proof of work gets the same message in a new wrap, which the recipient's client merges by the id of the message inside.
 */
export class Delivery {
  /** The id of the message inside. */
  readonly message: string;
  /** So many relays must hold the drop. */
  readonly quorum: number;
  readonly #parts: DeliveryParts;
  readonly #settings: DeliverySettings;
  readonly #parcels: readonly Parcel[];
  #settled: Promise<unknown> = Promise.resolve();
  #decided: (() => void)[] = [];

  constructor(parts: DeliveryParts, addressed: readonly Addressed[], settings: DeliverySettings) {
    this.#parts = parts;
    this.#settings = settings;
    this.message = settings.message;
    this.quorum = settings.quorum;
    this.#parcels = addressed.map(({ url, wrap, why = "", had }) => {
      const state = wrap === undefined ? "refused" : "waiting";
      return { url, wrap, report: { url, state, reason: why, heldUntil: undefined, ...had } };
    });
  }

  /** Relay by relay, as it is now. */
  get reports(): readonly DeliveryReport[] {
    return this.#parcels.map(({ report }) => report);
  }

  /** Whether as many relays hold the drop as must. */
  get isDelivered(): boolean {
    return this.#accepted >= this.quorum;
  }

  /** Whether it is delivered, or could be by `retry`: enough relays hold it, or were not there, or may have room another time. */
  get mayArrive(): boolean {
    const open = this.#parcels.filter(({ report }) => mayAccept(report)).length;
    return this.#accepted + open >= this.quorum;
  }

  /** Resolves when every relay has answered or was given up. */
  async settled(): Promise<this> {
    await this.#settled;
    return this;
  }

  /** The wraps, by relay. */
  get wraps(): ReadonlyMap<string, NostrEvent> {
    const wraps = new Map<string, NostrEvent>();
    for (const { url, wrap } of this.#parcels) if (wrap !== undefined) wraps.set(url, wrap);
    return wraps;
  }

  /** Publishes to every relay that has not accepted. Resolves when enough have, or when all have answered; the rest goes on. Never rejects. */
  async retry(): Promise<this> {
    const open = this.#parcels.filter(({ wrap, report }) => wrap && !isAccepted(report));
    for (const parcel of open) this.#report(parcel, "waiting");
    const all = Promise.all(
      open.map((parcel) =>
        this.#carry(parcel).catch((error: unknown) => {
          this.#report(parcel, "unreachable", (error as Error).message);
        }),
      ),
    );
    this.#settled = Promise.all([this.#settled, all]);
    await Promise.race([all, this.#decision()]);
    return this;
  }

  /** What `DeadDrop.resume` needs to go on with the relays that have not accepted. */
  save(): SavedDelivery {
    const { message, quorum } = this;
    const parcels = this.#parcels.map(({ url, wrap, report }): Addressed => {
      if (wrap === undefined) return { url, why: report.reason };
      const { state, reason, heldUntil } = report;
      return isAccepted(report) ? { url, wrap, had: { state, reason, heldUntil } } : { url, wrap };
    });
    return { message, quorum, parcels };
  }

  get #accepted(): number {
    return this.#parcels.filter(({ report }) => isAccepted(report)).length;
  }

  #decision(): Promise<void> {
    if (this.isDelivered) return Promise.resolve();
    return new Promise((resolve) => this.#decided.push(resolve));
  }

  async #carry(parcel: Parcel): Promise<void> {
    const { signal, patienceSeconds } = this.#settings;
    const until = performance.now() + patienceSeconds * 1_000;
    let pause = FIRST_PAUSE_SECONDS;
    let isMined = false;
    for (;;) {
      if (parcel.wrap === undefined) return;
      const answer = await this.#parts.linkTo(parcel.url).publish(parcel.wrap, signal);
      const bits = isMined ? undefined : bitsAskedFor(answer);
      if (bits !== undefined) {
        isMined = true;
        const wrap = await this.#mineAgain(parcel.url, bits);
        if (wrap !== undefined) {
          parcel.wrap = wrap;
          continue;
        }
      }
      const mayRetry = isPassing(answer) && signal?.aborted !== true;
      if (!mayRetry || performance.now() + pause * 1_000 > until) {
        await this.#conclude(parcel, answer);
        return;
      }
      await rest(pause * (0.5 + this.#parts.chance.random() / 2));
      pause *= 2;
    }
  }

  async #mineAgain(url: string, bits: number): Promise<NostrEvent | undefined> {
    try {
      return await this.#parts.mineAgain(url, bits);
    } catch {
      // Given up; what the relay said stands.
      return undefined;
    }
  }

  async #conclude(parcel: Parcel, answer: Answer): Promise<void> {
    if ("unreachable" in answer) this.#report(parcel, "unreachable", answer.unreachable);
    else if (!answer.accepted) this.#report(parcel, "refused", answer.reason);
    else {
      const { retentionSeconds } = await this.#parts.factsOf(parcel.url);
      const heldUntil =
        parcel.wrap && retentionSeconds !== undefined
          ? expiryOf(parcel.wrap, ruleOf(retentionSeconds))
          : undefined;
      const isKnown = answer.reason.startsWith("duplicate:");
      this.#report(
        parcel,
        isKnown ? "known" : "held",
        answer.reason,
        typeof heldUntil === "number" ? heldUntil : undefined,
      );
    }
  }

  #report(parcel: Parcel, state: DeliveryReport["state"], reason = "", heldUntil?: number): void {
    parcel.report = { url: parcel.url, state, reason, heldUntil };
    try {
      this.#settings.progress?.(this);
    } catch {
      // Theirs, who are told: the message goes on its way.
    }
    if (!this.isDelivered) return;
    for (const resolve of this.#decided.splice(0)) resolve();
  }
}

function isAccepted({ state }: DeliveryReport): boolean {
  return state === "held" || state === "known";
}

// A refusal of the event itself stands: it would be the same event again.
function mayAccept(report: DeliveryReport): boolean {
  const { state, reason } = report;
  if (state !== "refused") return !isAccepted(report);
  return !/^(invalid|blocked|restricted|pow):/.test(reason);
}

// What waiting can change: a rate, a hiccup. A box or a disk that is full has room again when somebody picks up, not in a few seconds.
function isPassing(answer: Answer): boolean {
  if ("unreachable" in answer || answer.accepted) return false;
  return /^(rate-limited|error):/.test(answer.reason) && !/\bfull\b/.test(answer.reason);
}

/** The leading zero bits that a refusal asks for (NIP-13's `pow:`): the largest number it names, as no relay says two of which the smaller is meant. */
function bitsAskedFor(answer: Answer): number | undefined {
  if ("unreachable" in answer || answer.accepted || !answer.reason.startsWith("pow:")) {
    return undefined;
  }
  const named = [...answer.reason.matchAll(/\d+/g)].map(Number).filter((bits) => bits <= MAX_BITS);
  return named.length === 0 ? undefined : Math.max(...named);
}

function rest(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
}
