/**
 * The promises of the three services together when a cancel, a kill, a command or an outage comes at the
 * wrong moment.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import type { Fault, RunEvent } from '@sluice/contracts/records'
import type { DetectorDeps } from '@sluice/change-detector/change-detector'
import type { NewRecord, TopicPartition } from '@sluice/message-log/port'
import { at, homePartition, isMarkerKey, runKey, sharedTopics, syncTopics } from '@sluice/topics/topics'
import { changeResources } from '@sluice/resources/change-resources'
import { plainExtracts } from '@sluice/sources/test/plain-extracts'
import type { Source } from '@sluice/sources/port'
import { deletionKey, readResources } from '@sluice/resources/stored-resources'
import { SYNC } from '@sluice/testkit/sample-records'
import { PREFIX } from '@sluice/testkit/test-log'
import { outage, watchedLog } from '@sluice/testkit/watched-log'
import { OneProcess, pausingStates, stateWith } from './one-process.ts'

/** Enough rows that a diff gives them in two batches. */
const MANY = numbers(0, 5000)
const BATCHES = {
  added: {
    method: 'POST',
    path: '/batch',
    batch: { size: 300 },
    body: { json: '[{% for row in rows %}{{ row.id }},{% endfor %}]' },
  },
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}

/** An event that happens in one place, while another place waits for it. */
const turn = (): PromiseWithResolvers<void> => Promise.withResolvers<void>()

/** Says whether the log refuses a record. `status` is the one of a run's event. */
type Refuses = (target: TopicPartition, record: NewRecord, status: string | null) => boolean

const { signal } = new AbortController()

let world: OneProcess
let opened: OneProcess[]

async function open(sync?: Parameters<typeof OneProcess.open>[0]): Promise<OneProcess> {
  world = await OneProcess.open(sync)
  opened.push(world)
  return world
}

beforeEach(() => {
  opened = []
})
afterEach(async () => {
  for (const one of opened) await one[Symbol.asyncDispose]()
})

describe('a run that is cancelled while it publishes', () => {
  it.each([
    ['one by one', {}],
    ['in batches', { triggers: BATCHES }],
  ])(
    'ends only once all its published rows are accounted for, and the next run loses no row: rows %s',
    async (_how, sync) => {
      await open(sync)
      await world.setRows(MANY)
      const cancelled = turn()
      world.api.gate = cancelled.promise
      let first = ''
      let second: string | null = null
      const openState = pausingStates(world.openState, async () => {
        if (second !== null) return
        second = await world.command()
        await world.until(second, ({ status }) => status === 'queued')
        await world.command({ kind: 'cancel', run: first })
        await world.until(first, ({ cancelling }) => cancelling)
        cancelled.resolve()
      })
      world.start({ openState })
      first = await world.command()
      const { status, counts } = await world.ended(first)
      const { detected = 0, delivered = 0, unsent = 0 } = counts.added ?? {}
      expect({ status, detected }).toEqual({ status: 'cancelled', detected: delivered + unsent })
      expect(detected).toBeGreaterThan(0)
      expect(unsent).toBeGreaterThan(0)
      await world.ended(second ?? 'the run that was asked for meanwhile')
      expect(await world.run()).toMatchObject({ status: 'success' })
      expect([...world.api.ids].sort((a, b) => a - b)).toEqual(MANY)
    },
    60_000,
  )
})

