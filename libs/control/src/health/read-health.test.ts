import { expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { RunsView } from '@sluice/runs/runs-view'
import { openTestLog } from '@sluice/testkit/test-log'
import { at, sharedTopics } from '@sluice/topics/topics'
import { readHealth, type GroupMember, type HealthSource } from './read-health.ts'

const { signal } = new AbortController()
const SOURCE: HealthSource = {
  ...{ profile: 'distributed', version: '1.2.3', startedAt: 0, host: 'here' },
  checks: () => Promise.resolve([]),
  members: () => Promise.resolve([]),
}

async function healthOf(source: Partial<HealthSource>, members?: (prefix: string) => GroupMember[]) {
  await using log = await openTestLog({ partitions: 0 })
  await using runs = await RunsView.open(log, { signal })
  const of = members === undefined ? {} : { members: () => Promise.resolve(members(log.prefix)) }
  return await readHealth({ ...log, runs }, { ...SOURCE, ...source, ...of }, signal)
}

it('names the owner of each partition, and the processes by what they own', async () => {
  const membersOf = (prefix: string): GroupMember[] => {
    const { commands } = sharedTopics(prefix)
    const host = '10.0.0.1'
    const detector = { group: `${prefix}.detector`, client: 'sluice-change-detector' }
    const delivery = { client: 'sluice-delivery', host }
    return [
      { ...detector, host, partitions: [at(commands, 0), at(commands, 1)] },
      { ...detector, host: '10.0.0.2', partitions: [at(commands, 2)] },
      { ...delivery, group: `${prefix}.delivery.people.01AB`, partitions: [at('x', 0)] },
      { ...delivery, group: `${prefix}.delivery.orders.01AC`, partitions: [at('y', 0)] },
    ]
  }
  const { processes, stages, notices } = await healthOf({}, membersOf)
  expect(processes).toEqual([
    { client: 'sluice-change-detector', host: '10.0.0.1', partitions: 2, syncs: [] },
    { client: 'sluice-change-detector', host: '10.0.0.2', partitions: 1, syncs: [] },
    { client: 'sluice-delivery', host: '10.0.0.1', partitions: 2, syncs: ['orders', 'people'] },
  ])
  const [detector] = stages
  expect(detector).toMatchObject({ stage: 'change-detector', sync: null })
  expect(detector?.partitions.slice(0, 4).map(({ owner }) => owner)).toEqual([
    'sluice-change-detector at 10.0.0.1',
    'sluice-change-detector at 10.0.0.1',
    'sluice-change-detector at 10.0.0.2',
    null,
  ])
  expect(notices).toEqual([])
})

it('tells what it could not find out, and all else', async () => {
  const down = new SluiceError('unreachable', 'Kafka does not answer')
  const { notices, stages, version } = await healthOf({ members: () => Promise.reject(down) })
  expect(notices).toEqual(['who owns which partitions: Kafka does not answer'])
  expect([stages.length, version]).toEqual([1, '1.2.3'])
  await expect(healthOf({ members: () => Promise.reject(new Error('a bug')) })).rejects.toThrow('a bug')
})

it('is of one process where one owns all', async () => {
  const { processes, stages } = await healthOf({ profile: 'embedded', members: null })
  expect(processes).toEqual([{ client: 'sluice up', host: 'here', partitions: 8, syncs: [] }])
  expect(stages[0]?.partitions[0]?.owner).toBe('this process')
})
