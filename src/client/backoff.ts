import type { Runtime } from "./runtime.ts";

/**
 * How long to wait before another try, seconds: twice as long after each of the `tries` that were made, up to `most`, a random part of that: a relay that
 * comes back is not met by everybody at once.
 */
export function backoffSeconds(
  first: number,
  tries: number,
  most: number,
  { random }: Runtime,
): number {
  return Math.min(most, first * 2 ** tries) * (0.5 + random() / 2);
}
