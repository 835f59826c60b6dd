/**
 * A sync whose topic somebody has deleted or emptied. Its runs end and say so, it sends nothing, and a reset
 * lets it start over.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { syncTopics, syncTopicSpecs } from '@sluice/topics/topics'
import { SYNC } from '@sluice/testkit/sample-records'
import type { TestLogAdapters } from '@sluice/testkit/test-log'
import { OneProcess, type Services } from './one-process.ts'

export const PARTITIONS = 2
const { signal } = new AbortController()

type Topic = keyof ReturnType<typeof syncTopics>

export interface LostTopics {
  readonly name: string
  readonly adapters: (() => TestLogAdapters) | null
  /** The topics that go between two runs. */
  readonly lose: readonly Topic[]
  /** The topics that are put back empty. */
  readonly empty: readonly Topic[]
}

/** Resets the sync, and expects that all rows are sent, as for a sync that never ran. */
export async function expectToBeginAnew(
  world: OneProcess,
  life: Services,
  rows: readonly number[],
): Promise<void> {
  const reset = await world.command({ kind: 'reset', cause: 'reset' })
  expect(await world.ended(reset)).toMatchObject({ status: 'success' })
  await life.kill()
  world.start()
  const sent = world.api.sent.length
  expect(await world.run()).toMatchObject({ status: 'success', run: 1 })
  expect(world.api.sent.slice(sent).toSorted((a, b) => a - b)).toEqual(rows)
}

const lost = (what: string) => ({
  status: 'failed',
  errorCode: 'lost-topic',
  error: expect.stringMatching(new RegExp(`${what}.*sluice reset ${SYNC}`)) as string,
})

export function lostTopicsSuite({ name, adapters, lose, empty }: LostTopics): void {
  describe(`on ${name} a sync`, () => {
    let world: OneProcess
    let life: Services
    afterEach(() => world[Symbol.asyncDispose]())
    const topics = () => syncTopics(world.log.prefix, SYNC)
    const beginsAnew = (rows: readonly number[]) => expectToBeginAnew(world, life, rows)

    const open = async (): Promise<void> => {
      world = await OneProcess.open({ partitions: PARTITIONS }, { adapters: adapters?.() })
      life = world.start()
      await world.setRows([1, 2])
      expect((await world.run()).status).toBe('success')
    }

    it('that loses a topic under a run ends that run with the next command', async () => {
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
      await beginsAnew([1, 2, 3, 4])
    })

    it.each(lose)('that has lost %s between two runs says so, and has nothing sent', async name => {
      await open()
      await life.kill()
      life = world.start()
      await world.setRows([1, 2, 3])
      await world.log.log.deleteTopics([topics()[name]], { signal })
      expect(await world.run()).toMatchObject(lost(`there is no topic ${topics()[name]}`))
      expect(world.api.ids).toEqual(new Set([1, 2]))
      await beginsAnew([1, 2, 3])
    })

    it.each(empty)('whose %s was put back empty has nothing sent, since its records are lost', async name => {
      await open()
      await world.setRows([1, 2, 3])
      const { log, prefix } = world.log
      await log.deleteTopics([topics()[name]], { signal })
      await log.ensureTopics(syncTopicSpecs(prefix, SYNC, PARTITIONS), { signal })
      expect(await world.run()).toMatchObject(lost(`${topics()[name]}/[01] ends at offset 0`))
      expect(world.api.ids).toEqual(new Set([1, 2]))
      await beginsAnew([1, 2, 3])
    })
  })
}
