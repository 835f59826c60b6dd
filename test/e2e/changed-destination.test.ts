/**
 * The delivered state belongs to what it was delivered to. A run to another destination is held, whatever it
 * was asked for and whatever dies meanwhile.
 */
import type { MessageLog } from '@sluice/message-log/port'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { OneProcess, type Services } from './one-process.ts'

describe('a changed destination, in one process,', () => {
  let world: OneProcess
  let services: Services
  beforeEach(async () => {
    world = await OneProcess.open()
    services = world.start()
    await world.setRows([1, 2, 3])
    await world.run()
    const { destination } = world.definition
    world.definition = {
      ...world.definition,
      destination: { ...destination, baseUrl: 'https://elsewhere.test' },
    }
    await world.setRows([1, 2, 3, 4])
    world.api.requests.length = 0
  })
  afterEach(() => world[Symbol.asyncDispose]())

  const heldRun = async (): Promise<string> => {
    const id = await world.command()
    await world.until(id, ({ status }) => status === 'held')
    return id
  }

  it('holds again a run that was held when its process died', async () => {
    const held = await heldRun()
    await services.kill()
    world.start()
    const next = await heldRun()
    expect(world.events().find(({ runId }) => runId === held)).toMatchObject({ status: 'cancelled' })
    await world.command({ kind: 'approve', run: next, destination: 'same' })
    expect(await world.ended(next)).toMatchObject({ status: 'success' })
    expect(world.api.requests).toEqual(['PUT /rows/4'])
  })

  it('is told of by an approval that says which: one that does not, approves nothing', async () => {
    const held = await heldRun()
    await world.command({ kind: 'approve', run: held })
    const next = await heldRun()
    expect(world.events().find(({ runId }) => runId === held)).toMatchObject({ status: 'cancelled' })
    expect(next).not.toBe(held)
    expect(world.api.requests).toEqual([])
  })

  it('holds no run in the place of an approved one that is cut', async () => {
    const held = await heldRun()
    await services.drain()
    await world.killWhilePublishing({ kind: 'approve', run: held, destination: 'same' })
    world.start()
    await world.ended(held)
    const all = await world.allEnded()
    expect(all.map(({ status }) => status)).toEqual(['success', 'failed', 'success'])
    expect(world.api.requests).toEqual(['PUT /rows/4'])
  })

  it('begins a state, wherever the process dies that forgets the old one', async () => {
    const held = await heldRun()
    await services.drain()
    let begun = ''
    for (const dies of ['before', 'after'] as const) {
      const reached = Promise.withResolvers<void>()
      const killed = Promise.withResolvers<void>()
      const { log } = world.log
      const deleteTopics: MessageLog['deleteTopics'] = async (topics, options) => {
        if (dies === 'after') await log.deleteTopics(topics, options)
        reached.resolve()
        await killed.promise
        options.signal.throwIfAborted()
      }
      const dying = world.start({}, watching(log, { deleteTopics }))
      if (dies === 'before') {
        await world.command({ kind: 'approve', run: held, destination: 'new' })
        begun = await world.command()
      }
      await reached.promise
      const killing = dying.kill()
      killed.resolve()
      await killing
    }
    expect(world.api.requests).toEqual([])
    world.start()
    expect(await world.ended(begun)).toMatchObject({ status: 'success' })
    expect(world.api.requests.toSorted()).toEqual([1, 2, 3, 4].map(id => `PUT /rows/${id}`))
    // It is the new one's state.
    expect(await world.run()).toMatchObject({ status: 'success', held: null })
    expect(world.api.requests).toHaveLength(4)
  })
})

/** A log some of whose methods are replaced. */
function watching(log: MessageLog, parts: Partial<MessageLog>): MessageLog {
  return new Proxy(log, {
    get: (target, name): unknown => {
      const part: unknown = Reflect.get(parts, name) ?? Reflect.get(target, name)
      const bound: unknown = typeof part === 'function' ? part.bind(target) : part
      return bound
    },
  })
}
