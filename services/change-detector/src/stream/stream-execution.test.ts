/** A run over a stream, from the source to a scripted delivery, on a real log. */
import type { Definition } from '@sluice/contracts/resources'
import { setImmediate, setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { Notifier } from '@sluice/flow/notifier'
import type { Slots } from '@sluice/flow/slots'
import { isEnded } from '@sluice/domain/run-status'
import { StreamedWorld } from '../../test/streamed-world.ts'

it('compares the table first, and sends each change as it comes', async () => {
  await using world = await StreamedWorld.open()
  for (let id = 0; id < 30; id += 1) world.put(`k${id}`, 1)
  await using detector = world.detector()
  await detector.ask()
  await world.equal()
  expect(world.sent.length).toBe(30)
  world.put('k1', 2)
  world.stream.remove('k2')
  world.put('new', 1)
  await world.equal()
  const [removed, ...others] = world.sent
    .slice(30)
    .toSorted((a, b) => a.op.localeCompare(b.op))
    .toReversed()
  expect(removed).toMatchObject({ op: 'removed', key: 'k2' })
  expect(others).toMatchObject([
    { op: 'changed', key: 'k1' },
    { op: 'added', key: 'new' },
  ])
  expect(world.stream.comparisons).toBe(1)
})

it('goes on where it was after a restart, and sends nothing twice', async () => {
  await using world = await StreamedWorld.open()
  for (let id = 0; id < 10; id += 1) world.put(`k${id}`, 1)
  {
    await using detector = world.detector()
    await detector.ask()
    await world.equal()
    await detector.drain()
  }
  world.put('k1', 2)
  world.forgetState()
  await using detector = world.detector()
  await detector.ask()
  await world.equal()
  expect(world.sent.slice(10)).toMatchObject([{ op: 'changed', key: 'k1' }])
  expect(world.stream.comparisons).toBe(1)
})

it('holds back the second change of a key until delivery has passed on the end of the slice of the first', async () => {
  await using world = await StreamedWorld.open()
  world.put('a', 1)
  await using detector = world.detector()
  await detector.ask()
  await world.equal()
  await world.until(() => world.passed > 0)
  world.holdsMarkers = true
  world.put('a', 2)
  await world.equal()
  for (let v = 3; v < 8; v += 1) world.put('a', v)
  world.put('b', 1)
  await world.until(() => world.api.has('b'))
  expect(world.api.get('a')).toEqual({ id: 'a', v: 2 })
  await world.releaseMarkers()
  await world.equal()
  expect(world.sent.filter(({ key }) => key === 'a').map(({ row }) => row?.['v'])).toEqual([1, 2, 7])
})

it('sends a failed row again after a while, as the source then has it', async () => {
  await using world = await StreamedWorld.open({ sync: { errors: { retryAfter: '30s' } } })
  world.put('a', 1)
  world.fate = () => 'rejected'
  await using detector = world.detector()
  await detector.ask()
  await world.until(() => world.sent.length === 1)
  world.put('b', 1)
  await world.until(() => world.sent.length === 2)
  world.fate = () => 'delivered'
  world.later = 31_000
  await world.equal()
  expect(world.sent).toMatchObject([
    { op: 'added', key: 'a' },
    { op: 'added', key: 'b' },
    { op: 'added' },
    { op: 'added' },
  ])
}, 20_000)

it('ends for a resync, whose run sends all rows once more and ends, and the next one goes on', async () => {
  await using world = await StreamedWorld.open()
  for (let id = 0; id < 8; id += 1) world.put(`k${id}`, 1)
  await using detector = world.detector()
  await detector.ask()
  await world.equal()
  await detector.ask({ cause: 'resync', scope: null })
  await world.until(() => world.runs.some(({ cause, status }) => cause === 'resync' && status === 'success'))
  expect(world.sent.length).toBe(16)
  await detector.ask()
  world.put('k0', 5)
  await world.equal()
  expect(world.sent.length).toBe(17)
  const counts = { added: { detected: 8, delivered: 8 } }
  expect(world.runs).toMatchObject([
    { status: 'success', counts },
    { status: 'success', cause: 'resync', counts },
    { status: 'running' },
  ])
})

it('ends a retry for which no row waits, and says so', async () => {
  await using world = await StreamedWorld.open()
  world.put('a', 1)
  await using detector = world.detector()
  await detector.ask()
  await world.equal()
  await detector.ask({ cause: 'retry', scope: null })
  await world.until(() => world.runs.some(({ cause, status }) => cause === 'retry' && status === 'success'))
  expect(world.runs[1]?.notices).toEqual(['no row was tried again: none waits for a retry'])
  expect(world.sent.length).toBe(1)
})

it('gives up at its source, for a reset, what it has made there', async () => {
  await using world = await StreamedWorld.open()
  world.put('a', 1)
  await using detector = world.detector()
  await detector.ask()
  await world.equal()
  await world.until(() => world.runs.some(({ stream }) => (stream ?? null) !== null))
  await cancelled(world, detector)
  await detector.ask({ kind: 'reset', cause: 'reset' })
  await world.until(() => world.runs.some(({ cause, status }) => cause === 'reset' && status === 'success'))
  expect(world.stream.released).toBe(1)
})

it('gives up once what it has made at its source when it gets another schedule', async () => {
  await using world = await StreamedWorld.open()
  world.put('a', 1)
  await streamedOnce(world)
  const manual = (definition: Definition): Definition => ({
    ...definition,
    sync: { ...definition.sync, schedule: 'manual' },
  })
  await using detector = world.detector(definition => ({
    resolveDefinition: () => Promise.resolve(manual(definition)),
    openSource: () => Promise.reject(new Error('no table is behind it')),
  }))
  for (const count of [2, 3]) {
    await detector.ask()
    await world.until(() => world.runs.length === count && world.runs.every(({ status }) => isEnded(status)))
  }
  expect(world.stream.released).toBe(1)
})

it.each([
  ['another table', 1, { model: { table: 'another' } }],
  ['another slice', 0, { sync: { slice: { rows: 7, wait: 5 } } }],
])(
  'begins with %s, and has given up what is of no use then (%i)',
  async (_, released, { model, sync }: Edit) => {
    await using world = await StreamedWorld.open()
    world.put('a', 1)
    await streamedOnce(world)
    world.put('b', 1)
    await using detector = world.detector(definition => ({
      resolveDefinition: () =>
        Promise.resolve({
          ...definition,
          model: { ...definition.model, ...model },
          sync: { ...definition.sync, ...sync },
        }),
    }))
    await detector.ask()
    await world.equal()
    expect(world.stream.released).toBe(released)
  },
)

interface Edit {
  readonly model?: Partial<Definition['model']>
  readonly sync?: Partial<Definition['sync']>
}

/** Cancels the first run, and waits for its end. */
async function cancelled(
  world: StreamedWorld,
  detector: ReturnType<StreamedWorld['detector']>,
): Promise<void> {
  await detector.ask({ kind: 'cancel', run: world.runs[0]?.runId ?? '' })
  await world.until(() => world.runs.every(({ status }) => isEnded(status)))
}

/** Runs the stream until the API has all rows and the run has told how it stands, and ends the run. */
async function streamedOnce(world: StreamedWorld): Promise<void> {
  await using detector = world.detector()
  await detector.ask()
  await world.equal()
  await world.until(() => world.runs.some(({ stream }) => (stream ?? null) !== null))
  await cancelled(world, detector)
}

it('compares again where the log breaks off, in the next run', async () => {
  await using world = await StreamedWorld.open()
  for (let id = 0; id < 8; id += 1) world.put(`k${id}`, 1)
  await using detector = world.detector()
  await detector.ask()
  await world.equal()
  world.stream.snapshot([
    { id: 'k1', v: 1 },
    { id: 'k2', v: 9 },
  ])
  await world.until(() => world.runs[0]?.status === 'success')
  await detector.ask()
  await world.equal()
  await detector.drain()
  expect(world.runs.map(({ notices }) => notices)).toEqual([
    [expect.stringMatching(/^the log broke off: .*\. The next run compares the whole table$/)],
    [expect.stringMatching(/^the whole table was compared: /)],
  ])
  expect(world.stream.comparisons).toBe(2)
  expect(
    world.sent
      .slice(8)
      .map(({ op }) => op)
      .toSorted(),
  ).toEqual(['changed', ...Array(6).fill('removed')])
})

it('begins the next run with the comparison, though another partition of the log has more entries', async () => {
  await using world = await StreamedWorld.open({ sync: { removalGuard: false, slice: { rows: 1 } } })
  await using detector = world.detector()
  world.put('b', 1)
  await detector.ask()
  await world.equal()
  // `a` and `c` go to one partition, the end of the table to the other.
  for (let v = 2; v < 12; v += 1) world.put(v % 2 === 0 ? 'a' : 'c', v)
  world.stream.truncate()
  for (let v = 12; v < 22; v += 1) world.put(v % 2 === 0 ? 'a' : 'c', v)
  await world.settled(detector)
  expect(world.runs.length).toBeLessThanOrEqual(3)
  expect(world.stream.comparisons).toBe(2)
}, 20_000)

/** Delivers twenty rows, and removes twelve of them at the source. */
async function withTooManyRemovals(world: StreamedWorld) {
  for (let id = 0; id < 20; id += 1) world.put(`k${id}`, 1)
  const detector = world.detector()
  await detector.ask()
  await world.equal()
  for (let id = 0; id < 12; id += 1) world.stream.remove(`k${id}`)
  return detector
}

it('holds a run whose removals exceed the guard, and lets them through once they are approved', async () => {
  await using world = await StreamedWorld.open({ sync: { removalGuard: { share: 0.2, rows: 3 } } })
  await using detector = await withTooManyRemovals(world)
  await world.until(() => world.runs[0]?.status === 'success')
  await detector.ask()
  await world.until(() => world.runs[1]?.status === 'held')
  expect(world.runs[1]?.held).toMatchObject({ removed: 12, rows: 20 })
  expect(world.sent.length).toBe(20)
  await detector.ask({ kind: 'approve', run: world.runs[1]?.runId ?? '' })
  await world.equal()
  await world.until(() => world.runs.every(({ status }) => isEnded(status)))
})

it('ends with what is left of an approval once nothing more comes', async () => {
  await using world = await StreamedWorld.open({ sync: { removalGuard: { share: 0.2, rows: 3 } } })
  await using detector = await withTooManyRemovals(world)
  await world.comesTo(() => world.runs.some(({ status }) => status === 'held'), detector)
  const held = world.runs.find(({ status }) => status === 'held')
  world.put('k0', 2)
  await detector.ask({ kind: 'approve', run: held?.runId ?? '' })
  await world.equal()
  world.later = 6_000
  await world.until(() => world.runs.every(({ status }) => isEnded(status)))
  expect(world.api.size).toBe(9)
})

it('ends once its source is away for a while, and the next run fails and says why', async () => {
  await using world = await StreamedWorld.open()
  await using detector = world.detector()
  await detector.ask()
  world.put('a', 1)
  await world.equal()
  world.stream.away = new SluiceError('unreachable', 'the database does not answer', { retryable: true })
  world.stream.changes.notify()
  const isOver = (): boolean => {
    world.later += 1_000
    return world.runs.every(({ status }) => isEnded(status))
  }
  await world.until(isOver)
  expect(world.runs).toMatchObject([
    {
      status: 'success',
      notices: ['the source was away for 30 s: the database does not answer. The next run tries again'],
    },
  ])
  await detector.ask()
  await world.until(() => world.runs.some(({ status }) => status === 'failed'))
  expect(world.runs[1]).toMatchObject({ error: 'the database does not answer', errorCode: 'unreachable' })
  world.stream.away = null
  world.put('a', 2)
  await world.settled(detector)
  expect(world.sent.length).toBe(2)
})

it('ends after an hour with nothing in flight, and tells how it stands', async () => {
  await using world = await StreamedWorld.open()
  world.put('a', 1)
  await using detector = world.detector()
  await detector.ask()
  await world.equal()
  await world.until(() => world.runs[0]?.stream?.read !== undefined)
  world.later = 3_600_000
  world.put('b', 1)
  await world.until(() => world.runs[0]?.status === 'success')
  expect(world.runs[0]).toMatchObject({ complete: true, stream: { comparing: null } })
  await detector.ask()
  await world.equal()
  expect(world.sent.length).toBe(2)
})

it('leaves its first comparison to another run if an edit ends it before it has sent anything', async () => {
  await using world = await StreamedWorld.open({ sync: { firstRun: 'skip-existing' } })
  for (let id = 0; id < 8; id += 1) world.put(`k${id}`, 1)
  const edits = new Notifier()
  const seen = Promise.withResolvers<undefined>()
  let turns = 0
  await using detector = world.detector(definition => ({
    edits,
    resolveDefinition: () => {
      if (turns !== 2) return Promise.resolve(definition)
      turns += 1
      seen.resolve(undefined)
      return Promise.reject(new SluiceError('config', 'the edit is wrong'))
    },
    detections: {
      take: async () => {
        turns += 1
        // The first turn is that of the run, and the second one that of its comparison.
        if (turns === 2) {
          edits.notify()
          await seen.promise
          await setImmediate()
        }
        return { [Symbol.dispose]: () => undefined }
      },
    } as unknown as Slots,
  }))
  await detector.ask()
  await world.until(() => world.stream.acknowledged !== null)
  world.put('new', 1)
  await world.until(() => world.api.has('new'))
  expect(world.sent.map(({ key }) => key)).toEqual(['new'])
})

it('compares before it ends for a command that came at its beginning', async () => {
  await using world = await StreamedWorld.open({ sync: { firstRun: 'skip-existing' } })
  for (let id = 0; id < 8; id += 1) world.put(`k${id}`, 1)
  let turns = 0
  await using detector = world.detector(() => ({
    detections: {
      take: async () => {
        turns += 1
        if (turns === 1) await detector.ask()
        return { [Symbol.dispose]: () => undefined }
      },
    } as unknown as Slots,
  }))
  await detector.ask()
  await world.until(() => world.stream.acknowledged !== null)
  world.put('new', 1)
  await world.until(() => world.api.has('new'))
  expect(world.sent.map(({ key }) => key)).toEqual(['new'])
})

it('remembers rows that a run lost track of until they are sent again, though the cache is lost', async () => {
  await using world = await StreamedWorld.open({ partitions: 1, sync: { errors: { retryAfter: '1h' } } })
  world.put('a', 1)
  world.isLosing = true
  {
    await using detector = world.detector()
    await detector.ask()
    await world.until(() => world.stream.acknowledged !== null)
    await detector.drain()
  }
  world.isLosing = false
  {
    await using detector = world.detector()
    await detector.ask()
    await world.until(() => world.runs[0]?.endedAt !== null)
    world.put('b', 1)
    await world.until(() => world.api.has('b'))
    await detector.drain()
  }
  world.forgetState()
  world.later = 3_700_000
  await using detector = world.detector()
  await detector.ask()
  await world.until(() => world.runs[1]?.status === 'success')
  await world.equal()
  expect(world.sent.map(({ key }) => key)).toEqual(['b', 'a'])
})

it('carries out a command for twins, too, before it ends for another one', async () => {
  await using world = await StreamedWorld.open()
  for (const key of ['ab', 'aB']) world.put(key, 1)
  {
    await using detector = world.detector()
    await detector.ask()
    await world.equal()
    await detector.drain()
  }
  world.holdsMarkers = true
  await using detector = world.detector()
  await detector.ask({ cause: 'resync', scope: null })
  await world.until(() => world.sent.length === 3)
  await detector.ask()
  await world.releaseMarkers()
  await world.until(() => world.runs.some(({ run, endedAt }) => run === 2 && endedAt !== null))
  expect(
    world.sent
      .filter(({ run }) => run === 2)
      .map(({ key }) => key)
      .toSorted(),
  ).toEqual(['aB', 'ab'])
})

it('looks now and then, and not all the time, whether a command can go on', async () => {
  await using world = await StreamedWorld.open()
  for (const key of ['ab', 'aB']) world.put(key, 1)
  let looks = 0
  const steadyNow = (): number => {
    looks += 1
    return performance.now() + world.later
  }
  await using detector = world.detector({ steadyNow })
  await detector.ask()
  await world.equal()
  world.holdsMarkers = true
  await detector.ask({ cause: 'resync', scope: null })
  await world.until(() => world.sent.length === 3)
  world.later = 60_000
  const before = looks
  await pause(2_500)
  // Twice a second, with some times at each.
  expect(looks - before).toBeLessThan(200)
  await world.releaseMarkers()
  await world.until(() => world.sent.length === 4)
})

it('ends once delivery has lost track of it in a partition, and sends these rows in a later run', async () => {
  await using world = await StreamedWorld.open({ sync: { errors: { retryAfter: '1s' } } })
  await using detector = world.detector()
  await detector.ask()
  world.put('a', 1)
  await world.equal()
  world.isLosing = true
  world.put('b', 1)
  await world.until(() => world.runs[0]?.status === 'failed')
  world.isLosing = false
  await detector.ask()
  await world.equal()
  expect(world.sent.map(({ key }) => key)).toEqual(['a', 'b'])
})

it.each(['the edit alone', 'a command before it', 'a command behind it'] as const)(
  'ends at once for an edit while it reads the whole table: %s',
  async which => {
    await using world = await StreamedWorld.open({ sync: { firstRun: 'skip-existing' } })
    for (let id = 0; id < 8; id += 1) world.put(`k${id}`, 1)
    const edits = new Notifier()
    let isEdited = false
    await using detector = world.detector(definition => ({
      edits,
      resolveDefinition: () => {
        if (!isEdited) return Promise.resolve(definition)
        isEdited = false
        return Promise.reject(new SluiceError('config', 'the edit is wrong'))
      },
    }))
    const comparing = Promise.withResolvers<undefined>()
    const aborted = Promise.withResolvers<undefined>()
    world.stream.beforeComparison = async signal => {
      world.stream.beforeComparison = () => Promise.resolve()
      signal.addEventListener('abort', () => aborted.resolve(undefined))
      comparing.resolve(undefined)
      await aborted.promise
    }
    await detector.ask()
    await comparing.promise
    if (which === 'a command before it') await detector.ask()
    isEdited = true
    edits.notify()
    if (which === 'a command behind it') {
      await world.until(() => !isEdited)
      await detector.ask()
    }
    await aborted.promise
    await world.until(() => world.stream.acknowledged !== null)
    world.put('new', 1)
    await world.until(() => world.api.has('new'))
    expect(world.sent.map(({ key }) => key)).toEqual(['new'])
  },
)

it('sends a failed row again though its row was too large in between', async () => {
  await using world = await StreamedWorld.open({ texts: ['note'], sync: { errors: { retryAfter: '30s' } } })
  world.stream.put({ id: 'a', v: 1, note: '' })
  await using detector = world.detector()
  await detector.ask()
  await world.equal()
  world.stream.put({ id: 'a', v: 2, note: 'x'.repeat(8_000_001) })
  await world.until(() => world.stream.taken >= 1)
  world.fate = () => 'rejected'
  world.stream.put({ id: 'a', v: 3, note: '' })
  await world.until(() => world.sent.length === 2)
  world.fate = () => 'delivered'
  world.later = 31_000
  world.stream.put({ id: 'b', v: 1, note: '' })
  await world.equal()
  expect(world.sent.map(({ key, row }) => [key, row?.['v']])).toEqual(
    expect.arrayContaining([
      ['a', 3],
      ['b', 1],
    ]),
  )
})

it('takes only the rows of the first comparison as being there, though its run was cancelled and a later one compares', async () => {
  await using world = await StreamedWorld.open({ sync: { firstRun: 'skip-existing', removalGuard: false } })
  for (let id = 0; id < 4; id += 1) world.put(`k${id}`, 1)
  await using detector = world.detector()
  await detector.ask()
  await world.until(() => world.stream.acknowledged !== null)
  world.put('new', 1)
  await world.until(() => world.api.has('new'))
  // The first run is long over with its comparison.
  await cancelled(world, detector)
  world.put('late', 1)
  world.put('new', 2)
  world.stream.forget()
  await detector.ask()
  await world.until(() => world.stream.comparisons === 2)
  world.put('end', 1)
  await world.until(() => world.api.has('end'))
  expect(world.api.get('late')).toMatchObject({ v: 1 })
  expect(world.api.get('new')).toMatchObject({ v: 2 })
}, 20_000)

it('removes what left the table after the first comparison, though the first run died and a later one compares', async () => {
  await using world = await StreamedWorld.open({ sync: { firstRun: 'skip-existing', removalGuard: false } })
  for (let id = 0; id < 4; id += 1) world.put(`k${id}`, 1)
  {
    await using detector = world.detector()
    await detector.ask()
    await world.until(() => world.stream.acknowledged !== null)
    world.put('new', 1)
    await world.until(() => world.api.has('new'))
  }
  world.stream.remove('new')
  world.stream.forget()
  await using detector = world.detector()
  await detector.ask()
  await world.until(() => world.stream.comparisons === 2)
  world.put('end', 1)
  await world.until(() => world.api.has('end'))
  expect([...world.api.keys()]).toEqual(['end'])
}, 20_000)

it('uses an approval up in the comparison that it is of', async () => {
  await using world = await StreamedWorld.open({ sync: { removalGuard: { share: 0.2, rows: 3 } } })
  for (let id = 0; id < 30; id += 1) world.put(`k${id}`, 1)
  await using detector = world.detector()
  await detector.ask()
  await world.equal()
  const left = [...world.stream.table.values()].slice(0, 18)
  world.stream.snapshot(left)
  await world.until(() => world.runs[0]?.status === 'success')
  await detector.ask()
  await world.until(() => world.runs[1]?.status === 'held')
  expect(world.runs[1]?.held).toMatchObject({ removed: 12 })
  await detector.ask({ kind: 'approve', run: world.runs[1]?.runId ?? '' })
  await world.equal()
  await world.until(() => world.stream.acknowledged !== null)
  // Nobody has approved these.
  for (const row of left.slice(0, 12)) world.stream.remove(world.stream.keyOf(row))
  await world.until(
    () => world.runs.some(({ run, status }) => (run ?? 0) >= 2 && isEnded(status)) || world.api.size < 18,
  )
  expect(world.api.size).toBe(18)
}, 20_000)

it('counts the removals of a comparison together with those that follow within ten minutes', async () => {
  await using world = await StreamedWorld.open({ sync: { removalGuard: { share: 0.3, rows: 3 } } })
  for (let id = 0; id < 40; id += 1) world.put(`k${id}`, 1)
  await using detector = world.detector()
  await detector.ask()
  await world.equal()
  // A quarter goes in a comparison, and more than a quarter of the rest right behind it.
  world.stream.snapshot([...world.stream.table.values()].slice(0, 30))
  await world.until(() => world.runs[0]?.status === 'success')
  await detector.ask()
  await world.equal()
  for (const key of [...world.stream.table.keys()].slice(0, 8)) world.stream.remove(key)
  await world.until(
    () => world.api.size < 30 || world.runs.some(({ run, status }) => run === 2 && isEnded(status)),
  )
  expect(world.api.size).toBe(30)
}, 20_000)

it('counts what was removed lately by another process, too, though the cache is lost', async () => {
  await using world = await StreamedWorld.open({ sync: { removalGuard: { share: 0.3, rows: 3 } } })
  for (let id = 0; id < 20; id += 1) world.put(`k${id}`, 1)
  {
    await using detector = world.detector()
    await detector.ask()
    await world.equal()
    for (let id = 0; id < 5; id += 1) world.stream.remove(`k${id}`)
    await world.equal()
    await detector.drain()
  }
  world.forgetState()
  await using detector = world.detector()
  // By themselves, these are within the guard.
  for (let id = 5; id < 9; id += 1) world.stream.remove(`k${id}`)
  await detector.ask()
  await world.comesTo(() => world.runs.some(({ status }) => status === 'held'), detector)
  expect(world.sent.length).toBe(25)
})

it('holds the next run for too many removals, though another partition of the log has more entries', async () => {
  await using world = await StreamedWorld.open({
    sync: { removalGuard: { share: 0.2, rows: 3 }, slice: { rows: 1 } },
  })
  // The log has each kind of key in a partition of its own.
  const keysOf = (letter: string): readonly string[] =>
    Array.from({ length: 10 }, (_, index) => letter + '.'.repeat(index))
  const [removed, changed] = [keysOf('r'), keysOf('s')]
  for (const key of [...removed, ...changed]) world.put(key, 1)
  await using detector = world.detector()
  await detector.ask()
  await world.equal()
  for (const key of removed) world.stream.remove(key)
  for (let v = 2; v < 12; v += 1) for (const key of changed) world.put(key, v)
  await world.comesTo(() => world.runs.some(({ status }) => status === 'held'), detector)
  expect(world.runs.find(({ status }) => status === 'held')).toMatchObject({ run: 2 })
  await detector.ask({ kind: 'approve', run: world.runs[1]?.runId ?? '' })
  await world.settled(detector)
})

it('does not count removals of a comparison again that waited for a twin', async () => {
  await using world = await StreamedWorld.open({ sync: { removalGuard: { share: 0.5, rows: 6 } } })
  for (const key of ['a', 'b', 'c', 'd', 'e']) for (const twin of [`${key}x`, `${key}X`]) world.put(twin, 1)
  await using detector = world.detector()
  await detector.ask()
  await world.equal()
  world.stream.snapshot(['dx', 'dX', 'ex', 'eX'].map(id => ({ id, v: 1 })))
  await world.settled(detector)
  expect(world.runs.map(({ status }) => status)).not.toContain('held')
  expect(world.runs.length).toBe(2)
})

it('takes entries of another log for new ones, though its orders begin anew', async () => {
  await using world = await StreamedWorld.open()
  await using detector = world.detector()
  await detector.ask()
  for (let v = 1; v < 6; v += 1) {
    world.put('a', v)
    await world.equal()
  }
  world.stream.anew()
  await world.comesTo(() => world.stream.comparisons === 2, detector)
  world.put('b', 1)
  await world.settled(detector)
  world.put('a', 9)
  await world.settled(detector)
})

it('compares again after a comparison that ended before its last slice', async () => {
  await using world = await StreamedWorld.open({ sync: { slice: { rows: 1 } } })
  for (let id = 0; id < 40; id += 1) world.put(`k${id}`, 1)
  {
    const dying = world.detector()
    const dies = Promise.withResolvers<undefined>()
    world.fate = () => {
      dies.resolve(undefined)
      return 'delivered'
    }
    await dying.ask()
    await dies.promise
    await dying.drain()
  }
  expect(world.sent.length).toBeLessThan(40)
  await using detector = world.detector()
  await detector.ask()
  await world.settled(detector)
  expect(world.stream.comparisons).toBe(2)
})

it('hears nothing of a slice of an earlier run', async () => {
  await using world = await StreamedWorld.open({ partitions: 1 })
  world.holdsMarkers = true
  {
    await using detector = world.detector()
    await detector.ask()
    for (let v = 1; v < 6; v += 1) {
      world.put(`k${v}`, 1)
      await world.equal()
    }
    await detector.drain()
  }
  const earlier = world.heldMarkers
  await using detector = world.detector()
  await detector.ask()
  world.put('a', 1)
  await world.equal()
  await world.releaseMarkers(earlier)
  world.put('a', 2)
  world.put('b', 1)
  await world.until(() => world.api.has('b'))
  expect(world.api.get('a')).toEqual({ id: 'a', v: 1 })
  await world.releaseMarkers()
  await world.equal()
})

it.each([{ lacks: [] }, { lacks: ['note'] }])(
  'sends the newest values in a resync, also of a column that is not compared (%j)',
  async ({ lacks }) => {
    const path = '/rows/{{ id }}/{{ v }}/{{ note }}'
    await using world = await StreamedWorld.open({
      ...{ mayLack: ['note'], texts: ['note'] },
      sync: {
        compare: ['v'],
        triggers: { added: { method: 'POST', path }, changed: { method: 'PUT', path } },
      },
    })
    world.stream.put({ id: 'a', v: 1, note: 'old' })
    await using detector = world.detector(({ model: { sql: _, ...model }, ...definition }) => ({
      resolveDefinition: () => Promise.resolve({ ...definition, model: { ...model, table: 't' } }),
    }))
    await detector.ask()
    await world.until(() => world.sent.length === 1)
    world.stream.put({ id: 'a', v: 1, note: 'new' })
    world.stream.put({ id: 'a', v: 1, note: 'new' }, { lacks })
    world.stream.put({ id: 'b', v: 1, note: '' })
    await world.until(() => world.api.has('b'))
    expect(world.sent.length).toBe(2)
    await detector.ask({ cause: 'resync', scope: null })
    await world.until(() => world.sent.length === 4)
    expect(world.sent.findLast(({ key }) => key === 'a')?.row).toEqual({ id: 'a', v: 1, note: 'new' })
  },
)

it('tells its position again while nothing changes, so that a source knows when somebody was there', async () => {
  await using world = await StreamedWorld.open()
  world.put('a', 1)
  await using detector = world.detector()
  await detector.ask()
  await world.equal()
  await world.until(() => world.stream.acknowledged !== null)
  await cancelled(world, detector)
  const opened = world.stream.openedAt.length
  const { passed } = world
  // Nobody was there for half an hour.
  world.later = 1_800_000
  await detector.ask()
  await world.until(() => world.stream.openedAt.length > opened && world.passed > passed)
  const age = Date.now() + world.later - (world.stream.openedAt.at(-1) ?? 0)
  expect(age).toBeGreaterThanOrEqual(1_800_000)
  expect(world.sent.length).toBe(1)
})
