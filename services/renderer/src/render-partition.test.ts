import { expect, it } from 'vitest'
import type { RunBegin } from '@sluice/contracts/records'
import type { MessageLog } from '@sluice/message-log/port'
import { NO_STAGE_METRICS } from '@sluice/partition/stage-metrics'
import { at, homePartition, runKey, sharedTopics, sliceKey, syncTopics } from '@sluice/topics/topics'
import { sampleDefinition, sampleEvent, SYNC } from '@sluice/testkit/sample-records'
import { steadyMembership } from '@sluice/testkit/steady-membership'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { outage, watchedLog } from '@sluice/testkit/watched-log'
import { writeChanges } from '@sluice/testkit/write-changes'
import { SluiceError } from '@sluice/contracts/errors'
import type { RenderElsewhere } from '@sluice/templates/rendering/render-batch'
import { SlowRenders } from '@sluice/templates/adapters/thread'
import { renderPartition } from './render-partition.ts'
import { RendererMemory, type RenderRoom } from './renderer-memory.ts'

const { signal } = new AbortController()
const topics = syncTopics(PREFIX, SYNC)
const columns = [{ name: 'id', type: { kind: 'text' } }] as const

/** One life of a renderer on the partition. `commit` hears of its hints. */
function render(
  { io, definitions, runs, prefix }: TestLog,
  log: MessageLog,
  drain: AbortSignal,
  {
    commit = () => undefined,
    ...options
  }: { readonly commit?: (offset: number) => void; readonly maxAppendBytes?: number } = {},
): Promise<void> {
  const membership = {
    ...steadyMembership(),
    commit: (_target: unknown, offset: number) => Promise.resolve(true).then(is => (commit(offset), is)),
  }
  const worker = { target: at(topics.changes, 0), membership, drain, abort: signal }
  const room = new RendererMemory(128_000_000)
  const deps = { log, io, definitions, runs, prefix, room, stageMetrics: NO_STAGE_METRICS, ...options }
  return renderPartition(deps, sampleEvent(), worker)
}

it('a renderer whose last append the log refuses gives the partition up, and its successor writes the missing requests', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const definition = await world.definitions.put(sampleDefinition(), { signal })
  const begin: RunBegin = { run: 1, runId: 'RUN1', definition, startedAt: 1, first: true }
  await writeChanges(world, { begin, columns, rows: [{ key: 'a', row: { id: 'a' } }] })
  // The markers of takeover and of the run's begin stand alone; the request comes with the run's end.
  const refusing = watchedLog(world.log, async ({ topic }, records) => {
    if (topic === topics.requests && records.length > 1) throw outage()
  })
  const drain = new AbortController()
  await expect(render(world, refusing, drain.signal)).rejects.toMatchObject({ code: 'unreachable' })

  const successor = render(world, world.log, drain.signal)
  const kindOf = (found: Awaited<ReturnType<TestLog['read']>>) =>
    found.map(({ record }) => (record?.name === 'sluice.Marker' ? record.value.kind : record?.name))
  const written = await world.readUntil(at(topics.requests, 0), found => kindOf(found).includes('run-end'))
  drain.abort()
  await successor
  expect(kindOf(written)).toEqual(['takeover', 'run-begin', 'takeover', 'sluice.Request', 'run-end'])
})

it('reports its position to the group once a run is rendered to its end', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const definition = await world.definitions.put(sampleDefinition(), { signal })
  const begin: RunBegin = { run: 1, runId: 'RUN1', definition, startedAt: 1, first: true }
  await writeChanges(world, { begin, columns, rows: [{ key: 'a', row: { id: 'a' } }] })
  const { end } = await world.log.offsets(at(topics.changes, 0), { signal })
  const hinted = Promise.withResolvers<number>()
  const drain = new AbortController()
  const rendering = render(world, world.log, drain.signal, { commit: hinted.resolve })
  expect(await hinted.promise).toBe(end)
  drain.abort()
  await rendering
})

