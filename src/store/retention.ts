import { CLOCK_SKEW_SECONDS, type RetentionRule, TIMESTAMP_FUZZ_SECONDS } from "../nostr/drop.ts";

/**
 * The rule after a start with `seconds` of retention, given the rule that was in force. Whatever could have been accepted until now keeps the
 * retention it was accepted, or refused, under: raising the value must not let an event back in whose tombstone is gone, and lowering it must not
 * take away what a sender was promised. Entries that no event can fall under any more are dropped. That
 * is seen from `swept`, the second up to which what is past is gone: a clock that is ahead must not make anything forgotten.
 */
export function nextRule(
  before: RetentionRule | undefined,
  seconds: number,
  now: number,
  swept = now,
): RetentionRule {
  const current = before?.at(-1);
  if (before === undefined || current === undefined) return [{ upTo: Infinity, seconds }];
  // An entry that is dropped leaves its events to the next one, so it stays until the longest retention would refuse them too.
  const longest = Math.max(seconds, ...before.map((entry) => entry.seconds));
  const alive = before.filter(({ upTo }) => upTo + TIMESTAMP_FUZZ_SECONDS + longest > swept);
  if (current.seconds === seconds) return alive;
  const past = alive.slice(0, -1);
  // Later than every entry before, even if the clock was set back in between.
  const horizon = Math.max(now + CLOCK_SKEW_SECONDS, ...past.map(({ upTo }) => upTo + 1));
  return [...past, { upTo: horizon, seconds: current.seconds }, { upTo: Infinity, seconds }];
}

/** For the store's `meta` table; Infinity has no JSON. */
export function encodeRule(rule: RetentionRule): string {
  return JSON.stringify(
    rule.map(({ upTo, seconds }) => [upTo === Infinity ? null : upTo, seconds]),
  );
}

export function decodeRule(text: string): RetentionRule | "malformed" {
  // What `encodeRule` wrote and nothing else.
  if (!/^\[(?:\[(?:\d{1,15}|null),\d{1,15}\],)*\[null,\d{1,15}\]\]$/.test(text)) return "malformed";
  const entries = JSON.parse(text) as [number | null, number][];
  return entries.map(([upTo, seconds]) => ({ upTo: upTo ?? Infinity, seconds }));
}
