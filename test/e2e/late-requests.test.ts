/**
 * A life is killed with a request under way, whose row leaves the model. The API reads the request as late as
 * the next life allows: its removal comes behind it (PROTOCOL.md §8, R4).
 */
import { expect, it } from 'vitest'
import type { HttpSender } from '@sluice/http-sender/port'
import { abortable } from '@sluice/flow/abortable'
import { LateArrivals } from '../histories/late-arrivals.ts'
import { OneProcess } from './one-process.ts'

it('a request that is read late leaves no row behind that has left the model', async () => {
  const late = new LateArrivals()
  const sent = Promise.withResolvers<void>()
  let isFirst = true
  const sender: HttpSender = {
    send: async request => {
      if (!isFirst) return await world.api.sender.send(request)
      isFirst = false
      late.add(late.partition, () => world.api.sender.send(request))
      sent.resolve()
      return await abortable(new Promise(() => undefined), request)
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  await using world = await OneProcess.open({ partitions: 1 }, { sender })
  world.lateSends = late
  await world.setRows([1])
  const first = world.start()
  const interrupted = await world.command()
  await sent.promise
  await first.kill()
  await world.setRows([])
  world.start()
  expect(await world.ended(interrupted)).toMatchObject({ status: 'failed' })
  await world.allEnded()
  // Without a wait, it has not arrived yet.
  await late.runHasEnded()
  await late.runHasEnded()
  expect(world.api.requests).toEqual(['PUT /rows/1', 'PUT /rows/1', 'DELETE /rows/1'])
  expect([...world.api.ids]).toEqual([])
})
