import type { Config } from "../config/schema.ts";
import { currentRetention, formerRetentions } from "../nostr/advertised-retention.ts";
import { CLOCK_SKEW_SECONDS, type RetentionRule, TIMESTAMP_FUZZ_SECONDS } from "../nostr/drop.ts";
import { ACCEPTED_KINDS, ACKNOWLEDGEMENT, HELD_KINDS } from "../nostr/kinds.ts";
import { MAX_SUBSCRIPTION_CHARS } from "../nostr/message.ts";
import { onionUrls } from "../nostr/own-url.ts";
import type { Policy } from "../policy/policy.ts";

/** NIPs the relay speaks; docs/BEHAVIOR.md says how far. */
const SUPPORTED_NIPS = [1, 4, 9, 11, 13, 17, 40, 42, 45, 59, 62, 67, 70, 77];
const HTTP_AUTH = 98;
/** Where somebody is named who may use it. */
const MANAGEMENT = 86;

export type InformationParts = {
  readonly config: Config;
  readonly policies: readonly Policy[];
  /** What applies to which event, after whatever the retention was before. */
  readonly rule: RetentionRule;
  readonly version: string;
};

/** The document, and in it what is read here again; limits that only clients read are numbers and flags under their names. */
export type RelayInformation = {
  readonly name: string;
  readonly description: string;
  readonly icon?: string;
  readonly pubkey?: string;
  readonly contact?: string;
  readonly supported_nips: readonly number[];
  readonly version: string;
  readonly limitation: Readonly<Record<string, number | boolean>>;
  readonly retention: readonly { readonly kinds: readonly number[]; readonly time: number }[];
  readonly dead_drop: {
    readonly retention: number;
    readonly timestamp_fuzz: number;
    readonly max_event_bytes: number;
    readonly max_drops: number;
    readonly max_bytes: number;
    readonly author_deletes_wraps: boolean;
  } & Readonly<Record<string, unknown>>;
};

/**
 * The relay information document (NIP-11) at a time, Unix seconds: what it says of the retention changes with it, for some weeks after the operator changed that.
 * Every number in it is read from the configuration or told by the policy that enforces it. `dead_drop` is
 * NIP-DD's: what a sender must know to compute how long a drop is held, and what a recipient can send. There is no `software`: that "MUST be a URL to the
 * project's homepage", and there is none yet that nobody else could have.
 */
export function relayInformation(
  { config, policies, rule, version }: InformationParts,
  now: number,
): RelayInformation {
  const { limits } = config;
  const onions = onionUrls([config.url, ...config.aliases]);
  const retention = currentRetention(now, rule);
  const former = formerRetentions(now, rule);
  return {
    name: config.name,
    description: config.description,
    ...(config.icon !== "" && { icon: config.icon }),
    ...(config.pubkey !== "" && { pubkey: config.pubkey }),
    ...(config.contact !== "" && { contact: config.contact }),
    supported_nips: [
      ...SUPPORTED_NIPS,
      ...(config.admins.length > 0 ? [MANAGEMENT] : []),
      HTTP_AUTH,
    ],
    version,
    limitation: {
      max_message_length: limits.messageBytes,
      max_subscriptions: limits.subscriptions,
      max_filters: limits.filters,
      max_limit: limits.limit,
      default_limit: limits.limit,
      max_subid_length: MAX_SUBSCRIPTION_CHARS,
      auth_required: false,
      payment_required: false,
      restricted_writes: true,
      ...Object.assign({}, ...policies.map(({ limitation }) => limitation?.(now) ?? {})),
    },
    retention: [
      { kinds: [...HELD_KINDS], time: retention + TIMESTAMP_FUZZ_SECONDS },
      { kinds: [...ACCEPTED_KINDS].filter((kind) => !HELD_KINDS.has(kind)), time: 0 },
    ],
    dead_drop: {
      kinds: [...HELD_KINDS],
      acknowledgement_kind: ACKNOWLEDGEMENT,
      retention,
      ...(former.length > 0 && { former_retentions: former }),
      timestamp_fuzz: TIMESTAMP_FUZZ_SECONDS,
      clock_skew: CLOCK_SKEW_SECONDS,
      max_event_bytes: limits.eventBytes,
      max_drops: limits.boxDrops,
      max_bytes: limits.boxBytes,
      max_acknowledgement_ids: limits.acknowledgementIds,
      max_early_acknowledgements: limits.earlyTombstones,
      max_auth_keys: limits.authKeys,
      author_deletes_wraps: config.authorDeletesWraps,
      http: true,
      ...(onions.length > 0 && { onion_urls: onions }),
    },
  };
}
