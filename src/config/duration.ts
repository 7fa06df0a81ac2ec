const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 };

// What is written in days may be written in seconds as well. Times that are added to it remain exact.
const MOST_SECONDS = 999_999_999 * 86_400;

/**
 * A time as people write it: a number with s, m, h or d, such as 30d; nothing has no unit. Answers seconds; undefined when it is not written so, also for a number
 * alone: who writes 30 may mean days.
 */
export function durationSeconds(text: string): number | undefined {
  const [, amount, unit = "s"] = /^(0|\d{1,14}(?=[smhd]))(s|m|h|d)?$/.exec(text) ?? [];
  const seconds = Number(amount ?? Number.NaN) * (UNIT_SECONDS[unit] ?? 1);
  return seconds <= MOST_SECONDS ? seconds : undefined;
}

/** What to write instead of a number alone, which may be any of these; undefined for what is no number. */
export function withUnit(
  text: string,
  units: readonly string[] = ["s", "m", "h", "d"],
): string | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  const all = units.map((unit) => `${text}${unit}`);
  return `${all.slice(0, -1).join(", ")} or ${all.at(-1)}`;
}