const BATCHED = {
  added: { method: 'POST', path: '/rows', batch: { size: 3 }, body: { json: '{{ rows | json }}' } },
}
const rowsOf = (keys: string) => [...keys].map(key => ({ key, row: { id: key } }))
/** The rows of each request in order, and the ends of slices and their numbers. */
const toldBy = (found: Awaited<ReturnType<TestLog['read']>>) =>
  found.flatMap(({ record }): (string | number)[] => {
    if (record?.name === 'sluice.Request') return [record.value.rows.map(({ key }) => key).join('')]
    return record?.name === 'sluice.Slice' ? [record.value.slice] : []
  })

it('closes its batch at the end of a slice at once, and appends its own end behind the requests', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const definition = await world.definitions.put(sampleDefinition({ sync: { triggers: BATCHED } }), {
    signal,
  })
  const begin: RunBegin = { run: 1, runId: 'RUN1', definition, startedAt: 1, first: true }
  // The first slice ends within a batch, the second has nothing, and the third ends with a whole batch.
  const slicesAt = (rows: number): number => ({ 2: 2, 5: 1 })[rows] ?? 0
  await writeChanges(world, { begin, columns, rows: rowsOf('abcde'), slicesAt, ends: false })
  const drain = new AbortController()
  const renderer = render(world, world.log, drain.signal)
  const written = await world.readUntil(at(topics.requests, 0), found => toldBy(found).includes(3))
  drain.abort()
  await renderer
  expect(toldBy(written)).toEqual(['ab', 1, 2, 'cde', 3])
  const slices = written.flatMap(({ record }) => (record?.name === 'sluice.Slice' ? [record.value] : []))
  const own = { incarnation: 'i', owner: 0, run: 1, begin: 1, position: null }
  expect(slices).toMatchObject([
    // In `changes`, a takeover and a run-begin come before the first change.
    { ...own, slice: 1, count: 1, input: 5, committedAt: 1 },
    { ...own, slice: 2, count: 1, input: 6, committedAt: 2 },
    { ...own, slice: 3, count: 2, input: 10, committedAt: 3 },
  ])
})

it('goes on behind the last slice of its predecessor, and renders nothing twice', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const definition = await world.definitions.put(sampleDefinition({ sync: { triggers: BATCHED } }), {
    signal,
  })
  const begin: RunBegin = { run: 1, runId: 'RUN1', definition, startedAt: 1, first: true }
  const slicesAt = (rows: number): number => (rows === 2 || rows === 4 ? 1 : 0)
  const drains = [new AbortController(), new AbortController()] as const
  await writeChanges(world, { begin, columns, rows: rowsOf('abcde'), slicesAt })
  let isPast = false
  const cut = watchedLog(world.log, async ({ topic }, records) => {
    if (topic !== topics.requests) return
    if (isPast) throw outage()
    isPast = [...records].some(({ key }) => Buffer.from(key).equals(sliceKey(0)))
  })
  const oneByOne = { maxAppendBytes: 1 }
  await expect(render(world, cut, drains[0].signal, oneByOne)).rejects.toMatchObject({ code: 'unreachable' })
  const successor = render(world, world.log, drains[1].signal)
  const written = await world.readUntil(at(topics.requests, 0), found =>
    found.some(({ record }) => record?.name === 'sluice.Marker' && record.value.kind === 'run-end'),
  )
  drains[1].abort()
  await successor
  expect(toldBy(written)).toEqual(['ab', 1, 'cd', 2, 'e'])
  const owners = written.flatMap(({ record }) =>
    record !== null && 'owner' in record.value ? [record.value.owner] : [],
  )
  expect(new Set(owners).size).toBe(3)
})

it('gives up a run over a stream in which changes are missing before the end of a slice', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const definition = await world.definitions.put(sampleDefinition(), { signal })
  const begin: RunBegin = { run: 1, runId: 'RUN1', definition, startedAt: 1, first: true }
  const rows = [
    { key: 'a', row: { id: 'a' } },
    { key: 'c', row: { id: 'c' }, change: { seq: 2 } },
  ]
  await writeChanges(world, { begin, columns, rows, slicesAt: count => (count === 2 ? 1 : 0) })
  const { signal: never } = new AbortController()
  const told = { code: 'corrupt', message: expect.stringContaining('changes lack seq 1 of run 1') as string }
  await expect(render(world, world.log, never)).rejects.toMatchObject(told)
  expect(toldBy(await world.read(at(topics.requests, 0)))).toEqual([])
})

