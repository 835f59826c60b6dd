/** Replays at moments that only a test inside the process can choose (PROTOCOL.md §12). */
import type { ReplayScope } from '@sluice/contracts/state'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Command, RunEvent } from '@sluice/contracts/records'
import { nextTurn } from '@sluice/flow/sleep'
import { isMarkerKey, keyText } from '@sluice/topics/topics'
import { CutAppend, watchedLog, type BeforeAppend } from '@sluice/testkit/watched-log'
import { OneProcess } from './one-process.ts'

/** More than one append has. */
const ROWS = 520
/** Requests of the second append that are in the log though the append fails. */
const KEPT = 3

const ALL: ReplayScope = {
  ...{ keys: null, run: null, since: 0, until: null, status: null, outcome: null, trigger: null },
}

function replayOf(scope: Partial<ReplayScope> = {}): Partial<Command> {
  return { cause: 'replay', scope: { as: null, key: null, status: null, replay: { ...ALL, ...scope } } }
}

function isReplay({ key }: { readonly key: Uint8Array }): boolean {
  return isMarkerKey(key) && keyText(key.subarray(1)).startsWith('replay/')
}

/** Requests that are sent together are in flight together for at least this long. */
const TURNS_IN_FLIGHT = 50

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await nextTurn()
}

describe('a replay, in one process,', () => {
  let world: OneProcess
  beforeEach(async () => (world = await OneProcess.open()))
  afterEach(() => world[Symbol.asyncDispose]())

  const times = (id: number): number => world.api.sent.filter(sent => sent === id).length
  const ids = Array.from({ length: ROWS }, (_, index) => index + 1)
  const watched = (before: BeforeAppend) => world.start({}, watchedLog(world.log.log, before))

  /** Cuts a replay in its second append. */
  async function cutReplay(atCut: () => void = () => undefined): Promise<RunEvent> {
    let replays = 0
    watched((_, records) => {
      if (!records.some(isReplay) || records.some(({ value }) => value === null)) return Promise.resolve()
      replays += 1
      if (replays !== 2) return Promise.resolve()
      atCut()
      return Promise.reject(new CutAppend(KEPT))
    })
    await world.setRows(ids)
    await world.run()
    return await world.ended(await world.command(replayOf()))
  }

  it('goes on where it was cut: it repeats no request that it had published', async () => {
    const cut = await cutReplay()
    expect(cut).toMatchObject({ status: 'failed', error: expect.stringContaining('interrupted') })
    const [, , replacement] = await world.allEnded()
    expect(replacement).toMatchObject({ status: 'success', cause: 'replay' })
    const published = cut.counts.added?.delivered ?? 0
    expect(published).toBeGreaterThan(0)
    expect(replacement?.counts.added).toMatchObject({
      ...{ detected: ROWS - published, delivered: ROWS - published, requests: ROWS - published },
    })
    expect(ids.filter(id => times(id) !== 2)).toEqual([])
    expect(await world.run()).toMatchObject({ status: 'success', counts: { added: { detected: 0 } } })
  })

  it('goes on where it was cut, also where its destination changed and somebody approved that', async () => {
    const { destination } = world.definition
    await cutReplay(() => {
      world.definition = {
        ...world.definition,
        destination: { ...destination, baseUrl: 'https://elsewhere.test' },
      }
    })
    const [, , replacement] = world.events()
    const { runId } = await world.until(replacement?.runId ?? '', ({ status }) => status === 'held')
    await world.command({ kind: 'approve', run: runId, destination: 'same' })
    expect(await world.ended(runId)).toMatchObject({ status: 'success', cause: 'replay' })
    expect(ids.filter(id => times(id) !== 2)).toEqual([])
  })

  it('sends nothing before the log has it, in every partition, that the rows are in doubt', async () => {
    const gate = Promise.withResolvers<void>()
    const reached = Promise.withResolvers<void>()
    const sent: string[] = []
    let holds = false
    watched(async ({ topic, partition }, records) => {
      if (!topic.endsWith('.changes')) return
      if (records.some(record => isReplay(record) && record.value !== null)) sent.push('request')
      else if (holds && partition === 1 && records.some(({ key }) => !isMarkerKey(key))) {
        reached.resolve()
        await gate.promise
        sent.push('settled')
      }
    })
    await world.setRows(ids.slice(0, 250))
    await world.run()
    holds = true
    const id = await world.command(replayOf({ keys: ['1', '101'] }))
    await reached.promise
    gate.resolve()
    expect(await world.ended(id)).toMatchObject({ counts: { added: { delivered: 2 } } })
    expect(sent).toEqual(['settled', 'request'])
  })

  it('brings back a row that is gone, and the next run removes it again', async () => {
    watched(() => Promise.resolve())
    await world.setRows([1, 2])
    await world.run()
    await world.setRows([2])
    await world.run()
    expect(await world.ended(await world.command(replayOf({ trigger: 'added', keys: ['1'] })))).toMatchObject(
      {
        status: 'success',
        counts: { added: { detected: 1, delivered: 1 }, removed: { detected: 0 } },
      },
    )
    expect(world.api.ids).toEqual(new Set([1, 2]))
    expect(await world.run()).toMatchObject({ counts: { removed: { detected: 1, delivered: 1 } } })
    expect([...world.api.ids]).toEqual([2])
  })

  it('takes 404 to a removal for what was to be: the row is gone', async () => {
    watched(() => Promise.resolve())
    await world.setRows([1, 2])
    await world.run()
    await world.setRows([2])
    await world.run()
    world.api.statusOf = () => 404
    const id = await world.command(replayOf({ trigger: 'removed' }))
    expect(await world.ended(id)).toMatchObject({ status: 'success', counts: { removed: { delivered: 1 } } })
  })

  it('sends the requests of a key one after the other', async () => {
    watched(() => Promise.resolve())
    for (let run = 0; run < 4; run += 1) {
      await world.setRows(run % 2 === 0 ? [1] : [])
      await world.run()
    }
    const before = world.api.requests.length
    let [inFlight, most] = [0, 0]
    Object.defineProperty(world.api, 'gate', {
      get: () => {
        inFlight += 1
        most = Math.max(most, inFlight)
        return turns(TURNS_IN_FLIGHT)
      },
    })
    world.api.statusOf = () => {
      inFlight -= 1
      return 200
    }
    expect(await world.ended(await world.command(replayOf()))).toMatchObject({ status: 'success' })
    const own = world.api.requests.slice(before)
    expect(own).toEqual(['PUT', 'DELETE', 'PUT', 'DELETE'].map(method => `${method} /rows/1`))
    expect(most).toBe(1)
  })

  it('leaves no request in `changes` once it has ended', async () => {
    const appended = new Map<string, boolean>()
    watched((target, records) => {
      if (target.topic.endsWith('.changes'))
        for (const { key, value } of records) appended.set(keyText(key.subarray(1)), value === null)
      return Promise.resolve()
    })
    await world.setRows([1, 2])
    await world.run()
    await world.ended(await world.command(replayOf()))
    const replays = [...appended].filter(([key]) => key.startsWith('replay/'))
    expect(replays).toEqual([0, 1].map(number => [`replay/0/${number}`, true]))
  })

  it('takes up a row again that a person had given up', async () => {
    world.api.statusOf = ({ url }) => (url.endsWith('/2') ? 422 : 200)
    watched(() => Promise.resolve())
    await world.setRows([1, 2])
    await world.run()
    await world.ended(await world.command({ cause: 'discard' }))
    expect(await world.run()).toMatchObject({ counts: { added: { detected: 0 } } })
    await world.ended(await world.command(replayOf({ keys: ['2'] })))
    expect(await world.run()).toMatchObject({ counts: { added: { detected: 1, rejected: 1 } } })
  })

  it('says what it leaves out: requests of a trigger that is gone', async () => {
    watched(() => Promise.resolve())
    await world.setRows([1, 2])
    await world.run()
    await world.setRows([1])
    await world.run()
    const { removed: _, ...triggers } = world.definition.sync.triggers
    world.definition = { ...world.definition, sync: { ...world.definition.sync, triggers } }
    expect(await world.ended(await world.command(replayOf({ keys: ['2'] })))).toMatchObject({
      counts: { added: { delivered: 1 } },
      notices: ['1 request was left out, since the sync has no such trigger any more'],
    })
  })
})
