/**
 * A sync that cannot go on, because Kafka refuses one of its topics, or one of its documents is not valid.
 * Its run ends and says why, and the services go on. Once the sync can go on, the next run brings the
 * destination to the model's rows, and nothing is lost.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import type { Definition } from '@sluice/contracts/resources'
import type { TopicPartition } from '@sluice/message-log/port'
import { at, homePartition, sharedTopics, syncTopics, syncTopicSpecs, textKey } from '@sluice/topics/topics'
import { knownIncarnation } from '@sluice/resources/incarnations'
import { randomFrom } from '@sluice/testkit/random'
import { SYNC } from '@sluice/testkit/sample-records'
import { watchedLog } from '@sluice/testkit/watched-log'
import { OneProcess, type Services } from './one-process.ts'

vi.setConfig({ testTimeout: 30_000 })

const PARTITIONS = 2
const { signal } = new AbortController()
const refusal = (topic: string): string => `appending to ${topic}: Kafka answered TOPIC_AUTHORIZATION_FAILED`

let world: OneProcess
let life: Services
/** The topics to which Kafka refuses writes now. */
const refused = new Set<string>()
/** Called with each append that passes. */
let onAppend: (target: TopicPartition) => void = () => undefined

beforeEach(async () => {
  world = await OneProcess.open({ partitions: PARTITIONS })
  start()
})
afterEach(async () => {
  refused.clear()
  onAppend = () => undefined
  await world[Symbol.asyncDispose]()
})

function start(): void {
  const watched = watchedLog(world.log.log, async target => {
    if (refused.has(target.topic)) throw new SluiceError('unreachable', refusal(target.topic))
    onAppend(target)
  })
  life = world.start({}, watched)
}

const topics = () => syncTopics(world.log.prefix, SYNC)
const ids = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

/** Expects that one run brings the destination to these rows, and that the services still run. */
async function expectToArrive(rows: readonly number[]): Promise<void> {
  await world.setRows(rows)
  const run = await world.run()
  expect(run, run.error ?? '').toMatchObject({ status: 'success' })
  expect([...world.api.ids].toSorted((a, b) => a - b)).toEqual(rows)
  await expect(Promise.race([life.failed, Promise.resolve('alive')])).resolves.toBe('alive')
}

