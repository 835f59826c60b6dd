/** Runs of other commands than `run`: the rows that they send, and the rows that they pass over. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RunView } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { OneProcess } from './one-process.ts'
import { ADDED, peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { bothProfiles, type Opened } from './profiles.ts'
import { finished } from './project-folder.ts'

const TRIGGERS = `
  added: { ${ADDED} }
  changed: { ${ADDED.replace('PUT', 'PATCH')} }
  removed: { method: DELETE, path: '/people/{{ id }}' }`

describe.for(bothProfiles().filter(({ available }) => available))('a run asked for, $name,', profile => {
  let api: ScriptedApi
  let opened: Opened

  beforeEach(async ({ onTestFailed }) => {
    api = await startScriptedApi()
    const project = peopleYaml({ triggers: TRIGGERS, sync: 'errors: { giveUpAfter: 2 }' })
    const files = { 'project.yaml': project, 'people.csv': peopleCsv('1,Ann', '2,Bob', '3,Cid') }
    opened = await profile.open({ files, env: { API_URL: api.url } })
    onTestFailed(() => void process.stderr.write(opened.logs()))
  })
  afterEach(async () => {
    await opened[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  /** Runs a command, and gives its result and its requests. */
  const ask = async (...args: readonly string[]) => {
    const before = api.requests.length
    const { exitCode, stdout, stderr } = await opened.project.sluice(...args, '--json')
    expect(stdout, stderr).not.toBe('')
    const view: RunView = JSON.parse(stdout)
    const sent = api.requests.slice(before).map(({ method, url }) => `${method} ${url}`)
    return { exitCode, view, sent: sent.sort() }
  }
  const failedKeys = async () => (await opened.project.failed(SYNC)).map(({ key, runs }) => `${key} ${runs}`)

  it('sends rows again, gives up those that fail, and forgets what was delivered', async () => {
    api.on({ url: '/people/2' }, { status: 422 })
    expect((await ask('run', SYNC)).exitCode).toBe(3)
    const retried = await ask('retry', SYNC)
    expect(retried).toMatchObject({ exitCode: 3, view: { cause: 'retry' }, sent: ['PUT /people/2'] })
    expect(await failedKeys()).toEqual(['2 2'])

    const gaveUp = await ask('run', SYNC)
    expect(gaveUp).toMatchObject({ exitCode: 0, sent: [] })
    expect(gaveUp.view.notices).toEqual([
      expect.stringContaining('1 row was given up after failing in 2 runs'),
    ])
    expect(await failedKeys()).toEqual([])
    expect(await ask('run', SYNC)).toMatchObject({ exitCode: 0, sent: [] })

    await opened.project.write('people.csv', peopleCsv('1,Ann', '2,Bobby', '3,Cid'))
    expect(await ask('run', SYNC)).toMatchObject({ exitCode: 3, sent: ['PUT /people/2'] })
    const passed = await ask('retry', SYNC, '--key', '1')
    expect(passed).toMatchObject({ exitCode: 0, sent: [], view: { cause: 'retry' } })
    expect(passed.view.notices).toEqual(['no row was tried again: none that waits is as asked for'])
    const missed = await ask('discard', SYNC, '--status', '500')
    expect(missed.view.notices).toEqual(['no row was discarded: none that waits is as asked for'])
    expect(await failedKeys()).toEqual(['2 1'])
    const discarded = await ask('discard', SYNC, '--status', '422', '--key', '2')
    expect(discarded).toMatchObject({ exitCode: 0, sent: [], view: { cause: 'discard' } })
    expect(discarded.view.notices).toEqual([expect.stringContaining('1 row was discarded')])
    expect(await failedKeys()).toEqual([])
    expect(await ask('run', SYNC)).toMatchObject({ exitCode: 0, sent: [] })

    api.on({}, {})
    const resynced = await ask('resync', SYNC)
    expect(resynced).toMatchObject({ exitCode: 0, view: { cause: 'resync' } })
    expect(resynced.sent).toEqual(['PUT /people/1', 'PUT /people/2', 'PUT /people/3'])
    const changed = await ask('resync', SYNC, '--as', 'changed')
    expect(changed.sent).toEqual(['PATCH /people/1', 'PATCH /people/2', 'PATCH /people/3'])
    expect(await ask('run', SYNC)).toMatchObject({ exitCode: 0, sent: [] })

    expect(await ask('reset', SYNC)).toMatchObject({ exitCode: 0, sent: [], view: { cause: 'reset' } })
    expect(await opened.project.runs()).toMatchObject([{ cause: 'reset', status: 'success' }])
    const first = await ask('run', SYNC)
    expect(first).toMatchObject({ exitCode: 0, sent: resynced.sent })

    const page = await opened.project.sluice('runs', '--after', first.view.id, '--json')
    expect(JSON.parse(page.stdout)).toMatchObject({ runs: [{ cause: 'reset' }], next: null })
    const lost = await opened.project.sluice('runs', '--after', resynced.view.id)
    expect(lost).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('is not a cursor') })
  })
})

