import { describe, expect, it } from 'vitest'
import type { Change } from '@sluice/contracts/records'
import type { Op } from '@sluice/contracts/state'
import { sampleChange } from '@sluice/testkit/sample-records'
import { BATCH_CEILING_BYTES, ONE_ROW, RowBatches, type RowBatch, type SizedChange } from './row-batches.ts'

const SIZES: { readonly [op in Op]: number } = { removed: 1, changed: 2, added: 3 }

const sized = (offset: number, fields: Partial<Change> = {}, bytes = 100): SizedChange => ({
  offset,
  bytes,
  change: sampleChange(fields),
})

/** Takes rows in, `op` after `op` at the offsets 10, 11, …, and closes what is open. */
function batched(ops: readonly Op[]): readonly RowBatch[] {
  const batches = new RowBatches(op => ({ size: SIZES[op], bytes: 8_000_000 }))
  const complete = ops.flatMap((op, i) => batches.add(op, sized(10 + i, { op, seq: i })))
  return [...complete, ...batches.flush()]
}

const shapes = (batches: readonly RowBatch[]) =>
  batches.map(({ op, changes, start, end }) => [op, changes.map(({ seq }) => seq), start, end])

describe('batches of rows', () => {
  it('close when they are full, each op with a size of its own, and name their offsets', () => {
    expect(shapes(batched(['removed', 'removed', 'changed', 'changed', 'added', 'added', 'added']))).toEqual([
      ['removed', [0], 10, 11],
      ['removed', [1], 11, 12],
      ['changed', [2, 3], 12, 14],
      ['added', [4, 5, 6], 14, 17],
    ])
  })

  it('close when the op changes, and with the run', () => {
    expect(shapes(batched(['changed', 'added', 'added']))).toEqual([
      ['changed', [0], 10, 11],
      ['added', [1, 2], 11, 13],
    ])
  })

  it('close when their changes are large, so that few are in memory at a time', () => {
    const batches = new RowBatches(() => ({ size: 100, bytes: 8_000_000 }))
    const half = BATCH_CEILING_BYTES / 2
    const add = (seq: number, bytes: number) => shapes(batches.add('added', sized(seq, { seq }, bytes)))
    expect(add(0, half - 1)).toEqual([])
    expect(add(1, half)).toEqual([])
    expect(add(2, 1)).toEqual([['added', [0, 1, 2], 0, 3]])
    expect(add(3, half)).toEqual([])
    expect(add(4, 3 * half)).toEqual([['added', [3, 4], 3, 5]])
    expect(batches.flush()).toEqual([])
  })

  it('close when their changes have four times the bytes of a body, since the rest would be divided', () => {
    const batches = new RowBatches(() => ({ size: 100, bytes: 1_000_000 }))
    const add = (seq: number, bytes: number) => shapes(batches.add('added', sized(seq, { seq }, bytes)))
    expect(add(0, 3_999_999)).toEqual([])
    expect(add(1, 1)).toEqual([['added', [0, 1], 0, 2]])
    const tiny = new RowBatches(() => ({ size: 100, bytes: 1 }))
    expect(tiny.add('added', sized(0, {}, 999_999))).toEqual([])
  })

  it('are forgotten, to be read again from their first change on', () => {
    const batches = new RowBatches(() => ({ size: 100, bytes: 1_000_000 }))
    for (const seq of [4, 5]) batches.add('added', sized(20 + seq, { seq }))
    expect([batches.openBytes, batches.forget(), batches.openBytes, batches.flush()]).toEqual([
      200,
      { offset: 24, seq: 4 },
      0,
      [],
    ])
    expect(batches.forget()).toBeNull()
  })

  it('may close twice with one row: the batch of the op before, and a full one of its own', () => {
    const batches = new RowBatches(op => ({ size: SIZES[op], bytes: 8_000_000 }))
    expect(batches.add('changed', sized(0))).toEqual([])
    expect(shapes(batches.add('removed', sized(1, { seq: 1 })))).toEqual([
      ['changed', [0], 0, 1],
      ['removed', [1], 1, 2],
    ])
  })

  it('are not made if no row came', () => {
    expect(new RowBatches(() => ONE_ROW).flush()).toEqual([])
  })

  it('are the same for a reader that begins with any of them, since none depends on those before it', () => {
    const ops: readonly Op[] = [
      'removed',
      'changed',
      'changed',
      'changed',
      'added',
      'added',
      'added',
      'added',
    ]
    const whole = shapes(batched(ops))
    for (const [index, batch] of batched(ops).entries()) {
      const resumed = new RowBatches(op => ({ size: SIZES[op], bytes: 8_000_000 }))
      const rest = ops.flatMap((op, i) =>
        10 + i < batch.start ? [] : resumed.add(op, sized(10 + i, { op, seq: i })),
      )
      expect(shapes([...rest, ...resumed.flush()])).toEqual(whole.slice(index))
    }
  })
})
