import { expect, it } from 'vitest'
import { plainRecord, setKey } from '@sluice/resources/stored-resources'
import { NO_STAGE_METRICS } from '@sluice/partition/stage-metrics'
import { sampleDefinition, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { at, sharedTopics, textKey } from '@sluice/topics/topics'
import { SyncSchedules } from './sync-schedules.ts'

const RESOURCES = at(sharedTopics(PREFIX).resources, 0)
const scheduled = (cron: string): string =>
  JSON.stringify(sampleDefinition({ sync: { schedule: { cron } } }).sync)

async function write(world: TestLog, key: string, spec: string): Promise<void> {
  const [kind = '', name = ''] = key.split('/')
  const value = world.io.encode('ResourceRecord', plainRecord(kind, name, spec))
  await world.append(RESOURCES, [{ key: textKey(key), value }])
}

it('is what a set says that a process wrote which died before it wrote each record', async () => {
  await using world = await openTestLog({ partitions: 0 })
  await write(world, `sync/${SYNC}`, scheduled('0 * * * *'))
  const entry = { ...plainRecord('sync', SYNC, scheduled('30 * * * *')), version: 2 }
  await write(world, setKey('id'), JSON.stringify([[`sync/${SYNC}`, entry]]))
  const stop = new AbortController()
  const schedules = new SyncSchedules(world, () => undefined)
  const following = schedules.follow(stop.signal)
  while (schedules.all.size === 0) {
    const seen = schedules.changes.version
    if (schedules.all.size === 0) await schedules.changes.after(seen, { signal: stop.signal })
  }
  expect(schedules.all.get(SYNC)?.by).toContain('30 * * * *')
  stop.abort()
  await following
})

it('tells of each sync that there is, so that its counters begin at 0 before its first run', async () => {
  await using world = await openTestLog({ partitions: 0 })
  await write(world, 'sync/daily', scheduled('0 0 * * *'))
  await write(world, 'sync/manual', JSON.stringify({ ...sampleDefinition({}).sync, schedule: 'manual' }))
  await write(world, 'model/people', JSON.stringify(sampleDefinition({}).model))
  const known: string[] = []
  const stageMetrics = { ...NO_STAGE_METRICS, known: (sync: string) => void known.push(sync) }
  const stop = new AbortController()
  const schedules = new SyncSchedules(
    { log: world.log, io: world.io, prefix: PREFIX, stageMetrics },
    () => undefined,
  )
  const following = schedules.follow(stop.signal)
  while (schedules.all.size === 0) {
    const seen = schedules.changes.version
    if (schedules.all.size === 0) await schedules.changes.after(seen, { signal: stop.signal })
  }
  expect(known).toEqual(['daily', 'manual'])
  stop.abort()
  await following
})
