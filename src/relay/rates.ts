import type { RateLimiter } from "../policy/rate-limiter.ts";
import type { Runtime } from "./runtime.ts";

export type RatesParts = {
  readonly publishing: RateLimiter;
  /** Bytes of what is published. */
  readonly filling: RateLimiter;
  readonly asking: RateLimiter;
  /** Live drops that a second subscription of one recipient brings. */
  readonly copying: RateLimiter;
  readonly runtime: Runtime;
};

// An event costs a token; of the ids in an acknowledgement so many cost one more, because each may cost a write.
const IDS_A_TOKEN = 100;
// A message costs a token; so many of its bytes cost one more, because each has to be read and parsed: 128 KiB of `[` take five milliseconds. A refusal
// counts for as many, because the message had to be read all the same.
const BYTES_A_TOKEN = 4_096;
// What a token for asking pays for: at 100 a second an address has 8 % of an event loop in the long run.
const MS_A_TOKEN = 0.8;

/** What an address may still do, and what its work costs it. */
export class Rates {
  readonly #parts: RatesParts;

  constructor(parts: RatesParts) {
    this.#parts = parts;
  }

  /** Whether asking has a limit at all. */
  get areLimited(): boolean {
    return this.#parts.asking.isLimited;
  }

  /** Whether this address may publish one more event, with a message of so many bytes. */
  mayPublish(address: string, bytes: number): boolean {
    const { publishing, filling } = this.#parts;
    const may = publishing.take(address, this.#now) && filling.take(address, this.#now, bytes);
    if (!may) publishing.refuse(address, this.#now, weightOf(bytes));
    return may;
  }

  /** Whether this address may ask for something other than to publish, with a message of so many bytes. */
  mayAsk(address: string, bytes = 0): boolean {
    const { asking } = this.#parts;
    const weight = weightOf(bytes);
    if (!asking.take(address, this.#now)) {
      asking.refuse(address, this.#now, weight);
      return false;
    }
    if (weight > 1) asking.charge(address, this.#now, weight - 1);
    return true;
  }

  /** Whether this address may have a live drop once more, for another subscription of the same recipient. */
  mayCopy(address: string): boolean {
    return this.#parts.copying.take(address, this.#now);
  }

  /** Whether this address was refused again and again, and goes on. */
  isDeaf(address: string): boolean {
    const { asking, publishing } = this.#parts;
    return asking.isDeaf(address, this.#now) || publishing.isDeaf(address, this.#now);
  }

  /** An acknowledgement with so many ids is carried out. */
  chargeIds(address: string, ids: number): void {
    this.#parts.publishing.charge(address, this.#now, Math.floor(ids / IDS_A_TOKEN));
  }

  /** So many milliseconds of work were done for this address. */
  chargeWork(address: string, ms: number): void {
    if (ms > 0) this.#parts.asking.charge(address, this.#now, ms / MS_A_TOKEN);
  }

  /** How long until this address has paid for what was done for it; 0: it has. */
  secondsInDebt(address: string): number {
    return this.#parts.asking.secondsInDebt(address, this.#now);
  }

  get #now(): number {
    return this.#parts.runtime.monotonic();
  }
}

function weightOf(bytes: number): number {
  return 1 + Math.floor(bytes / BYTES_A_TOKEN);
}
