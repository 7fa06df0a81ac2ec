// What a relay says of its retention after an operator changed it: see `RetentionRule`.

import { CLOCK_SKEW_SECONDS, type RetentionRule, TIMESTAMP_FUZZ_SECONDS } from "./drop.ts";

/**
 * The retention, in seconds, that holds for every event made at `now`, wherever NIP-59 puts its `created_at`: what a relay advertises. For two days after it
 * was raised that is the former one.
 */
export function currentRetention(now: number, rule: RetentionRule): number {
  const from = now - TIMESTAMP_FUZZ_SECONDS;
  const to = now + CLOCK_SKEW_SECONDS;
  const current = rule.filter(
    ({ upTo }, index) => from <= upTo && (rule[index - 1]?.upTo ?? -Infinity) < to,
  );
  return Math.min(...current.map(({ seconds }) => seconds));
}

/** The retentions of before that events fall under which may still be held or accepted at `now`, the oldest first. */
export function formerRetentions(
  now: number,
  rule: RetentionRule,
): { readonly until: number; readonly retention: number }[] {
  return rule
    .filter(({ upTo, seconds }) => {
      return upTo !== Infinity && upTo + TIMESTAMP_FUZZ_SECONDS + seconds > now;
    })
    .map(({ upTo, seconds }) => ({ until: upTo, retention: seconds }));
}

/** How many seconds back from `now` no `created_at` is too old, whatever the event's expiration says. */
export function oldestAge(now: number, rule: RetentionRule): number {
  let oldest = now;
  for (let index = rule.length - 1; index >= 0; index -= 1) {
    const from = (rule[index - 1]?.upTo ?? -Infinity) + 1;
    const accepted = now - TIMESTAMP_FUZZ_SECONDS - (rule[index]?.seconds ?? 0);
    oldest = Math.min(oldest, Math.max(from, accepted));
    if (from <= accepted) break;
  }
  return now - oldest;
}