describe('a run', () => {
  it('has its files closed by the time that others see its end, and an end that stays', async () => {
    await open({ removalGuard: { share: 0.1, rows: 1 } })
    await world.setRows(numbers(0, 5))
    const services = world.start()
    expect(await world.run()).toMatchObject({ status: 'success' })
    await services.drain()
    // Somebody has taken its folder away, say, so that it cannot be closed in good order.
    const unclosed: string[] = []
    const openState: DetectorDeps['openState'] = async of => {
      const state = await world.openState(of)
      return stateWith(state, {
        [Symbol.asyncDispose]: async () => {
          unclosed.push(world.events().at(-1)?.status ?? '')
          await state[Symbol.asyncDispose]()
          throw new SluiceError('disk', 'the folder is gone')
        },
      })
    }
    world.start({ openState })
    // A run that has nothing to send, and one that would be held.
    expect(await world.run()).toMatchObject({ status: 'failed', error: 'the folder is gone' })
    await world.setRows([])
    expect(await world.run()).toMatchObject({ status: 'failed', error: 'the folder is gone' })
    expect(unclosed).toEqual(['running', 'running'])
  })

  const { changes } = syncTopics(PREFIX, SYNC)
  const { runs } = sharedTopics(PREFIX)
  const isChange = ({ topic }: TopicPartition, { key }: NewRecord): boolean =>
    topic === changes && !isMarkerKey(key)
  /** The number of runs that fail. A run whose reason could not be noted is replaced by another one, once. */
  const REFUSED: readonly (readonly [string, number, Refuses])[] = [
    [
      'changes in the first partition',
      2,
      (target, record) => isChange(target, record) && target.partition === 0,
    ],
    [
      'changes in another partition',
      1,
      (target, record) => isChange(target, record) && target.partition === 1,
    ],
    ['that it is running', 1, ({ topic }, _, status) => topic === runs && status === 'running'],
  ]
  it.each(REFUSED)(
    'ends with the reason where the log takes no record each time: %s',
    async (_what, most, refuses) => {
      await open({ triggers: BATCHES })
      await world.setRows(MANY)
      const tooLarge = new SluiceError('too-large', 'the topic takes no record of that size')
      const { signal } = new AbortController()
      const log = watchedLog(world.log.log, async (target, records) => {
        for (const record of records) {
          const [told] =
            target.topic === runs && record.value !== null
              ? await world.log.io.decode([record.value], { signal })
              : []
          const status = told?.name === 'sluice.RunEvent' ? told.value.status : null
          if (refuses(target, record, status)) throw tooLarge
        }
      })
      world.start({ log })
      await world.command()
      const failed = (): boolean => world.events().some(({ error }) => error === tooLarge.message)
      await world.log.runs.until(failed, { signal: AbortSignal.timeout(20_000) })
      const ends = await world.allEnded()
      expect(ends.map(({ status }) => status)).not.toContain('success')
      expect(ends.length).toBeLessThanOrEqual(most)
    },
    30_000,
  )

  it('fails with the reason if the source fails in an unforeseen way', async () => {
    await open()
    world.start({ openSource: () => Promise.reject(new TypeError('a bug')) })
    expect(await world.run()).toMatchObject({ status: 'failed', error: 'a bug', errorCode: 'internal' })
  })

  it('that is asked for while an earlier run is taken up again comes to an end', async () => {
    await open()
    await world.setRows(numbers(0, 5))
    await world.killWhilePublishing()
    // The command arrives while the event that queues the cut run again is on its way to the log.
    let isReplaced = false
    let asked: Promise<string> | null = null
    const next = turn()
    const log = watchedLog(world.log.log, async ({ topic }) => {
      if (topic !== sharedTopics(PREFIX).runs || !isReplaced) return
      if (asked !== null) return next.resolve()
      asked = world.command()
      await asked
      // Its own event follows at once or only after this one. The detector may choose.
      await Promise.race([next.promise, new Promise(resolve => setTimeout(resolve, 200))])
    })
    const newRunId = (): string => {
      isReplaced = true
      return '01JD0000000000000000000000'
    }
    world.start({ log, newRunId })
    await world.ended('01JD0000000000000000000000')
    const run = await (asked ?? Promise.reject(new Error('nothing was asked for')))
    expect(await world.ended(run)).toMatchObject({ cause: 'manual' })
  })

  it('is not delayed by a command for a sync that does not exist', async () => {
    await open()
    const resolveDefinition = (sync: string) =>
      sync === SYNC
        ? Promise.resolve(world.definition)
        : Promise.reject(new SluiceError('not-found', `there is no sync ${sync}`))
    world.start({ resolveDefinition })
    const other = numbers(0, 1000)
      .map(i => `n${i}`)
      .find(sync => homePartition(sync) === homePartition(SYNC))
    const [missing, run] = [await world.command({ sync: other ?? '' }), await world.command()]
    expect(await world.ended(run)).toMatchObject({ status: 'success' })
    const failed = await world.ended(missing, other)
    expect(failed).toMatchObject({ status: 'failed', errorCode: 'not-found' })
  })

  it('survives an outage that comes while the next run is asked for, and so does the next run', async () => {
    await open()
    await world.setRows(numbers(0, 5))
    const answers = turn()
    world.api.gate = answers.promise
    const refused = turn()
    let refuses = false
    const log = watchedLog(world.log.log, async ({ topic }) => {
      if (!refuses || topic !== sharedTopics(PREFIX).runs) return
      refuses = false
      refused.resolve()
      throw outage()
    })
    world.start({ log })
    const first = await world.command()
    await world.until(first, ({ complete }) => complete)
    refuses = true
    const second = await world.command()
    await refused.promise
    answers.resolve()
    await world.ended(second)
    const events = (await world.allEnded()).map(({ runId, status, error }) => [runId, status, error])
    expect(events).toEqual([
      [first, 'success', null],
      [second, 'success', null],
    ])
  })
})

describe('a sync that skips existing rows', () => {
  it.each(['the same process', 'the next process'])(
    'sends rows that come after a first run which found none, by %s',
    async by => {
      await open({ firstRun: 'skip-existing' })
      const services = world.start()
      await world.run()
      if (by === 'the next process') {
        await services.drain()
        world.start()
      }
      await world.setRows([1, 2])
      expect(await world.run()).toMatchObject({ status: 'success' })
      expect(new Set(world.api.sent)).toEqual(new Set([1, 2]))
      expect(world.api.sent).toHaveLength(2)
    },
  )

  it('does a first run again that was cut, and sends only rows that come later', async () => {
    await open({ firstRun: 'skip-existing' })
    await world.setRows(MANY)
    await world.killWhilePublishing()
    world.start()
    await world.run()
    await world.allEnded()
    expect(world.api.sent).toEqual([])
    await world.setRows([...MANY, 5000])
    await world.run()
    expect(world.api.sent).toEqual([5000])
  })
})