it('the rest of a run that has ended is skipped, whatever its definition, and the run-end says so', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const begin: RunBegin = { run: 1, runId: 'RUN1', definition: 'gone', startedAt: 1, first: true }
  await writeChanges(world, { begin, columns, rows: [{ key: 'a', row: { id: 'a' } }] })
  const drain = new AbortController()
  await expect(render(world, world.log, drain.signal)).rejects.toMatchObject({ code: 'not-found' })
  const event = sampleEvent({ status: 'failed', endedAt: 2 })
  await world.append(at(sharedTopics(PREFIX).runs, homePartition(SYNC)), [
    { key: runKey(SYNC, event.runId), value: world.io.encode('RunEvent', event) },
  ])
  await world.runs.until(() => world.runs.of(SYNC)?.events.get(event.runId)?.status === 'failed', { signal })
  const renderer = render(world, world.log, drain.signal)
  const written = await world.readUntil(at(topics.requests, 0), found =>
    found.some(({ record }) => record?.name === 'sluice.Marker' && record.value.kind === 'run-end'),
  )
  drain.abort()
  await renderer
  expect(written.some(({ record }) => record?.name === 'sluice.Request')).toBe(false)
  expect(written.at(-1)?.record?.value).toMatchObject({ kind: 'run-end', count: 0, faultedFrom: 0 })
})

it('a change that is missing ends the run there: all later changes are skipped, and the run-end names the first one that is missing', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const definition = await world.definitions.put(sampleDefinition(), { signal })
  const begin: RunBegin = { run: 1, runId: 'RUN1', definition, startedAt: 1, first: true }
  const rows = [
    { key: 'a', row: { id: 'a' } },
    { key: 'c', row: { id: 'c' }, change: { seq: 2 } },
    { key: 'd', row: { id: 'd' }, change: { seq: 1 } },
  ]
  await writeChanges(world, { begin, columns, rows })
  const drain = new AbortController()
  const renderer = render(world, world.log, drain.signal)
  const written = await world.readUntil(at(topics.requests, 0), found =>
    found.some(({ record }) => record?.name === 'sluice.Marker' && record.value.kind === 'run-end'),
  )
  drain.abort()
  await renderer
  const requests = written.flatMap(({ record }) => (record?.name === 'sluice.Request' ? [record.value] : []))
  expect(requests.map(({ path }) => path)).toEqual(['/rows/a'])
  const error = expect.stringContaining('changes lack seq 1 of run 1: seq 2')
  expect(written.at(-1)?.record?.value).toMatchObject({ kind: 'run-end', faultedFrom: 1, error })
})

it('large batches of several partitions are open one after the other, and each is as it would be alone', async () => {
  const partitions = [0, 1, 2]
  await using world = await openTestLog({ partitions: partitions.length })
  const batched = { method: 'POST', path: '/rows', batch: { size: 3 }, body: { json: '{{ rows | json }}' } }
  const spec = sampleDefinition({ sync: { triggers: { added: batched } } })
  const definition = await world.definitions.put(spec, { signal })
  const begin: RunBegin = { run: 1, runId: 'RUN1', definition, startedAt: 1, first: true }
  const rows = ['a', 'b', 'c'].map(key => ({ key, row: { id: key.repeat(200_000) } }))
  for (const partition of partitions)
    await writeChanges(world, { begin, columns, rows, partition, appended: 1 })

  const memory = new RendererMemory(1_000_000)
  const open = { now: 0, most: 0, waits: 0 }
  const counted = (leave: Disposable): Disposable => {
    open.now += 1
    open.most = Math.max(open.most, open.now)
    return {
      [Symbol.dispose]: () => {
        open.now -= 1
        leave[Symbol.dispose]()
      },
    }
  }
  const largeBatches: RenderRoom['largeBatches'] = {
    tryTake: () => {
      const leave = memory.largeBatches.tryTake()
      return leave === null ? null : counted(leave)
    },
    take: async options => {
      open.waits += 1
      return counted(await memory.largeBatches.take(options))
    },
  }
  const { output, readerBytes, batchBytes } = memory
  const room: RenderRoom = { output, readerBytes, batchBytes, largeBatches }
  const drain = new AbortController()
  const { log, io, definitions, runs, prefix } = world
  const deps = { log, io, definitions, runs, prefix, room }
  const lives = partitions.map(partition => {
    const worker = { target: at(topics.changes, partition), membership: steadyMembership() }
    return renderPartition(deps, sampleEvent(), { ...worker, drain: drain.signal, abort: signal })
  })
  for (const partition of partitions) {
    const found = await world.readUntil(at(topics.requests, partition), all =>
      all.some(({ record }) => record?.name === 'sluice.Marker' && record.value.kind === 'run-end'),
    )
    const requests = found.flatMap(({ record }) => (record?.name === 'sluice.Request' ? [record.value] : []))
    expect(requests.map(request => request.rows.map(({ key }) => key))).toEqual([['a', 'b', 'c']])
  }
  drain.abort()
  await Promise.all(lives)
  expect(open).toMatchObject({ now: 0, most: 1 })
  expect(open.waits).toBeGreaterThan(0)
})

