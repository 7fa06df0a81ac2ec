import { peerOf } from "./address.ts";

export type RateLimiterSettings = {
  /** Tokens that come back each second. 0: no limit. */
  readonly perSecond: number;
  readonly burst: number;
};

// A peer that has been quiet for a while is as good as new, so the oldest entries can go.
const MAX_PEERS = 100_000;

type Bucket = { tokens: number; at: number };

/** A token bucket for each peer. Stops those who ask for more than their share, until they have waited. */
export class RateLimiter {
  readonly #settings: RateLimiterSettings;
  readonly #buckets = new Map<string, Bucket>();

  constructor(settings: RateLimiterSettings) {
    this.#settings = settings;
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

  /** Takes tokens for something already done, below zero if need be: the next ones wait for it. */
  charge(address: string, now: number, cost: number): void {
    if (this.#settings.perSecond > 0) this.#bucket(address, now).tokens -= cost;
  }

  #bucket(address: string, now: number): Bucket {
    const { perSecond, burst } = this.#settings;
    const peer = peerOf(address);
    const bucket = this.#buckets.get(peer) ?? { tokens: burst, at: now };
    bucket.tokens = Math.min(burst, bucket.tokens + (now - bucket.at) * perSecond);
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
