const UNITS: readonly (readonly [name: string, seconds: number])[] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];
const SIZES = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/** A duration as people say it, exactly: 90,000 is "1 day and 1 hour". */
export function durationOf(seconds: number): string {
  let rest = seconds;
  const parts = UNITS.flatMap(([name, length]) => {
    const count = Math.floor(rest / length);
    rest %= length;
    return count === 0 ? [] : [`${numberOf(count)} ${name}${count === 1 ? "" : "s"}`];
  });
  const last = parts.pop() ?? "0 seconds";
  return parts.length === 0 ? last : `${parts.join(", ")} and ${last}`;
}

/** A size as people say it, exactly: in the largest unit of which it is a whole number. */
export function sizeOf(bytes: number): string {
  let unit = 0;
  let count = bytes;
  while (count > 0 && count % 1_024 === 0 && unit < SIZES.length - 1) {
    count /= 1_024;
    unit += 1;
  }
  return `${numberOf(count)} ${SIZES[unit]}`;
}

export function numberOf(count: number): string {
  return count.toLocaleString("en");
}