/** Rounds of a loop that takes some tens of milliseconds, and ones that go beyond what a template may do. */
const LONG =
  '{% for a in (1..600) %}{% for b in (1..70) %}{% assign x = b | times: 7 %}{% endfor %}{% endfor %}'
const TOO_LONG = '{% for a in (1..3000) %}{% for b in (1..70) %}{% assign x = b %}{% endfor %}{% endfor %}'

it.each([
  ['take long, and are many', { body: { json: `${LONG}{"id":{{ row.id | json }}}` } }, 30, 30],
  [
    'take very long as one batch',
    {
      batch: { size: 50 },
      body: { json: `[{% for row in rows %}${LONG}{{ row.id | json }},{% endfor %}]` },
    },
    10,
    6,
  ],
  [
    'do too much, so that their batch is divided',
    { batch: { size: 50 }, body: { json: `${TOO_LONG}{{ rows | json }}` } },
    4,
    0,
  ],
  [
    'make a long text that is no JSON',
    { body: { json: '["{% for a in (1..150000) %}{{ row.id }}{% endfor %}' } },
    3,
    0,
  ],
])(
  'templates that %s hold up nobody else in the process',
  async (_what, trigger, count, requests) => {
    await using world = await openTestLog({ partitions: 1 })
    await using slow = new SlowRenders()
    const spec = sampleDefinition({
      sync: { triggers: { added: { method: 'POST', path: '/r', ...trigger } } },
    })
    const definition = await world.definitions.put(spec, { signal })
    const begin: RunBegin = { run: 1, runId: 'RUN1', definition, startedAt: 1, first: true }
    const rows = Array.from({ length: count }, (_, at) => ({ key: `${at}`, row: { id: `${at}`.padEnd(20) } }))
    await writeChanges(world, { begin, columns, rows })
    const drain = new AbortController()
    const turns = longestTurn()
    const deps = { ...world, room: new RendererMemory(128_000_000), renderElsewhere: slow.render }
    const worker = { target: at(topics.changes, 0), membership: steadyMembership(), drain: drain.signal }
    const renderer = renderPartition({ ...deps, prefix: PREFIX }, sampleEvent(), { ...worker, abort: signal })
    const written = await world.readUntil(at(topics.requests, 0), found =>
      found.some(({ record }) => record?.name === 'sluice.Marker' && record.value.kind === 'run-end'),
    )
    const longestMs = turns.stop()
    drain.abort()
    await renderer
    const made = written.flatMap(({ record }) => (record?.name === 'sluice.Request' ? [record.value] : []))
    const unmade = written.flatMap(({ record }) =>
      record?.name === 'sluice.Unrenderable' ? [record.value] : [],
    )
    expect(made).toHaveLength(requests)
    expect([...made, ...unmade].flatMap(one => one.rows.map(({ key }) => key))).toEqual(
      rows.map(({ key }) => key),
    )
    expect(longestMs).toBeLessThan(200)
  },
  60_000,
)

