import { peerOf } from "./address.ts";

export type RateLimiterSettings = {
  /** Tokens that come back each second. 0: no limit. */
  readonly perSecond: number;
  readonly burst: number;
};

// A peer that has been quiet for a while is as good as new, so the oldest entries can go.
const MAX_PEERS = 100_000;

// Refusing costs something too. Who was refused so often, or so many times the burst, and does not slow down, does not listen.
const MIN_REFUSALS = 1_000;
const REFUSALS_A_BURST = 4;

type Bucket = { tokens: number; refused: number; at: number };

/** A token bucket for each peer. Stops those who ask for more than their share, until they have waited. */
export class RateLimiter {
  readonly #settings: RateLimiterSettings;
  readonly #buckets = new Map<string, Bucket>();
  // Until then somebody may be deaf: who is honest is not looked up.
  #deafUntil = -Infinity;

  constructor(settings: RateLimiterSettings) {
    this.#settings = settings;
  }

  get isLimited(): boolean {
    return this.#settings.perSecond > 0;
  }

  /** Whether `address` may do something of this cost at `now` (seconds, monotonic). If so, the tokens are taken. */
  take(address: string, now: number, cost = 1): boolean {
    const { perSecond } = this.#settings;
    if (perSecond === 0) return true;
    const bucket = this.#bucket(address, now);
    if (bucket.tokens < cost) return false;
    bucket.tokens -= cost;
    return true;
  }

  /** `address` was refused something. `weight`: as if it were so many things. */
  refuse(address: string, now: number, weight: number): void {
    if (!this.isLimited) return;
    const bucket = this.#bucket(address, now);
    const most = this.#mostRefusals;
    bucket.refused += weight;
    // Twice as many, so that it takes a while until they are fewer again.
    if (bucket.refused < most) return;
    bucket.refused = 2 * most;
    this.#deafUntil = now + most / this.#settings.perSecond;
  }

  /** Whether `address` went on and on after it was refused: until as many tokens came back as it took refusals. */
  isDeaf(address: string, now: number): boolean {
    const { perSecond } = this.#settings;
    if (now > this.#deafUntil) return false;
    const bucket = this.#buckets.get(peerOf(address));
    if (bucket === undefined) return false;
    const refused = bucket.refused - (now - bucket.at) * perSecond;
    return refused >= this.#mostRefusals;
  }

  /** How many seconds from `now` on `address` has to wait until it has paid for what it was charged; 0: it has. */
  secondsInDebt(address: string, now: number): number {
    const { perSecond } = this.#settings;
    if (perSecond === 0) return 0;
    return Math.max(0, -this.#bucket(address, now).tokens / perSecond);
  }

  /** Takes tokens for something already done, below zero if need be: the next ones wait for it. */
  charge(address: string, now: number, cost: number): void {
    if (this.#settings.perSecond > 0) this.#bucket(address, now).tokens -= cost;
  }

  get #mostRefusals(): number {
    return Math.max(MIN_REFUSALS, REFUSALS_A_BURST * this.#settings.burst);
  }

  #bucket(address: string, now: number): Bucket {
    const { perSecond, burst } = this.#settings;
    const peer = peerOf(address);
    const bucket = this.#buckets.get(peer) ?? { tokens: burst, refused: 0, at: now };
    const back = (now - bucket.at) * perSecond;
    bucket.tokens = Math.min(burst, bucket.tokens + back);
    bucket.refused = Math.max(0, bucket.refused - back);
    bucket.at = now;
    this.#buckets.delete(peer);
    this.#buckets.set(peer, bucket);
    if (this.#buckets.size > MAX_PEERS) {
      const [quietest] = this.#buckets.keys();
      if (quietest !== undefined) this.#buckets.delete(quietest);
    }
    return bucket;
  }
}
