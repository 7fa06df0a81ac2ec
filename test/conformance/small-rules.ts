/** What NIP-DD leaves a relay to choose. Every choice is legal: the suite may find nothing wrong with it. */
export type SmallRules = {
  /** Seconds, and what it was for events up to `until`. */
  readonly retention: number;
  readonly formerRetentions: readonly { readonly until: number; readonly retention: number }[];
  /** Those of 4 and 1059 that it holds. */
  readonly kinds: readonly number[];
  /** Those that it says it holds, if they are others. */
  readonly advertisedKinds?: readonly number[];
  /** The most drops in a box, and the most that one request is answered with. */
  readonly boxDrops: number;
  readonly pageDrops: number;
  /** `limitation.max_limit`, if it says so. */
  readonly maxLimit: number | undefined;
  readonly maxAcknowledgementIds: number;
  readonly maxEarlyAcknowledgements: number;
  readonly authorDeletesWraps: boolean;
  /** What it says with the OK for a drop that it holds now. */
  readonly welcome: string;
  /** How long it holds what is asked without a key. */
  readonly heldMs: number;
  /** Whether it challenges a connection that says nothing for a second. */
  readonly challengesSilence: boolean;
  /** Whether it answers requests that can match no drop without a key. */
  readonly answersStrangers: boolean;
  readonly restrictsWrites: boolean;
  readonly minPow: number;
  readonly nips: readonly number[];
  readonly hasDoor: boolean;
  readonly isDeadDrop: boolean;
  /** What its document says instead of the truth. */
  readonly says?: {
    readonly document?: Record<string, unknown>;
    readonly limitation?: Record<string, unknown>;
    readonly deadDrop?: Record<string, unknown>;
  };
};

export const NIPS = [1, 9, 11, 13, 17, 40, 42, 45, 59, 62, 67, 77];
export const RETENTION = 2_592_000;

export const RULES: SmallRules = {
  retention: RETENTION,
  formerRetentions: [],
  kinds: [4, 1059],
  boxDrops: 100,
  pageDrops: Infinity,
  maxLimit: undefined,
  maxAcknowledgementIds: 100,
  maxEarlyAcknowledgements: 100,
  authorDeletesWraps: false,
  welcome: "",
  heldMs: 500,
  challengesSilence: false,
  answersStrangers: false,
  restrictsWrites: true,
  minPow: 0,
  nips: NIPS,
  hasDoor: true,
  isDeadDrop: true,
};

/** The NIP-11 document of a relay with these rules. */
export function documentOf(
  rules: SmallRules,
): { readonly dead_drop?: object } & Record<string, unknown> {
  const { minPow, maxLimit, formerRetentions: former } = rules;
  const deadDrop = {
    kinds: rules.advertisedKinds ?? rules.kinds,
    acknowledgement_kind: 20_221,
    retention: rules.retention,
    ...(former.length > 0 && { former_retentions: former }),
    timestamp_fuzz: 172_800,
    clock_skew: 900,
    max_drops: rules.boxDrops,
    max_bytes: 1_000_000,
    max_acknowledgement_ids: rules.maxAcknowledgementIds,
    max_early_acknowledgements: rules.maxEarlyAcknowledgements,
    max_auth_keys: 10,
    author_deletes_wraps: rules.authorDeletesWraps,
    http: rules.hasDoor,
    ...rules.says?.deadDrop,
  };
  return {
    supported_nips: rules.nips,
    limitation: {
      min_pow_difficulty: minPow,
      ...(rules.restrictsWrites && { restricted_writes: true }),
      ...(maxLimit !== undefined && { max_limit: maxLimit }),
      ...rules.says?.limitation,
    },
    ...(rules.isDeadDrop && { dead_drop: deadDrop }),
    ...rules.says?.document,
  };
}
