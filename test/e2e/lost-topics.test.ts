/**
 * A sync whose topic somebody has deleted or emptied. Its runs end and say so, it sends nothing, and a reset
 * lets it start over.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { sharedTopics, syncTopics, syncTopicSpecs } from '@sluice/topics/topics'
import { SYNC } from '@sluice/testkit/sample-records'
import { outage, watchedLog } from '@sluice/testkit/watched-log'
import { hasKafka, onKafka } from './kafka-adapters.ts'
import { OneProcess, type Services } from './one-process.ts'

const PARTITIONS = 2
const { signal } = new AbortController()

let world: OneProcess
let life: Services
afterEach(() => world[Symbol.asyncDispose]())

const topics = () => syncTopics(world.log.prefix, SYNC)
const lost = (what: string) => ({
  status: 'failed',
  errorCode: 'lost-topic',
  error: expect.stringMatching(new RegExp(`${what}.*sluice reset ${SYNC}`)) as string,
})

/** Expects that all rows are sent, as for a sync that never ran. */
async function expectToBeginAnew(rows: readonly number[]): Promise<void> {
  const reset = await world.command({ kind: 'reset', cause: 'reset' })
  expect(await world.ended(reset)).toMatchObject({ status: 'success' })
  await life.kill()
  life = world.start()
  const sent = world.api.sent.length
  expect(await world.run()).toMatchObject({ status: 'success', run: 1 })
  expect(world.api.sent.slice(sent).toSorted((a, b) => a - b)).toEqual(rows)
}

describe.each([
  {
    name: 'SQLite',
    adapters: null,
    lacking: false,
    lose: ['changes', 'retry', 'attempts'],
    empty: ['requests', 'attempts'],
  },
  { name: 'Kafka', adapters: onKafka, lacking: !hasKafka, lose: ['changes'], empty: ['requests'] },
] as const)('on $name a sync', ({ adapters, lacking, lose, empty }) => {
  const open = async (): Promise<void> => {
    world = await OneProcess.open({ partitions: PARTITIONS }, { adapters: adapters?.('lost') })
    life = world.start()
    await world.setRows([1, 2])
    expect((await world.run()).status).toBe('success')
  }

  it.skipIf(lacking)('that loses a topic under a run ends that run with the next command', async () => {
    await open()
    const { api, log } = world
    await world.setRows([1, 2, 3, 4])
    const answers = Promise.withResolvers<void>()
    api.gate = answers.promise
    const cut = await world.command()
    await world.until(cut, ({ complete }) => complete)
    await log.log.deleteTopics([topics().requests], { signal })
    await world.command({ kind: 'cancel', run: cut })
    expect(await world.ended(cut)).toMatchObject(lost(`there is no topic ${topics().requests}`))
    expect(await world.run()).toMatchObject(lost(`there is no topic ${topics().requests}`))
    answers.resolve()
    await expectToBeginAnew([1, 2, 3, 4])
  })

  it.skipIf(lacking).each(lose)(
    'that has lost %s between two runs says so, and has nothing sent',
    async name => {
      await open()
      await life.kill()
      life = world.start()
      await world.setRows([1, 2, 3])
      await world.log.log.deleteTopics([topics()[name]], { signal })
      expect(await world.run()).toMatchObject(lost(`there is no topic ${topics()[name]}`))
      expect(world.api.ids).toEqual(new Set([1, 2]))
      await expectToBeginAnew([1, 2, 3])
    },
  )

  it.skipIf(lacking).each(empty)(
    'whose %s was put back empty has nothing sent, since its records are lost',
    async name => {
      await open()
      await world.setRows([1, 2, 3])
      const { log, prefix } = world.log
      await log.deleteTopics([topics()[name]], { signal })
      await log.ensureTopics(syncTopicSpecs(prefix, SYNC, PARTITIONS), { signal })
      expect(await world.run()).toMatchObject(lost(`${topics()[name]}/[01] ends at offset 0`))
      expect(world.api.ids).toEqual(new Set([1, 2]))
      await expectToBeginAnew([1, 2, 3])
    },
  )
})

it('a reset that is cut after its topics were deleted is still carried out', async () => {
  world = await OneProcess.open({ partitions: PARTITIONS })
  life = world.start()
  await world.setRows([1, 2])
  await world.run()
  await life.kill()
  const { resources } = sharedTopics(world.log.prefix)
  let isCut = false
  const watched = watchedLog(world.log.log, async ({ topic }) => {
    if (topic !== resources || isCut) return
    isCut = true
    throw outage()
  })
  life = world.start({}, watched)
  await expectToBeginAnew([1, 2])
  expect(isCut).toBe(true)
})
