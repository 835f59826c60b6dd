/**
 * Durations in bins, so that counts of attempts can be added up. A bin is 9 % wide, so a percentile that is
 * read from bins is right to within 5 %.
 */
const BINS_PER_DOUBLING = 8

/** The bin of a duration in ms; 0 for anything below 1 ms. */
export function latencyBin(ms: number): number {
  return ms >= 1 ? 1 + Math.floor(Math.log2(ms) * BINS_PER_DOUBLING) : 0
}

/** The duration in the middle of a bin, in ms. */
function middleOf(bin: number): number {
  return bin === 0 ? 0.5 : 2 ** ((bin - 0.5) / BINS_PER_DOUBLING)
}

/**
 * Returns, for each share, the duration in ms that this share of all attempts does not exceed. Null if
 * nothing was counted.
 */
export function percentiles(
  counts: ReadonlyMap<number, number>,
  shares: readonly number[],
): readonly (number | null)[] {
  const bins = [...counts].sort(([a], [b]) => a - b)
  const all = bins.reduce((sum, [, count]) => sum + count, 0)
  return shares.map(share => {
    let below = 0
    for (const [bin, count] of bins) {
      below += count
      if (below >= all * share) return Math.round(middleOf(bin) * 10) / 10
    }
    return null
  })
}