it('a row that takes more memory than a thread has is rejected, and no other row of its batch', async () => {
  await using world = await openTestLog({ partitions: 1 })
  await using slow = new SlowRenders()
  const json = `[{% for row in rows %}${LONG}{{ row.id | json }},{% endfor %}]`
  const added = { method: 'POST', path: '/r', batch: { size: 50 }, body: { json } }
  const spec = sampleDefinition({ sync: { triggers: { added } } })
  const definition = await world.definitions.put(spec, { signal })
  const begin: RunBegin = { run: 1, runId: 'RUN1', definition, startedAt: 1, first: true }
  const rows = Array.from({ length: 10 }, (_, at) => ({ key: `${at}`, row: { id: `${at}` } }))
  await writeChanges(world, { begin, columns, rows })
  const drain = new AbortController()
  const renderElsewhere: RenderElsewhere = (batch, ...of) =>
    batch.changes.some(({ key }) => key === '4')
      ? Promise.reject(new SluiceError('too-large', 'too much'))
      : slow.render(batch, ...of)
  const deps = { ...world, room: new RendererMemory(128_000_000), renderElsewhere }
  const worker = { target: at(topics.changes, 0), membership: steadyMembership(), drain: drain.signal }
  const renderer = renderPartition({ ...deps, prefix: PREFIX }, sampleEvent(), { ...worker, abort: signal })
  const written = await world.readUntil(at(topics.requests, 0), found =>
    found.some(({ record }) => record?.name === 'sluice.Marker' && record.value.kind === 'run-end'),
  )
  drain.abort()
  await renderer
  const keysOf = (name: string): readonly string[] =>
    written.flatMap(({ record }) =>
      record?.name === name && 'rows' in record.value
        ? (record.value.rows as readonly { readonly key: string }[]).map(({ key }) => key)
        : [],
    )
  expect(keysOf('sluice.Unrenderable')).toEqual(['4'])
  expect(keysOf('sluice.Request')).toEqual(['0', '1', '2', '3', '5', '6', '7', '8', '9'])
}, 60_000)

it('a run whose rows take long is given up as soon as its sync is', async () => {
  await using world = await openTestLog({ partitions: 1 })
  await using slow = new SlowRenders()
  const json = `${LONG}{"id":{{ row.id | json }}}`
  const triggers = { added: { method: 'POST', path: '/r', body: { json } } }
  const definition = await world.definitions.put(sampleDefinition({ sync: { triggers } }), { signal })
  const begin: RunBegin = { run: 1, runId: 'RUN1', definition, startedAt: 1, first: true }
  const rows = Array.from({ length: 500 }, (_, at) => ({ key: `${at}`, row: { id: `${at}` } }))
  await writeChanges(world, { begin, columns, rows })
  const ending = new AbortController()
  const deps = { ...world, room: new RendererMemory(128_000_000), renderElsewhere: slow.render }
  const worker = { target: at(topics.changes, 0), membership: steadyMembership() }
  const ends = { drain: ending.signal, abort: ending.signal }
  const renderer = renderPartition({ ...deps, prefix: PREFIX }, sampleEvent(), { ...worker, ...ends })
  await world.readUntil(at(topics.requests, 0), found =>
    found.some(({ record }) => record?.name === 'sluice.Marker' && record.value.kind === 'run-begin'),
  )
  const before = process.threadCpuUsage()
  ending.abort()
  await renderer
  const { user } = process.threadCpuUsage(before)
  expect(user / 1000).toBeLessThan(1_000)
})

/**
 * Milliseconds of processor time that the longest turn of the event loop takes. Other processes do not count.
 */
function longestTurn(): { stop(): number } {
  let longestMs = 0
  let isOver = false
  let last = process.threadCpuUsage()
  const look = (): void => {
    const { user, system } = process.threadCpuUsage(last)
    last = process.threadCpuUsage()
    longestMs = Math.max(longestMs, (user + system) / 1000)
    if (!isOver) setImmediate(look)
  }
  setImmediate(look)
  return {
    stop: () => {
      isOver = true
      return longestMs
    },
  }
}
