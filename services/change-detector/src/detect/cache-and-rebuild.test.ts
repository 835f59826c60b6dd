/**
 * Random histories of the topics of one sync: runs whose outcomes are written, or lost track of (a fault),
 * and what a recovery writes about them later. A cache that is fed after each run holds what one does that is
 * built of the topics alone (R3).
 */
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Fault } from '@sluice/contracts/records'
import type { Op, Outcome } from '@sluice/contracts/state'
import { openDeliveredState } from '@sluice/delivered-state/adapters/duckdb'
import { readStateTables } from '@sluice/delivered-state/test/state-tables'
import { INCARNATION, sampleEntry, SYNC } from '@sluice/testkit/sample-records'
import { randomFrom, type Random } from '@sluice/testkit/random'
import { openTestLog, type TestLog } from '@sluice/testkit/test-log'
import { writeChanges } from '@sluice/testkit/write-changes'
import { at, syncTopics, textKey } from '@sluice/topics/topics'
import { feedState } from './feed-state.ts'

const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))
const HISTORIES = 3
const RUNS = 8
const PARTITIONS = 2
const KEYS = ['a', 'b', 'c', 'd', 'e']
const OPS: readonly (Op | 'settled')[] = ['settled', 'removed', 'changed', 'added']
const KINDS = ['absent', 'present', 'content-uncertain', 'existence-uncertain'] as const
const OUTCOMES: readonly Outcome[] = ['delivered', 'rejected', 'unknown', 'unsent']
const COLUMNS = [
  { name: 'id', type: { kind: 'text' } },
  { name: 'v', type: { kind: 'integer' } },
] as const

const { signal } = new AbortController()

interface Sent {
  readonly partition: number
  readonly key: string
  readonly op: Op | 'settled'
  readonly run: number
  readonly seq: number
}

it.each(Array.from({ length: HISTORIES }, (_, index) => SEED + index))(
  'holds the same in cache and rebuild, whatever was lost track of (SLUICE_TEST_SEED=%i)',
  { timeout: 60_000 },
  async seed => {
    const random = randomFrom(seed)
    await using world = await openTestLog({ partitions: PARTITIONS })
    const faults: Fault[] = []
    // Those that a sync carries on.
    let carried: readonly Fault[] = []
    let late: readonly Sent[] = []
    for (let run = 1; run <= RUNS; run += 1) {
      const sent: Sent[] = []
      for (let partition = 0; partition < PARTITIONS; partition += 1)
        sent.push(...(await writeRun(world, { run, partition, random })))
      // A recovery writes of the run before, which has ended, while this one looks at the topics.
      await writeOutcomes(world, late, random)
      const lost = random.chance(0.5) ? random.below(PARTITIONS) : -1
      const from = random.below(3)
      if (lost >= 0) {
        const fault = { partition: lost, run, from }
        faults.push(fault)
        carried = [...carried, fault]
      }
      late = sent.filter(({ partition, seq }) => partition === lost && seq >= from)
      await writeOutcomes(
        world,
        sent.filter(each => !late.includes(each) || random.chance(0.3)),
        random,
      )
      carried = await feed(world, 'cache', carried)
      if (random.chance(0.5)) continue
      const found = await feed(world, `rebuilt-${run}`, random.chance(0.5) ? faults : carried)
      expect(found).toEqual(carried)
      const [cached, rebuilt] = await readStateTables([
        fileOf(world, 'cache'),
        fileOf(world, `rebuilt-${run}`),
      ])
      expect(cached).toEqual(rebuilt)
    }
  },
)

/** Writes changes of some keys. A key has at most one change in a run. */
async function writeRun(
  world: TestLog,
  { run, partition, random }: { readonly run: number; readonly partition: number; readonly random: Random },
): Promise<readonly Sent[]> {
  const begin = { run, runId: `RUN${run}`, definition: 'd', startedAt: 1, first: run === 1 }
  const keys = KEYS.filter((_, index) => (index + run) % PARTITIONS === partition && random.chance(0.7))
  const changes = keys
    .map(key => ({ key, op: random.pick(OPS) }))
    .sort((a, b) => OPS.indexOf(a.op) - OPS.indexOf(b.op))
  const rows = changes.map(({ key, op }) => {
    const row = { id: key, v: run }
    const settledState = op === 'settled' ? random.pick(KINDS) : null
    const isGone = op === 'removed' || settledState === 'absent'
    const before = op === 'added' ? null : { id: key, v: run - 1 }
    const beforeState = op === 'added' ? ('absent' as const) : ('present' as const)
    const change = { op, before, beforeState, settledState, after: isGone ? null : row }
    return { key, row, change }
  })
  await writeChanges(world, { begin, columns: COLUMNS, rows, partition })
  return changes.map((change, seq) => ({ ...change, partition, run, seq }))
}

async function writeOutcomes(world: TestLog, sent: readonly Sent[], random: Random): Promise<void> {
  const { retry } = syncTopics(world.prefix, SYNC)
  for (const { partition, key, op, run, seq } of sent) {
    const outcome = random.pick(OUTCOMES)
    if (op === 'settled') continue
    const entry = sampleEntry({ incarnation: INCARNATION, owner: -1, run, seq, op, outcome })
    const value = outcome === 'delivered' ? null : world.io.encode('RetryEntry', entry)
    await world.append(at(retry, partition), [{ key: textKey(key), value }])
  }
}

async function feed(world: TestLog, name: string, faults: readonly Fault[]): Promise<readonly Fault[]> {
  const of = { partitions: PARTITIONS, incarnation: INCARNATION }
  await using state = await openDeliveredState({ ...of, file: fileOf(world, name), sync: SYNC })
  return await feedState(state, { ...world, ...of, topics: syncTopics(world.prefix, SYNC), faults, signal })
}

function fileOf({ folder }: TestLog, name: string): string {
  return join(folder, name)
}