describe('a sync whose topic Kafka refuses to write', () => {
  it.each(['changes', 'requests', 'attempts', 'retry', 'captured'] as const)(
    '%s: the run that is asked for fails and says so, and the next one arrives once it is allowed',
    async name => {
      await expectToArrive([1, 2])
      refused.add(topics()[name])
      await world.setRows(ids(2, 9))
      const run = await world.run()
      expect(run).toMatchObject({ status: 'failed', errorCode: 'unreachable' })
      expect(run.error).toContain(refusal(topics()[name]))
      refused.clear()
      await expectToArrive(ids(2, 9))
    },
  )

  it.each(['requests', 'attempts', 'retry'] as const)(
    '%s, in the middle of a run: what is not known of is sent again, and counts add up',
    async name => {
      await expectToArrive([1, 2])
      await world.setRows(ids(2, 150))
      let appends = 0
      onAppend = ({ topic }) => {
        if (topic !== topics()[name]) return
        appends += 1
        if (appends === 3) refused.add(topic)
      }
      const run = await world.run()
      expect(run).toMatchObject({ status: 'failed', errorCode: 'unreachable', complete: true })
      for (const { detected, delivered, rejected, unknown, unsent } of Object.values(run.counts))
        expect(delivered + rejected + unknown + unsent).toBe(detected)
      refused.clear()
      onAppend = () => undefined
      await expectToArrive(ids(2, 150))
    },
  )

  it('a renderer that cannot go on lets what it has rendered be delivered before the run ends', async () => {
    await expectToArrive([1, 2])
    await world.setRows(ids(1, 60))
    const answers = Promise.withResolvers<void>()
    world.api.gate = answers.promise
    let appends = 0
    onAppend = ({ topic }) => {
      if (topic !== topics().requests) return
      appends += 1
      // Takeover and begin of both partitions, and the rows of one.
      if (appends === 5) refused.add(topic)
    }
    const asked = await world.command()
    await world.log.runs.until(
      () => [...(world.log.runs.of(SYNC)?.reports.values() ?? [])].some(({ error }) => error !== null),
      { signal },
    )
    expect(world.events().find(({ runId }) => runId === asked)?.status).toBe('running')
    answers.resolve()
    const run = await world.ended(asked)
    expect(run).toMatchObject({ status: 'failed', errorCode: 'unreachable' })
    expect(run.error).toContain('its requests cannot be rendered')
    expect(run.counts.added?.delivered).toBe(world.api.sent.length - 2)
    expect(run.counts.added?.delivered).toBeGreaterThan(0)
    refused.clear()
    onAppend = () => undefined
    await expectToArrive(ids(1, 60))
  })

  it('can be cancelled and reset', async () => {
    await expectToArrive([1, 2])
    await world.setRows([1, 2, 3])
    refused.add(topics().changes)
    const failed = await world.run()
    expect(failed.status).toBe('failed')
    await world.command({ kind: 'cancel', run: failed.runId })
    const reset = await world.command({ kind: 'reset', cause: 'reset' })
    expect(await world.ended(reset)).toMatchObject({ status: 'success' })
    refused.clear()
    await expectToArrive([1, 2, 3])
  })

  it('ends the run that an earlier detector left open, and seals it once it can', async () => {
    await expectToArrive([1, 2])
    await world.setRows(ids(1, 20))
    await life.kill()
    await world.killWhilePublishing()
    refused.add(topics().changes)
    start()
    const cut = world.events().at(-1)
    const run = await world.ended(cut?.runId ?? '')
    expect(run).toMatchObject({ status: 'failed', errorCode: 'unreachable' })
    refused.clear()
    await expectToArrive(ids(1, 20))
  })

  it('loses no row, whichever write Kafka refuses', async () => {
    const seed = Number(process.env['SET_ASIDE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    const random = randomFrom(seed)
    let rows: readonly number[] = [1, 2]
    for (let round = 0; round < 4; round += 1) {
      rows = ids(1, 30).filter(() => random.chance(0.6))
      await world.setRows(rows)
      const name = random.pick(['changes', 'requests', 'attempts', 'retry', 'captured'] as const)
      let left = random.below(12)
      onAppend = ({ topic }) => {
        if (topic !== topics()[name]) return
        left -= 1
        if (left < 0) refused.add(topic)
      }
      await world.run()
      refused.clear()
      onAppend = () => undefined
      if (random.chance(0.5)) await world.run()
    }
    await world.allEnded()
    await world.setRows(rows)
    expect(await world.run(), `SET_ASIDE_SEED=${seed}`).toMatchObject({ status: 'success' })
    expect(
      [...world.api.ids].toSorted((a, b) => a - b),
      `SET_ASIDE_SEED=${seed}`,
    ).toEqual(rows)
  })
})

describe('a sync whose topics were made beforehand', () => {
  it('with another number of partitions fails and says so, until a reset', async () => {
    const { log, prefix } = world.log
    await log.ensureTopics(syncTopicSpecs(prefix, SYNC, 3).slice(0, 1), { signal })
    await world.setRows([1])
    const run = await world.run()
    expect(run).toMatchObject({ status: 'failed', errorCode: 'conflict' })
    expect(run.error).toContain('has 3 partition')
    // The missing topics exist by now.
    expect(await world.run()).toMatchObject({ status: 'failed', errorCode: 'conflict' })
    const reset = await world.command({ kind: 'reset', cause: 'reset' })
    expect(await world.ended(reset)).toMatchObject({ status: 'success' })
    await expectToArrive([1])
  })
})

describe('a sync with an invalid record', () => {
  const junk = [{ key: textKey('x'), value: new TextEncoder().encode('no Avro at all') }]

  it('in changes: its runs fail, until a reset', async () => {
    await expectToArrive([1, 2])
    await world.log.append(at(topics().changes, 0), junk)
    await world.setRows([1, 2, 3])
    for (let run = 0; run < 2; run += 1)
      expect(await world.run()).toMatchObject({ status: 'failed', errorCode: 'corrupt' })
    const reset = await world.command({ kind: 'reset', cause: 'reset' })
    expect(await world.ended(reset)).toMatchObject({ status: 'success' })
    await expectToArrive([1, 2, 3])
  })

  it('in the middle of its requests: that run fails, and the next one passes it over', async () => {
    await expectToArrive([1, 2])
    await world.setRows(ids(1, 30))
    let appends = 0
    onAppend = ({ topic, partition }) => {
      if (topic !== topics().requests || partition !== 0) return
      appends += 1
      // Behind the run's begin and before its rows.
      if (appends === 3) void world.log.append(at(topic, 0), junk)
    }
    expect(await world.run()).toMatchObject({ status: 'failed', errorCode: 'corrupt' })
    expect(appends).toBeGreaterThan(3)
    await expectToArrive(ids(1, 30))
  })
})

it('a sync that does not exist fails the run that is asked for, and leaves nothing else behind', async () => {
  await life.kill()
  life = world.start({ resolveDefinition: () => Promise.reject(new SluiceError('not-found', 'no sync')) })
  for (let asked = 0; asked < 2; asked += 1)
    expect(await world.run()).toMatchObject({ status: 'failed', errorCode: 'not-found' })
  expect(await knownIncarnation(world.log, SYNC, { signal })).toBeNull()
  await life.kill()
  start()
  await expectToArrive([1, 2])
})

it('ten zero bytes in any shared topic end nothing, now and after a restart', async () => {
  await expectToArrive([1, 2])
  const { resources, definitions, commands, runs } = sharedTopics(world.log.prefix)
  const home = homePartition(SYNC)
  for (const target of [at(resources, 0), at(definitions, 0), at(commands, home), at(runs, home)])
    for (const key of ['', 'x', 'another-sync/7', 'takeover/changes/x/0'])
      await world.log.append(target, [{ key: textKey(key), value: new Uint8Array(10) }])
  await expectToArrive([1, 2, 3])
  await life.kill()
  start()
  await expectToArrive([1, 2, 3, 4])
})

it('a command under the key of another sync, or to no sync, is passed over', async () => {
  const target = at(sharedTopics(world.log.prefix).commands, homePartition(SYNC))
  const command = { id: 'X', kind: 'reset', cause: 'reset', run: null, at: 1, scope: null } as const
  for (const [key, sync] of [
    ['other', SYNC],
    ['../../x', '../../x'],
  ] as const)
    await world.log.append(target, [
      { key: textKey(key), value: world.log.io.encode('Command', { ...command, sync }) },
    ])
  await expectToArrive([1, 2])
  expect(world.events().map(({ runId }) => runId)).not.toContain('X')
})

it('a command that cannot be read is passed over', async () => {
  const target = at(sharedTopics(world.log.prefix).commands, homePartition(SYNC))
  await world.log.append(target, [{ key: textKey(SYNC), value: new TextEncoder().encode('no Avro') }])
  await expectToArrive([1, 2])
})

it('a sync whose stored template is wrong fails, and delivers with a correct one', async () => {
  await expectToArrive([1, 2])
  const right = world.definition
  const path = '/rows/{{ id | nonsense }}'
  const wrong: Definition = {
    ...right,
    sync: { ...right.sync, triggers: { ...right.sync.triggers, added: { method: 'PUT', path } } },
  }
  world.definition = wrong
  await world.setRows([1, 2, 3])
  expect(await world.run()).toMatchObject({ status: 'failed', errorCode: 'template' })
  world.definition = right
  await expectToArrive([1, 2, 3])
})

it('a sync whose stored definition is invalid fails, and delivers with the next definition', async () => {
  await expectToArrive([1, 2])
  const { definitions } = sharedTopics(world.log.prefix)
  const hash = world.events().at(-1)?.definition ?? ''
  await life.kill()
  await world.log.append(at(definitions, 0), [
    {
      key: textKey(hash),
      value: world.log.io.encode('DefinitionRecord', { hash, spec: '{"sync":' }),
    },
  ])
  start()
  await expectToArrive([1, 2, 3])
})
