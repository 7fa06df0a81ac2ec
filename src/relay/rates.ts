import type { RateLimiter } from "../policy/rate-limiter.ts";
import type { Runtime } from "./runtime.ts";

export type RatesParts = {
  readonly publishing: RateLimiter;
  readonly asking: RateLimiter;
  readonly runtime: Runtime;
};

// An event costs a token; of the ids in an acknowledgement so many cost one more, because each may cost a write.
const IDS_A_TOKEN = 100;
// What a turn of scanning, four milliseconds, costs of the tokens to ask with: one address keeps no more than a few percent of the event loop for long.
const TOKENS_A_TURN = 5;

/** What an address may still do, and what its work costs it. */
export class Rates {
  readonly #parts: RatesParts;

  constructor(parts: RatesParts) {
    this.#parts = parts;
  }

  /** Whether this address may publish one more event. */
  mayPublish(address: string): boolean {
    return this.#parts.publishing.take(address, this.#parts.runtime.monotonic());
  }

  /** Whether this address may ask for something other than to publish. */
  mayAsk(address: string): boolean {
    return this.#parts.asking.take(address, this.#parts.runtime.monotonic());
  }

  /** An acknowledgement with so many ids is carried out. */
  chargeIds(address: string, ids: number): void {
    const cost = Math.floor(ids / IDS_A_TOKEN);
    this.#parts.publishing.charge(address, this.#parts.runtime.monotonic(), cost);
  }

  /** This address had a few milliseconds of the event loop for itself. Resolves when the others had their turn. */
  endTurn(address: string): Promise<void> {
    this.#parts.asking.charge(address, this.#parts.runtime.monotonic(), TOKENS_A_TURN);
    return new Promise((resolve) => setImmediate(resolve));
  }
}
