/**
 * The removal guard: a run that would remove too much sends nothing until a person approves it. A newer run
 * takes its place.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { GUARD, heldRunSuite } from './held-run.ts'
import { OneProcess, type Services } from './one-process.ts'
import { distributedProfiles } from './profiles.ts'

distributedProfiles().forEach(heldRunSuite)

describe('a held run, in one process,', () => {
  let world: OneProcess
  let services: Services
  beforeEach(async () => {
    world = await OneProcess.open(GUARD)
    services = world.start()
    await world.setRows([1, 2, 3])
    await world.run()
    await world.setRows([])
  })
  afterEach(() => world[Symbol.asyncDispose]())

  const heldRun = async (): Promise<string> => {
    const id = await world.command()
    await world.until(id, ({ status }) => status === 'held')
    return id
  }

  it('ends when it is cancelled, and cannot be approved afterwards', async () => {
    const held = await heldRun()
    await world.command({ kind: 'cancel', run: held })
    expect(await world.ended(held)).toMatchObject({ status: 'cancelled', error: null, held: null })
    await world.command({ kind: 'approve', run: held })
    const next = await heldRun()
    expect(world.events().map(({ status }) => status)).toEqual(['success', 'cancelled', 'held'])
    await world.command({ kind: 'approve', run: next })
    expect(await world.ended(next)).toMatchObject({ status: 'success', approved: 3 })
    expect(world.api.ids.size).toBe(0)
  })

  it('is cancelled by a newer run, which sees the model as it is then', async () => {
    const held = await heldRun()
    await world.setRows([1, 2, 3, 4])
    const next = await world.run()
    expect(next).toMatchObject({
      status: 'success',
      counts: { added: { delivered: 1 }, removed: { detected: 0 } },
    })
    const cancelled = world.events().find(({ runId }) => runId === held)
    expect(cancelled).toMatchObject({ status: 'cancelled', error: expect.stringContaining(next.runId) })
  })

  it('survives the process, and is approved in the next one', async () => {
    const held = await heldRun()
    await services.kill()
    world.start()
    await world.command({ kind: 'approve', run: held })
    expect(await world.ended(held)).toMatchObject({
      status: 'success',
      counts: { removed: { delivered: 3 } },
    })
  })

  it('keeps its approval if it is cut while it publishes: the run that takes its place is not held', async () => {
    const held = await heldRun()
    await services.drain()
    await world.killWhilePublishing({ kind: 'approve', run: held })
    world.start()
    expect(await world.ended(held)).toMatchObject({ status: 'failed' })
    const [, , replacement] = await world.allEnded()
    expect(replacement).toMatchObject({
      status: 'success',
      approved: 3,
      counts: { removed: { delivered: 3 } },
    })
    expect(world.api.ids.size).toBe(0)
  })
})
