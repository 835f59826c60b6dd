import type { Target } from '../destination/target.ts'

const UNFINISHED_PER_SLOT = 2
const UNFINISHED_LEAST = 64

/** Most requests of a partition that are taken from the topic and not finished. */
export function unfinishedLimit({ concurrency }: Pick<Target, 'concurrency'>): number {
  return Math.max(UNFINISHED_LEAST, Math.min(concurrency, 10_000) * UNFINISHED_PER_SLOT)
}
