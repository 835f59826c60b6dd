/**
 * The removal guard: a run that would remove too much sends nothing until a person approves it. A newer run
 * takes its place.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { GUARD, heldRunSuite } from './held-run.ts'
import { OneProcess, type Services } from './one-process.ts'
import { embeddedProfile } from './profiles.ts'

<<<<<<< HEAD
heldRunSuite(embeddedProfile)
=======
const GUARD = { removalGuard: { share: 0.5, rows: 2 } }

describe.for(bothProfiles().filter(({ available }) => available))('a held run, $name', profile => {
  let api: ScriptedApi
  let opened: Opened

  beforeEach(async ({ onTestFailed }) => {
    api = await startScriptedApi()
    const sync = `removalGuard: ${JSON.stringify(GUARD.removalGuard)}`
    const files = { 'project.yaml': peopleYaml({ sync }), 'people.csv': manyPeople(5) }
    opened = await profile.open({ files, env: { API_URL: api.url } })
    onTestFailed(() => void process.stderr.write(opened.logs()))
  })
  afterEach(async () => {
    await opened[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  const deletes = (): readonly string[] =>
    api.requests
      .filter(({ method }) => method === 'DELETE')
      .map(({ url }) => url)
      .sort()

  it('waits until it is approved, and waits again if it would then remove more rows', async () => {
    const { project } = opened
    const { view: first } = await project.run(SYNC)
    expect(first).toMatchObject({ status: 'success', triggers: { added: { delivered: 5 } } })
    await project.write('people.csv', manyPeople(2))
    const { exitCode, view: held } = await project.run(SYNC)
    expect(exitCode).toBe(4)
    expect(held).toMatchObject({
      status: 'held',
      endedAt: null,
      error: null,
      held: { removed: 3, rows: 5, samples: ['3', '4', '5'] },
      triggers: { removed: { detected: 3, delivered: 0, unsent: 0 } },
    })
    const { stdout } = await project.sluice('runs', 'show', held.id)
    expect(stdout).toContain('would remove 3 of 5 rows')
    expect(stdout).toContain(`sluice approve ${held.id}`)

    // Nobody approved the removal of the last two rows.
    await project.write('people.csv', peopleCsv())
    const anew = await project.sluice('approve', held.id, '--json')
    expect(anew.exitCode).toBe(4)
    expect(JSON.parse(anew.stdout)).toMatchObject({ id: held.id, status: 'held', held: { removed: 5 } })
    expect(api.requests).toHaveLength(5)

    const approved = await project.sluice('approve', held.id, '--json')
    expect(approved.exitCode, approved.stderr).toBe(0)
    expect(JSON.parse(approved.stdout)).toMatchObject({
      id: held.id,
      status: 'success',
      triggers: { removed: { detected: 5, delivered: 5 } },
    })
    expect(deletes()).toEqual([1, 2, 3, 4, 5].map(id => `/people/${id}`))
    expect(await project.error('approve', held.id)).toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('has ended already (success): there is nothing to approve'),
    })
  })
})
>>>>>>> wt-prose

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
    const [, , anew] = await world.allEnded()
    expect(anew).toMatchObject({ status: 'success', approved: 3, counts: { removed: { delivered: 3 } } })
    expect(world.api.ids.size).toBe(0)
  })
})
