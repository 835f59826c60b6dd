/**
 * Runs of other commands than `run`: the rows that they send, and the rows that they pass over. A long test
 * asks for them on the command line; what it does there, that of at-most-once does every day.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { readFailedRows } from '@sluice/control/history/read-failed-rows'
import { SYNC } from '@sluice/testkit/sample-records'
import { OneProcess } from './one-process.ts'

const { signal } = new AbortController()

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
    const ran = events.toSorted((one, other) => (one.run ?? 0) - (other.run ?? 0))
    expect(ran.map(({ cause, status }) => `${cause} ${status}`)).toEqual([
      'manual success',
      'resync failed',
      'resync success',
      'manual success',
    ])
    const [before, cut, rest] = ran.map(({ counts }) => counts.added?.delivered ?? 0)
    expect([before, (cut ?? 0) + (rest ?? 0)]).toEqual([2, 2])
    expect(ran[2]).toMatchObject({ scope, upTo: 1 })
    expect(new Set(world.api.sent.slice(2))).toEqual(new Set([1, 2]))
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
      error: expect.stringMatching(/was interrupted.*`sluice run .*`sluice cancel /),
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

  it('to discard a group of errors leaves rows of other reasons, and rows that failed later', async () => {
    world = await OneProcess.open()
    await world.setRows([1, 2, 3])
    world.api.statusOf = request => (request.url.endsWith('/3') ? 500 : 422)
    world.start()
    const { incarnation } = await world.run()
    const all = { run: null, key: null, status: null, group: null, limit: 100, after: null }
    const failed = () =>
      readFailedRows(world.log, { sync: SYNC, incarnation, partitions: 2, ...all }, { signal })
    const seen = await failed()
    const group = seen.groups.find(({ status }) => status === 422)?.id ?? ''
    await world.setRows([1, 2, 3, 4])
    await world.run()
    const decide = async (id: string) => {
      const scope = { as: null, key: null, status: 0, group: id }
      await world.ended(await world.command({ cause: 'discard', scope }))
      return (await failed()).rows.map(({ row }) => row.key)
    }
    // The run after the list has tried all rows again. The row 4 has failed for the first time.
    expect(await decide(group)).toEqual(['3', '4'])
    const now = (await failed()).groups.find(({ status }) => status === 422)?.id ?? ''
    expect(await decide(now)).toEqual(['3'])
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
