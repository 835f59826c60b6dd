/** The records of delivery if it is asked to end before it is at work. */
import { NO_PRECAUTIONS } from '@sluice/partition/deaths/count-deaths'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { MessageLog } from '@sluice/message-log/port'
import { at } from '@sluice/topics/topics'
import { ScriptedDelivery, topics } from '../test/scripted-delivery.ts'

let lives: ScriptedDelivery
beforeEach(async () => {
  lives = await ScriptedDelivery.open()
})
afterEach(() => lives[Symbol.asyncDispose]())

type Batches = ReturnType<MessageLog['read']>

/** The log itself; only this topic is read in another way. */
function readingAs(log: MessageLog, topic: string, as: (batches: Batches) => Batches): MessageLog {
  const read: MessageLog['read'] = (target, options) => {
    const batches = log.read(target, options)
    return target.topic === topic ? as(batches) : batches
  }
  return new Proxy(log, {
    get(target, name) {
      const value: unknown = name === 'read' ? read : Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

it('counts no death of a process that is asked to end while it reads the state of its predecessor', async () => {
  await lives.begin(['a'])
  lives.api.script = () => 'silent'
  const first = lives.live()
  await lives.api.until(1)
  await first.kill()
  const [reading, drained] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const log = readingAs(lives.world.log, topics.attempts, async function* (batches) {
    reading.resolve()
    await drained.promise
    yield* batches
    throw new Error('nobody reads on')
  })
  const count = (deaths: number) => ({ run: 1, count: deaths })
  const none = () => undefined
  const own = { deaths: count(2), position: 0, leaves: () => count(1) }
  const entry = {
    ...own,
    precautionsIn: () => NO_PRECAUTIONS,
    diedIn: () => 0,
    took: none,
    cameFurther: none,
  }
  const second = lives.live({ log }, entry)
  await reading.promise
  const left = expect(second.drain()).rejects.toThrow()
  drained.resolve()
  await left
  const last = (await lives.world.read(at(topics.attempts, 0))).at(-1)?.record
  expect(last?.value).toMatchObject({ kind: 'takeover', deaths: count(1) })
})
