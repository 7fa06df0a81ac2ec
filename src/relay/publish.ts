// A published event, from its raw text to its answer: examined away from the event loop, acted on, answered once that is true for good.
//
// - OK is sent before a drop is delivered live: neither the answer nor its time tells whether the recipient is listening. Stored drops are announced by
//   the store, a moment later, ephemeral ones by the live index.
// - Of several events of one connection each is answered when it is done, in whatever order.

import type { Acknowledgement } from "../nostr/acknowledgement.ts";
import type { Drop } from "../nostr/drop.ts";
import { type NostrEvent, peekId } from "../nostr/event.ts";
import { knownAs, type OwnUrl } from "../nostr/own-url.ts";
import type { Reason } from "../nostr/reason.ts";
import { isAddressedHere } from "../nostr/vanish.ts";
import type { AcknowledgeOutcome, PutOutcome, Store, VanishOutcome } from "../store/store.ts";
import { type Answer, ANSWERS, type Outcome, SLOW_DOWN } from "./answer.ts";
import type { Examination } from "./examination.ts";
import type { Examined } from "./examined.ts";
import type { LiveIndex } from "./live.ts";
import { type Log, type Observer, reportFailure } from "./observer.ts";
import type { Rates } from "./rates.ts";
import type { Refusals } from "./refusals.ts";
import type { Runtime } from "./runtime.ts";

export type PublisherParts = {
  readonly examination: Examination;
  readonly store: Store;
  readonly live: LiveIndex;
  /** Hands an ephemeral drop to the other event loops, always: that it is sent must not tell whether anybody listens. */
  readonly passOn: (drop: Drop) => void;
  readonly rates: Rates;
  readonly refusals: Refusals;
  readonly observer: Observer;
  readonly log: Log;
  readonly runtime: Runtime;
  /** Under which requests to vanish know this relay. */
  readonly urls: readonly OwnUrl[];
};

export class Publisher {
  readonly #parts: PublisherParts;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  /** Takes a raw EVENT message from an address. Resolves when what the answer says is true for good. */
  async publish(text: string, address: string): Promise<Answer> {
    const { examination, rates, refusals, runtime, observer, log } = this.#parts;
    if (!rates.mayPublish(address, Buffer.byteLength(text))) {
      return refusals.answer(peekId(text), SLOW_DOWN, "drop");
    }
    const began = runtime.monotonic();
    const examined = await examination.of(text, "drop");
    if ("accepted" in examined) return examined;
    const { id, outcome } = examined;
    if (outcome === "refused") return refusals.answer(id, examined.reason, "drop");
    // Of drops alone: how often acknowledgements were checked would tell of each.
    if (outcome === "drop") observer.measure("verification", runtime.monotonic() - began);
    try {
      return this.#answer(id, await this.#act(examined, address), outcome);
    } catch (error) {
      reportFailure(log, error);
      if (isOfRecipient(outcome)) observer.count(`${outcome}: failed`);
      return this.#answer(id, "failed", outcome);
    }
  }

  #act(
    examined: Exclude<Examined, { outcome: "refused" }>,
    address: string,
  ): Outcome | Promise<Outcome> {
    switch (examined.outcome) {
      case "drop":
        return this.#put(examined.drop);
      case "known":
        return "known";
      case "ephemeral":
        return this.#deliver(examined.drop);
      case "acknowledgement":
        return this.#acknowledge(examined.acknowledgement, address);
      case "vanish":
        return this.#vanish(examined.event);
      case "auth":
        throw new Error("an EVENT message was examined as AUTH");
    }
  }

  async #put(drop: Drop): Promise<PutOutcome> {
    const { store, runtime, observer } = this.#parts;
    // It may have expired while it was examined.
    if (drop.expiry <= runtime.now()) return "expired";
    const outcome = await store.put(drop, runtime.now());
    if (outcome === "stored") observer.count("drop stored");
    return outcome;
  }

  #deliver(drop: Drop): "passed on" {
    const { live, passOn, observer } = this.#parts;
    live.passOn(drop);
    passOn(drop);
    observer.count("drop passed on");
    return "passed on";
  }

  async #acknowledge(
    acknowledgement: Acknowledgement,
    address: string,
  ): Promise<AcknowledgeOutcome> {
    const { store, rates, runtime, observer } = this.#parts;
    rates.chargeIds(address, acknowledgement.ids.length);
    const outcome = await store.acknowledge(acknowledgement, runtime.now());
    observer.count(`acknowledgement: ${outcome}`);
    return outcome;
  }

  async #vanish(event: NostrEvent): Promise<VanishOutcome | "not addressed here"> {
    const { store, urls, runtime, observer } = this.#parts;
    if (!isAddressedHere(event, urls)) return "not addressed here";
    const { id, pubkey: signer, created_at } = event;
    const outcome = await store.vanish({ id, signer, created_at }, runtime.now());
    observer.count(`vanish: ${outcome}`);
    return outcome;
  }

  #answer(id: string, outcome: Outcome, examined: Examined["outcome"]): Answer {
    const { observer, refusals, urls } = this.#parts;
    const { accepted, message } = ANSWERS[outcome];
    if (outcome === "known") observer.count("drop known");
    if (accepted) return { id, accepted, message, outcome };
    const reason: Reason =
      outcome === "not addressed here" ? `${message}${knownAs(urls)}` : message;
    // Those that reached the store were counted there.
    if (isOfRecipient(examined) && outcome !== "not addressed here") refusals.note(reason);
    else refusals.add(reason, "drop");
    return { id, accepted, message: reason, outcome };
  }
}

function isOfRecipient(examined: Examined["outcome"]): examined is "acknowledgement" | "vanish" {
  return examined === "acknowledgement" || examined === "vanish";
}
