const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** A time as people write it: seconds, or a number with s, m, h or d, such as 30d. Answers seconds; undefined when it is not written so. */
export function durationSeconds(text: string): number | undefined {
  const [, amount, unit = "s"] = /^(\d{1,9})(s|m|h|d)?$/.exec(text) ?? [];
  return amount === undefined ? undefined : Number(amount) * (UNIT_SECONDS[unit] ?? 1);
}
