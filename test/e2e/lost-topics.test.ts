import { expect, it } from 'vitest'
import { sharedTopics } from '@sluice/topics/topics'
import { outage, watchedLog } from '@sluice/testkit/watched-log'
import { expectToBeginAnew, lostTopicsSuite, PARTITIONS } from './lost-topics.ts'
import { OneProcess } from './one-process.ts'

lostTopicsSuite({
  name: 'SQLite',
  adapters: null,
  lose: ['changes', 'retry', 'attempts'],
  empty: ['requests', 'attempts'],
})

it('a reset that is cut after its topics were deleted is still carried out', async () => {
  await using world = await OneProcess.open({ partitions: PARTITIONS })
  const first = world.start()
  await world.setRows([1, 2])
  await world.run()
  await first.kill()
  const { resources } = sharedTopics(world.log.prefix)
  let isCut = false
  const watched = watchedLog(world.log.log, async ({ topic }) => {
    if (topic !== resources || isCut) return
    isCut = true
    throw outage()
  })
  const second = world.start({}, watched)
  await expectToBeginAnew(world, second, [1, 2])
  expect(isCut).toBe(true)
})
