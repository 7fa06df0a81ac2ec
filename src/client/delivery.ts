// One message on its way to the recipient's relays.
//
// - What is retried is the same event, byte for byte, so that a relay that had it knows it. One that asks for more proof of work gets the same message in a
//   new wrap, which the recipient's client merges by the id of the message inside.
// - It is delivered when a quorum of relays holds it. The others go on in the background, until each has answered or was given up.

import { expiryOf } from "../nostr/drop.ts";
import type { NostrEvent } from "../nostr/event.ts";
import { backoffSeconds } from "./backoff.ts";
import { isBlocked } from "./private-host.ts";
import { bitsAskedFor, isPassing, mayAcceptLater } from "./refusal.ts";
import type { PublishResult, RelayConnection } from "./relay-connection.ts";
import type { RelayInformation } from "./relay-information.ts";
import type { Runtime } from "./runtime.ts";
import type { DeliveryReport, DeliveryTarget, SavedDelivery } from "./saved-delivery.ts";

export type DeliveryParts = {
  readonly connectionTo: (url: string) => RelayConnection;
  readonly informationOf: (url: string) => Promise<RelayInformation>;
  /** Makes the same wrap with more proof of work; undefined when that is not to be had. */
  readonly mineAgain: (url: string, bits: number) => Promise<NostrEvent | undefined>;
  readonly runtime: Runtime;
};

export type DeliverySettings = {
  readonly message: string;
  readonly quorum: number;
  /** How long a relay that asks to be asked later is asked again, seconds. */
  readonly patienceSeconds: number;
  readonly signal: AbortSignal | undefined;
  readonly progress: ((delivery: Delivery) => void) | undefined;
};

type Target = Pick<DeliveryTarget, "url" | "isFound"> & {
  wrap: NostrEvent | undefined;
  report: DeliveryReport;
};

const FIRST_PAUSE_SECONDS = 1;

export class Delivery {
  /** The id of the message inside. */
  readonly message: string;
  /** So many relays must hold the drop. */
  readonly quorum: number;
  readonly #parts: DeliveryParts;
  readonly #settings: DeliverySettings;
  readonly #targets: readonly Target[];
  #settled: Promise<unknown> = Promise.resolve();
  #decided: (() => void)[] = [];

  constructor(
    parts: DeliveryParts,
    targets: readonly DeliveryTarget[],
    settings: DeliverySettings,
  ) {
    this.#parts = parts;
    this.#settings = settings;
    this.message = settings.message;
    this.quorum = settings.quorum;
    this.#targets = targets.map(({ url, wrap, why = "", had, isFound = false }) => {
      const state = wrap === undefined ? "refused" : "waiting";
      const report = { url, state, reason: why, heldUntil: undefined, ...had } as const;
      return { url, isFound, wrap, report };
    });
  }

  /** Relay by relay, as it is now. */
  get reports(): readonly DeliveryReport[] {
    return this.#targets.map(({ report }) => report);
  }

  /** Whether as many relays hold the drop as must. */
  get isDelivered(): boolean {
    return this.#accepted >= this.quorum;
  }

  /** Whether it is delivered, or could be by `retry`: enough relays hold it, or were not there, or may have room another time. */
  get mayArrive(): boolean {
    const open = this.#targets.filter(({ report }) => mayAccept(report)).length;
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
    for (const { url, wrap } of this.#targets) if (wrap !== undefined) wraps.set(url, wrap);
    return wraps;
  }

  /** Publishes to every relay that has not accepted. Resolves when enough have, or when all have answered; the rest goes on. Never rejects. */
  async retry(): Promise<this> {
    const open = this.#targets.filter(({ wrap, report }) => wrap && !isAccepted(report));
    for (const target of open) this.#report(target, "waiting");
    const all = Promise.all(
      open.map((target) =>
        this.#deliver(target).catch((error: unknown) => {
          this.#report(target, "unreachable", (error as Error).message);
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
    const targets = this.#targets.map(({ url, isFound = false, wrap, report }): DeliveryTarget => {
      const target = { url, ...(isFound && { isFound }) };
      if (wrap === undefined) return { ...target, why: report.reason };
      const { state, reason, heldUntil } = report;
      const had = isAccepted(report) && { had: { state, reason, heldUntil } };
      return { ...target, wrap, ...had };
    });
    return { message, quorum, targets };
  }

  get #accepted(): number {
    return this.#targets.filter(({ report }) => isAccepted(report)).length;
  }

  #decision(): Promise<void> {
    if (this.isDelivered) return Promise.resolve();
    return new Promise((resolve) => this.#decided.push(resolve));
  }

  async #deliver(target: Target): Promise<void> {
    const { signal, patienceSeconds } = this.#settings;
    const until = performance.now() + patienceSeconds * 1_000;
    let isMined = false;
    for (let tries = 0; ;) {
      if (target.wrap === undefined) return;
      const result = await this.#parts.connectionTo(target.url).publish(target.wrap, signal);
      const bits = isMined ? undefined : bitsAskedFor(result);
      if (bits !== undefined) {
        isMined = true;
        const wrap = await this.#mineAgain(target.url, bits);
        if (wrap !== undefined) {
          target.wrap = wrap;
          continue;
        }
      }
      const mayRetry = isPassing(result) && signal?.aborted !== true;
      const pause = backoffSeconds(FIRST_PAUSE_SECONDS, tries, Infinity, this.#parts.runtime);
      if (!mayRetry || performance.now() + pause * 1_000 > until) {
        await this.#conclude(target, result);
        return;
      }
      await sleep(pause);
      tries += 1;
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

  async #conclude(target: Target, result: PublishResult): Promise<void> {
    if ("unreachable" in result) {
      const { unreachable: why } = result;
      // What its name resolved to when it was connected to.
      this.#report(target, isBlocked(why) ? "refused" : "unreachable", why);
    } else if (!result.accepted) this.#report(target, "refused", result.reason);
    else {
      const { rule } = await this.#parts.informationOf(target.url);
      const heldUntil = target.wrap && rule && expiryOf(target.wrap, rule);
      const isKnown = result.reason.startsWith("duplicate:");
      this.#report(
        target,
        isKnown ? "known" : "held",
        result.reason,
        typeof heldUntil === "number" ? heldUntil : undefined,
      );
    }
  }

  #report(target: Target, state: DeliveryReport["state"], reason = "", heldUntil?: number): void {
    target.report = { url: target.url, state, reason, heldUntil };
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

function mayAccept(report: DeliveryReport): boolean {
  if (report.state !== "refused") return !isAccepted(report);
  return mayAcceptLater(report.reason);
}

function sleep(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
}