it('goes with its topics, though its schedule started a run before its deletion was marked', async () => {
  await open()
  const { log } = world
  await world.setRows([1])
  const answered = turn()
  world.api.gate = answered.promise
  world.start()
  const run = await world.command()
  await world.until(run, ({ complete }) => complete)
  const incarnation = world.events()[0]?.incarnation ?? ''
  const spec = JSON.stringify(world.definition.sync)
  for (const next of [{ project: 'p', spec }, null])
    await changeResources(log, () => [{ kind: 'sync', name: SYNC, next }], { by: 'ada', signal })
  const refused = await world.command({ kind: 'reset', cause: 'reset', run: incarnation })
  expect((await world.ended(refused)).error).toContain(`run ${run} is running`)
  answered.resolve()
  await log.runs.until(
    () => world.events().some(({ cause, status }) => cause === 'reset' && status === 'success'),
    { signal },
  )
  expect(await log.log.partitionsOf(syncTopics(PREFIX, SYNC).changes, { signal })).toBeNull()
  expect((await readResources(log, { signal })).has(deletionKey(SYNC))).toBe(false)
}, 30_000)

it('reads a model again by the schedule only once something has changed', async () => {
  await open()
  const { log } = world
  await world.setRows([1, 2])
  const spec = JSON.stringify({ ...world.definition.sync, schedule: { every: 1000 } })
  let [reads, isUnchanged] = [0, true]
  const openSource = async (): Promise<Source> => {
    const source = plainExtracts(log.folder)
    const extract: Source['extract'] = async (...of) => {
      reads += 1
      return { ...(await source.extract(...of)), isUnchanged: () => isUnchanged }
    }
    return {
      describe: (...of) => source.describe(...of),
      extract,
      [Symbol.asyncDispose]: async () => undefined,
    }
  }
  world.start({ openSource, runsSchedules: true })
  await changeResources(log, () => [{ kind: 'sync', name: SYNC, next: { project: 'p', spec } }], {
    by: 'ada',
    signal,
  })
  const ofSchedule = () =>
    world.events().filter(({ cause, status }) => cause === 'schedule' && status === 'success')
  const runs = (more: number): Promise<void> => {
    const before = ofSchedule().length
    return log.runs.until(() => ofSchedule().length >= before + more, { signal })
  }
  await runs(5)
  expect([reads, new Set(world.api.sent)]).toEqual([2, new Set([1, 2])])
  expect(ofSchedule().at(-1)).toMatchObject({ rowsRead: 2, counts: ofSchedule()[1]?.counts })
  await world.setRows([1, 2, 3])
  isUnchanged = false
  await log.runs.until(() => world.api.sent.length === 3, { signal })
  isUnchanged = true
  expect(world.api.sent).toContain(3)
  await runs(3)
  const before = reads
  // Somebody who asks is not told of what was read before.
  await world.run()
  expect(reads).toBe(before + 1)
  world.definition = { ...world.definition, sync: { ...world.definition.sync, triggers: {} } }
  await runs(2)
  expect(reads).toBeGreaterThan(before + 1)
}, 30_000)

it('carries on no more faults than it has rows in doubt, though each of its runs has an invalid row', async () => {
  await open()
  const { log } = world
  for (let run = 1; run <= 5; run += 1) {
    // A row without a key, which is invalid, and a new one in each run.
    await writeFile(join(log.folder, 'rows.csv'), ['id', '""', ...numbers(0, run), ''].join('\n'))
    const services = world.start()
    const event = await world.run()
    await services.drain()
    expect(event).toMatchObject({ run, status: 'warning', rowsInvalid: 1, complete: true })
    // Rows of a fault are sent again, and so is the new one.
    expect([...new Set(world.api.sent.splice(0))].sort((a, b) => a - b)).toEqual(
      run === 1 ? [0] : numbers(0, run),
    )
    // Those of the run before, in each partition that had a row.
    expect(new Set(event.faults.map(fault => fault.run))).toEqual(new Set(run === 1 ? [] : [run - 1]))
    // Delivery lost track of it.
    const faults: readonly Fault[] = [0, 1].map(partition => ({ partition, run, from: 0 }))
    const failed: RunEvent = { ...event, status: 'failed', faults: [...event.faults, ...faults] }
    const key = runKey(SYNC, event.runId)
    await log.append(at(sharedTopics(PREFIX).runs, homePartition(SYNC)), [
      { key, value: log.io.encode('RunEvent', failed) },
    ])
    await world.until(event.runId, ({ status }) => status === 'failed')
  }
}, 60_000)

it('takes a command that it passed over, once the sync becomes one of its own', async () => {
  await open()
  await world.setRows([1])
  const passed = turn()
  const only = new (class extends Set<string> {
    override has(sync: string): boolean {
      if (sync === SYNC && !super.has(sync)) passed.resolve()
      return super.has(sync)
    }
  })()
  world.start({ only })
  const early = await world.command()
  await passed.promise
  expect(world.events()).toEqual([])
  only.add(SYNC)
  await world.command()
  expect((await world.ended(early)).status).toBe('success')
  await world.allEnded()
  expect(world.api.sent).toEqual([1])
})
