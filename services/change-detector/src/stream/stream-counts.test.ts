import { expect, it } from 'vitest'
import { StreamCounts } from './stream-counts.ts'

it('counts in a minute what delivery has finished since it was last told', () => {
  let at = 60_000
  const counts = new StreamCounts(new Set(['added']), () => at)
  counts.finished({ delivered: 5, failed: 1 })
  at = 119_000
  counts.finished({ delivered: 9, failed: 1 })
  at = 120_000
  counts.finished({ delivered: 9, failed: 1 })
  at = 180_000
  counts.finished({ delivered: 10, failed: 3 })
  const { minutes } = counts.progress(0, { records: null, oldestCommittedAt: null }, null)
  expect(minutes).toMatchObject([
    { at: 60_000, delivered: 9, failed: 1 },
    { at: 180_000, delivered: 1, failed: 2 },
  ])
})
