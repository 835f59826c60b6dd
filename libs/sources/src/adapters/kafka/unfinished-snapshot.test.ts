import { expect, it } from 'vitest'
import type { Entry, SnapshotMark } from './entry.ts'
import { UnfinishedSnapshot } from './unfinished-snapshot.ts'

const MODEL = { kind: 'model', name: 'customers', source: 'cdc', topic: 'shop', format: 'debezium' } as const

function judged(...marks: readonly SnapshotMark[]): string {
  const snapshot = new UnfinishedSnapshot(MODEL, 'shop')
  for (const [offset, mark] of marks.entries()) snapshot.see(entryOf(offset, mark))
  try {
    snapshot.assertWhole()
    return 'whole'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function entryOf(offset: number, snapshot: SnapshotMark): Entry {
  const key = { identity: String(offset), cells: null }
  return { kind: 'removed', key, at: { partition: 0, offset }, committedAt: offset, snapshot }
}

it('a topic with only the beginning of a snapshot has lost the rows behind it', () => {
  expect(judged('first', 'within')).toMatch(/no record that ends it.*nothing was taken/)
  expect(judged('within', 'within')).toMatch(/no record that ends it/)
})

it('a snapshot with its end, with changes behind it, or of one row counts as whole', () => {
  expect(judged('first', 'within', 'last')).toBe('whole')
  // The last row of the snapshot was changed since, and compaction took its first record away.
  expect(judged('first', 'within', null)).toBe('whole')
  expect(judged('first')).toBe('whole')
  expect(judged('last')).toBe('whole')
  expect(judged()).toBe('whole')
})
