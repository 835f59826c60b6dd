import { describe, expect, it } from 'vitest'
import type { SyncSpec } from '@sluice/contracts/resources'
import type { DetectedChange } from '@sluice/delivered-state/port'
import { blockRowsOf, PartitionAssigner } from './assign-partitions.ts'

type Placed = Pick<DetectedChange, 'op' | 'partition'>

/** `count` changes of an op; where they stand already, or null for keys that nobody knows. */
function rows(op: DetectedChange['op'], count: number, partition: number | null = null): Placed[] {
  return Array.from({ length: count }, () => ({ op, partition }))
}

function assign(changes: readonly Placed[], blockRows: number, partitions = 4): number[] {
  const assigner = new PartitionAssigner(partitions, () => blockRows)
  return changes.map(change => assigner.partitionOf(change))
}

/** Counts the rows that each partition got. */
function shares(assigned: readonly number[], partitions = 4): number[] {
  return Array.from({ length: partitions }, (_, p) => assigned.filter(partition => partition === p).length)
}

describe('the partition of a change', () => {
  it('is the first one for all rows of a run that fit into a batch', () => {
    expect(assign(rows('added', 4), 100)).toEqual([0, 0, 0, 0])
  })

  it('is the next one once a batch is full: 250 rows make two full batches and a half', () => {
    expect(shares(assign(rows('added', 250), 100))).toEqual([100, 100, 50, 0])
  })

  it('goes round, so that all partitions share a large run in blocks of a batch', () => {
    const assigned = assign(rows('added', 1000), 100)
    expect(shares(assigned)).toEqual([300, 300, 200, 200])
    expect(assigned.slice(395, 405)).toEqual([3, 3, 3, 3, 3, 0, 0, 0, 0, 0])
  })

  it('begins with the first again for each op', () => {
    expect(assign([...rows('settled', 3), ...rows('added', 3)], 2)).toEqual([0, 0, 1, 0, 0, 1])
  })

  it('is the one where the key is already, whatever else goes on', () => {
    const changes = [
      ...rows('changed', 3, 3),
      ...rows('added', 1),
      ...rows('added', 2, 2),
      ...rows('added', 1),
    ]
    expect(assign(changes, 2)).toEqual([3, 3, 3, 0, 2, 2, 0])
  })

  it('fills up the batch that rows which stay have begun', () => {
    const stay = [...rows('added', 30, 1), ...rows('added', 40, 0)]
    expect(shares(assign([...stay, ...rows('added', 150)], 100))).toEqual([100, 100, 20, 0])
  })

  it('is the only one there is', () => {
    expect(assign(rows('added', 5), 2, 1)).toEqual([0, 0, 0, 0, 0])
  })
})

describe('the rows of a block', () => {
  const sync: SyncSpec = {
    kind: 'sync',
    name: 's',
    model: 'm',
    destination: 'd',
    schedule: 'manual',
    firstRun: 'backfill',
    timeout: 1000,
    partitions: 4,
    triggers: {
      added: { method: 'POST', path: '/a', batch: { size: 250, bytes: 1000 } },
      changed: 'added',
      removed: { method: 'DELETE', path: '/r' },
    },
  }

  it('are those of a batch of the trigger, and a hundred where there is none', () => {
    const of = blockRowsOf(sync)
    expect([of('added'), of('changed'), of('removed'), of('settled')]).toEqual([250, 250, 100, 100])
  })
})
