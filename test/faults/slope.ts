// Whether a quantity that goes up and down with the time of day rises in the long run: the seasonal Kendall slope estimator (R. M. Hirsch, J. R. Slack and
// R. A. Smith, Techniques of trend analysis for monthly water quality data, Water Resources Research 18, 1982), which is Theil and Sen's with samples
// compared only to those of the same phase of another period. It is not fooled by a saw-tooth, nor by a few samples that stand out.

export type Sample = { readonly period: number; readonly phase: number; readonly value: number };

/** By how much the quantity changes in a period: the median, and bounds between which it lies with the confidence asked for. */
export type Slope = { readonly least: number; readonly median: number; readonly most: number };

/** One-sided, each: that the slope is below `least`, or above `most`, has a chance of 1 in 100. */
const Z_99 = 2.326;

export function slopeOf(samples: readonly Sample[], z = Z_99): Slope {
  const slopes: number[] = [];
  let variance = 0;
  for (const season of seasons(samples)) {
    const n = season.length;
    variance += (n * (n - 1) * (2 * n + 5)) / 18;
    for (const [index, one] of season.entries()) {
      for (const other of season.slice(index + 1)) {
        slopes.push((other.value - one.value) / (other.period - one.period));
      }
    }
  }
  if (slopes.length === 0) throw new RangeError("no phase has samples of two periods");
  slopes.sort((a, b) => a - b);
  const last = slopes.length - 1;
  const reach = z * Math.sqrt(variance);
  const at = (rank: number): number => slopes[Math.min(last, Math.max(0, Math.round(rank)))]!;
  return {
    least: at((slopes.length - reach) / 2 - 1),
    median: at(last / 2),
    most: at((slopes.length + reach) / 2),
  };
}

// In the order of their periods.
function seasons(samples: readonly Sample[]): Sample[][] {
  const byPhase = new Map<number, Sample[]>();
  for (const sample of samples) {
    byPhase.set(sample.phase, [...(byPhase.get(sample.phase) ?? []), sample]);
  }
  return [...byPhase.values()].map((season) => season.toSorted((a, b) => a.period - b.period));
}