describe('a run asked for, in one process,', () => {
  let world: OneProcess
  afterEach(() => world[Symbol.asyncDispose]())

  it('that was cut is queued again for the same purpose', async () => {
    world = await OneProcess.open()
    await world.setRows([1, 2])
    const first = world.start()
    await world.run()
    await first.drain()
    const scope = { as: 'added', key: null, status: null } as const
    await world.killWhilePublishing({ cause: 'resync', scope })
    world.start()
    await world.command()
    const events = await world.allEnded()
    expect(events.map(({ cause, status }) => `${cause} ${status}`)).toEqual([
      'manual success',
      'resync failed',
      'resync success',
    ])
    expect(events[2]).toMatchObject({ scope, counts: { added: { delivered: 2 } } })
  })

  it('to reset is refused while another is at work, and leaves that one alone', async () => {
    world = await OneProcess.open()
    await world.setRows([1])
    const gate = Promise.withResolvers<void>()
    world.api.gate = gate.promise
    world.start()
    const running = await world.command()
    await world.until(running, ({ complete }) => complete)
    const refused = await world.command({ kind: 'reset', cause: 'reset' })
    expect(await world.ended(refused)).toMatchObject({
      status: 'failed',
      error: expect.stringContaining(`sluice cancel ${running}`),
    })
    gate.resolve()
    expect(await world.ended(running)).toMatchObject({ status: 'success' })
    const done = await world.ended(await world.command({ kind: 'reset', cause: 'reset' }))
    expect(done.status).toBe('success')
    // A run that is asked for right after the reset belongs to the new incarnation.
    expect(await world.run()).toMatchObject({ run: 1, counts: { added: { delivered: 1 } } })
    expect(world.api.sent).toEqual([1, 1])
  })

  it('to reset says that no process works on a run that was cut', async () => {
    world = await OneProcess.open()
    await world.setRows([1])
    await world.killWhilePublishing()
    const reset = await world.command({ kind: 'reset', cause: 'reset' })
    world.start()
    expect(await world.ended(reset)).toMatchObject({
      status: 'failed',
      error: expect.stringMatching(/was cut off.*`sluice run .*`sluice cancel /),
    })
  })

  it('fails once it exceeds its maximum duration while its source hangs, and takes no row as removed', async () => {
    world = await OneProcess.open()
    await world.setRows([1])
    const first = world.start()
    await world.run()
    await first.drain()
    const extract = (_: unknown, { signal }: { readonly signal: AbortSignal }): Promise<never> =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
        // To open the state may already have taken longer than the run may last.
        if (signal.aborted) reject(signal.reason)
      })
    const hanging = { extract, describe: extract, [Symbol.asyncDispose]: () => Promise.resolve() }
    const { definition } = world
    const sync = { ...definition.sync, maxDuration: 100 }
    world.start({
      openSource: () => Promise.resolve(hanging),
      resolveDefinition: () => Promise.resolve({ ...definition, sync }),
    })
    const hung = await world.run()
    expect(hung).toMatchObject({
      status: 'failed',
      error: expect.stringContaining('maxDuration'),
      errorCode: 'too-long',
    })
    expect([...world.api.ids]).toEqual([1])
  })

  it('to retry some rows sends only these, and leaves other changes to the next run', async () => {
    world = await OneProcess.open()
    await world.setRows([1, 2, 3])
    world.api.statusOf = request => (request.url.endsWith('/3') ? 500 : 422)
    world.start()
    await world.run()
    const { sent } = world.api
    await world.setRows([1, 2, 3, 4])
    const retry = async (key: string | null, status: number | null): Promise<unknown> => {
      const before = sent.length
      const { counts } = await world.ended(
        await world.command({ cause: 'retry', scope: { as: null, key, status } }),
      )
      return { sent: sent.slice(before).sort((a, b) => a - b), detected: counts.added?.detected ?? 0 }
    }
    expect(await retry('2', null)).toEqual({ sent: [2], detected: 1 })
    expect(await retry(null, 422)).toEqual({ sent: [1, 2], detected: 2 })
    expect(await retry('4', null)).toEqual({ sent: [], detected: 0 })
    world.api.statusOf = () => 200
    expect(await retry('1', 422)).toEqual({ sent: [1], detected: 1 })
    expect(await world.run()).toMatchObject({ status: 'success', counts: { added: { delivered: 3 } } })
    expect([...world.api.ids].sort((a, b) => a - b)).toEqual([1, 2, 3, 4])
  })

  it('to discard does not count as a first run: the next run still skips existing rows', async () => {
    world = await OneProcess.open({ firstRun: 'skip-existing' })
    await world.setRows([1])
    world.start()
    await world.ended(await world.command({ cause: 'discard' }))
    await world.run()
    await world.setRows([1, 2])
    await world.run()
    expect(world.api.sent).toEqual([2])
  })
})

const distributed = bothProfiles().filter(({ name, available }) => name === 'distributed' && available)

describe.for(distributed)('a run that waits for a secret, $name,', profile => {
  it('is ended by a cancel, and its rows are sent by the next run', async () => {
    await using api = await startScriptedApi()
    const files = {
      'project.yaml': peopleYaml({ destination: "headers: { X-Key: '${secret:not-there}' }" }),
      'people.csv': peopleCsv('1,Ann'),
    }
    await using opened = await profile.open({ files, env: { API_URL: api.url } })
    const { project } = opened
    const running = finished(project.start('run', SYNC, '--json'))
    let found: RunView | undefined
    // Each look starts a process, so this is not a busy loop.
    while ((found?.triggers.added?.detected ?? 0) === 0) [found] = await project.runs()
    const { exitCode, stdout } = await project.sluice('cancel', found?.id ?? '', '--json')
    expect(exitCode, opened.logs()).toBe(0)
    const unsent = { status: 'cancelled', triggers: { added: { detected: 1, unsent: 1 } } }
    expect(JSON.parse(stdout)).toMatchObject(unsent)
    expect((await running).exitCode).toBe(1)
    expect(api.requests).toEqual([])

    await project.write('project.yaml', peopleYaml())
    const next = await project.run(SYNC)
    expect(next).toMatchObject({ exitCode: 0, view: { triggers: { added: { delivered: 1 } } } })
  })
})
