// What an event loop does by settings that can change while it runs. Whoever is handed a part of it reads that when it is needed, so a change holds from the
// next message, connection or request on; here is the one place where it is changed.

import type { Config } from "../config/schema.ts";
import type { InformationParts } from "../http/information.ts";
import type { RetentionRule } from "../nostr/drop.ts";
import { admission } from "../policy/admission.ts";
import { inNetworks } from "../policy/networks.ts";
import type { RateLimiterSettings } from "../policy/rate-limiter.ts";
import { VERSION } from "../version.ts";
import type { VerificationSettings } from "./verification-thread.ts";

// Sending a drop once more takes that much less time than answering a request may.
const COPIES_A_REQUEST = 20;

type Rates = Readonly<Record<"publishing" | "filling" | "asking" | "copying", RateLimiterSettings>>;

export class InForce {
  readonly limits: Config["limits"];
  readonly rates: Rates;
  readonly #rule: RetentionRule;
  #config: Config;
  #information: InformationParts;
  #isBlocked: (address: string) => boolean;

  constructor(config: Config, rule: RetentionRule) {
    this.#rule = rule;
    this.limits = { ...config.limits };
    this.rates = ratesOf(config);
    this.#config = config;
    this.#information = this.#informationOf(config);
    this.#isBlocked = inNetworks(config.blockedNetworks);
  }

  /** Puts another configuration in the place of this one, which differs in settings that can change. */
  take(config: Config): void {
    Object.assign(this.limits, config.limits);
    const rates = ratesOf(config);
    for (const name of Object.keys(rates) as (keyof Rates)[]) {
      Object.assign(this.rates[name], rates[name]);
    }
    this.#config = config;
    this.#information = this.#informationOf(config);
    this.#isBlocked = inNetworks(config.blockedNetworks);
  }

  get hasAdmins(): boolean {
    return this.#config.admins.length > 0;
  }

  /** Whether the log has what is said on each connection that opens from now on. */
  get isFollowing(): boolean {
    return this.#config.log === "debug";
  }

  /** What NIP-11 is made of. */
  get information(): InformationParts {
    return this.#information;
  }

  /** What verification threads examine by. */
  get verification(): VerificationSettings {
    return verificationBy(this.#config, this.#rule);
  }

  /** Whether nobody is let in from an address. */
  readonly isBlocked = (address: string): boolean => this.#isBlocked(address);

  /** The same list until another is in force. */
  get trustedProxies(): readonly string[] {
    return this.#config.trustedProxies;
  }

  #informationOf(config: Config): InformationParts {
    const { admission: admitted } = verificationBy(config, this.#rule);
    return { config, policies: admission(admitted), rule: this.#rule, version: VERSION };
  }
}

/** What verification threads examine by, with this configuration. */
export function verificationBy(
  { limits, proofOfWork, ...config }: Config,
  rule: RetentionRule,
): VerificationSettings {
  const { allowedRecipients, deniedRecipients, deniedAuthors } = config;
  const { tags, eventBytes, acknowledgementIds } = limits;
  const whom = { allowedRecipients, deniedRecipients, deniedAuthors };
  return {
    admission: { tags, eventBytes, proofOfWork, rule, ...whom },
    maxAcknowledgementIds: acknowledgementIds,
  };
}

function ratesOf({ limits }: Config): Rates {
  const { requestsPerSecond, requestsBurst } = limits;
  return {
    publishing: { perSecond: limits.dropsPerSecond, burst: limits.dropsBurst },
    filling: { perSecond: limits.bytesPerSecond, burst: limits.bytesBurst },
    asking: { perSecond: requestsPerSecond, burst: requestsBurst },
    copying: { perSecond: requestsPerSecond * COPIES_A_REQUEST, burst: requestsBurst },
  };
}
