/**
 * A renderer that dies at any moment leaves the same requests as one that nothing disturbs (PROTOCOL.md §5,
 * §7): the same rows in the same batches, with the same seqs.
 */
import { expect, it } from 'vitest'
import type { Change, RunBegin } from '@sluice/contracts/records'
import type { Row } from '@sluice/contracts/values'
import { ByteBudget } from '@sluice/flow/byte-budget'
import { Slots } from '@sluice/flow/slots'
import type { FencedWriter, MessageLog } from '@sluice/message-log/port'
import { readOwned, type Placed } from '@sluice/topics/owned-reader'
import { at, syncTopics } from '@sluice/topics/topics'
import { randomFrom, type Random } from '@sluice/testkit/random'
import { INCARNATION, sampleDefinition, sampleEvent, SYNC } from '@sluice/testkit/sample-records'
import { steadyMembership } from '@sluice/testkit/steady-membership'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { writeChanges } from '@sluice/testkit/write-changes'
import { enter, newSuspects, type Entry } from '@sluice/partition/deaths/entry'
import type { RecordIo } from '@sluice/topics/record-io'
import { renderPartition } from './render-partition.ts'
import type { RenderRoom } from './renderer-memory.ts'

const HISTORIES = 20
const DEADLY_HISTORIES = 6
/** More than a renderer has on its way to the log. */
const FAR = 900
const RUNS = 2
const topics = syncTopics(PREFIX, SYNC)
const input = at(topics.changes, 0)
const output = at(topics.requests, 0)

const TRIGGERS = {
  added: {
    batch: { size: 20, bytes: '1KB' },
    method: 'POST',
    path: '/rows',
    body: {
      json: '[{% for row in rows %}{"id":{{ row.id | json }},"text":"{{ row.text | raw }}"},{% endfor %}]',
    },
  },
  changed: { batch: { size: 7 }, method: 'PUT', path: '/rows', body: { json: '{{ rows | json }}' } },
  removed: { method: 'DELETE', path: '/rows/{{ text }}' },
}
const COLUMNS = [
  { name: 'id', type: { kind: 'long' } },
  { name: 'text', type: { kind: 'text' } },
] as const

/** Settled rows, then removed, changed and added ones, some of which cannot be rendered or are large. */
function* changesOf(
  run: number,
  random: Random,
): Generator<{ key: string; row: Row; change: Partial<Change> }> {
  const ops = ['settled', 'removed', 'changed', 'added'] as const
  for (const op of ops) {
    const count = random.below(60)
    for (let index = 0; index < count; index += 1) {
      const key = `${run}.${op}.${index}`
      const text = random.chance(0.1) ? '"' : 'x'.repeat(random.below(300))
      const row = { id: index, text: random.chance(0.05) ? null : text }
      const before = op === 'added' ? {} : { before: row, beforeState: 'present' as const }
      const settled = op === 'settled' ? { settledState: 'present' as const } : {}
      yield { key, row, change: { op, ...before, ...settled, ...(op === 'removed' ? { after: null } : {}) } }
    }
  }
}

async function openWorld(random: Random, { slices = false } = {}): Promise<TestLog> {
  await using opening = new AsyncDisposableStack()
  const world = opening.use(await openTestLog({ partitions: 1 }))
  const { signal } = new AbortController()
  const definition = await world.definitions.put(sampleDefinition({ sync: { triggers: TRIGGERS } }), {
    signal,
  })
  for (let run = 1; run <= RUNS; run += 1) {
    const begin: RunBegin = { run, runId: `RUN${run}`, definition, startedAt: 1, first: run === 1 }
    const rows = changesOf(run, random)
    const slicesAt = (): number => (slices && random.chance(0.1) ? 1 + random.below(2) : 0)
    const appended = 1 + random.below(9)
    await writeChanges(world, { begin, columns: COLUMNS, rows, appended, slicesAt })
  }
  opening.move()
  return world
}

/** A log that is read in pieces of any size, and whose `appends`-th append is the last thing that happens. */
function mortalLog(log: MessageLog, random: Random, of: { appends: number; kill: () => void }): MessageLog {
  const isLost = random.chance(0.5)
  const append = async (writer: FencedWriter, ...args: Parameters<FencedWriter['append']>) => {
    of.appends -= 1
    if (of.appends !== 0) return writer.append(...args)
    const [target, records] = args
    // It is lost with the process, or arrives and nobody hears of it any more.
    if (!isLost) await writer.append(target, records, { signal: new AbortController().signal })
    of.kill()
    throw new Error('killed')
  }
  return new Proxy(log, {
    get(target, name) {
      if (name === 'read')
        return (...[of, options]: Parameters<MessageLog['read']>) =>
          log.read(of, { ...options, bufferBytes: 1 + random.below(2_000) })
      if (name === 'openWriter')
        return async (...args: Parameters<MessageLog['openWriter']>): Promise<FencedWriter> => {
          const writer = await log.openWriter(...args)
          return {
            id: writer.id,
            get state() {
              return writer.state
            },
            append: (...appended) => append(writer, ...appended),
            [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
          }
        }
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => Reflect.apply(value, target, args)
    },
  })
}

/** Room for batches that is so scarce that many have to be given up, and read again. */
function scarce(random: Random): RenderRoom {
  const leave = { [Symbol.dispose]: () => undefined }
  return {
    output: new ByteBudget(1 + random.below(5_000)),
    readerBytes: 1 + random.below(10_000),
    batchBytes: random.below(3_000),
    largeBatches: {
      tryTake: () => (random.chance(0.5) ? leave : null),
      take: () => Promise.resolve(leave),
    },
  }
}

/** Room to run ahead of what the log has acknowledged. */
const ROOMY: RenderRoom = {
  output: new ByteBudget(8_000_000),
  readerBytes: 1_000_000,
  batchBytes: 1_000_000,
  largeBatches: new Slots({ most: 1, overdueMs: 60_000 }),
}

/** A codec that ends the process at a request with one of these keys. */
function deadlyIo(io: RecordIo, deadly: ReadonlySet<string>, kill: () => void): RecordIo {
  return new Proxy(io, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: [string, { readonly rows?: readonly { readonly key: string }[] }]): unknown => {
        const [kind, record] = args
        if (name === 'encode' && kind === 'Request' && record.rows?.some(({ key }) => deadly.has(key))) {
          kill()
          throw new Error('killed')
        }
        return Reflect.apply(value, target, args)
      }
    },
  })
}

/**
 * One life of a renderer, until its log or a deadly row ends it, or all runs are rendered; true if it was
 * killed.
 */
async function live(
  world: TestLog,
  random: Random,
  appends: number,
  {
    deadly = new Set(),
    isRoomy = false,
    known = null,
  }: {
    readonly deadly?: ReadonlySet<string>
    readonly isRoomy?: boolean
    readonly known?: Entry | null
  } = {},
): Promise<boolean> {
  // So small that the requests of a batch are written in several appends, and a kill comes between them.
  const maxAppendBytes = isRoomy ? 8_000_000 : 1 + random.below(2_000)
  const killed = new AbortController()
  const drain = new AbortController()
  const { definitions, runs, prefix } = world
  const kill = (): void => killed.abort(new Error('killed'))
  const io = deadlyIo(world.io, deadly, kill)
  const log = isRoomy ? world.log : mortalLog(world.log, random, { appends, kill })
  const room = isRoomy ? ROOMY : scarce(random)
  const of = { stage: 'requests', reads: 'changes', run: sampleEvent(), partition: 0 } as const
  const entering = { ...world, logger: { error: () => undefined }, suspects: newSuspects() }
  using entered = deadly.size === 0 ? undefined : await enter(entering, of, { signal: killed.signal })
  const entry = known ?? entered
  const signals = { drain: drain.signal, abort: killed.signal }
  const worker = { target: input, membership: steadyMembership(), entry, ...signals }
  const life = renderPartition(
    { log, io, definitions, runs, prefix, room, maxAppendBytes },
    sampleEvent(),
    worker,
  )
  const over = life.catch((error: unknown) => {
    if (!killed.signal.aborted) throw error
  })
  const rendered = world.readUntil(output, found => ends(found) === RUNS).catch(() => undefined)
  await Promise.race([over, rendered])
  drain.abort()
  await over
  return killed.signal.aborted && ends(await world.read(output)) < RUNS
}

function ends(found: readonly Placed[]): number {
  const isEnd = ({ record }: Placed): boolean =>
    record?.name === 'sluice.Marker' && record.value.kind === 'run-end'
  return found.filter(isEnd).length
}

/** Returns the records in `requests` for delivery, without the offsets at which owners took over. */
async function requestsOf({ log, io }: TestLog): Promise<readonly object[]> {
  const { signal } = new AbortController()
  const { low, end } = await log.offsets(output, { signal })
  const options = { log, io, target: output, incarnation: INCARNATION, stage: 'requests', signal } as const
  const found: object[] = []
  for await (const { records } of readOwned({ ...options, from: low, to: end }))
    for (const { key, record } of records) {
      if (record?.name === 'sluice.Marker' && record.value.kind === 'takeover') continue
      found.push({
        key: Buffer.from(key).toString('latin1'),
        ...record,
        value: { ...record?.value, owner: 0, begin: 0 },
      })
    }
  return found
}

/** Keys of the rows of the first run that its fault leaves to the next one. */
async function leftByFirstRun(world: TestLog): Promise<readonly string[]> {
  const found = await world.read(output)
  const end = found.find(placed => ends([placed]) === 1)?.record
  const from = end?.name === 'sluice.Marker' ? end.value.faultedFrom : null
  if (end?.name !== 'sluice.Marker' || from === null) return []
  expect(end.value.error).toMatch(/^rendering ended the process 2\d times in this run, and its rest is left/)
  return (await world.read(input)).flatMap(({ record }) =>
    record?.name === 'sluice.Change' && record.value.run === 1 && record.value.seq >= from
      ? [record.value.key]
      : [],
  )
}

const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000)

it.each([
  ['a run', { slices: false }],
  ['a run over a stream', { slices: true }],
] as const)(
  `a renderer of %s that is killed at random moments leaves the requests of an undisturbed one (SLUICE_TEST_SEED=${seed})`,
  async (_name, of) => {
    let kills = 0
    for (let history = 0; history < HISTORIES; history += 1) {
      await using calm = await openWorld(randomFrom(seed + history), of)
      await using rough = await openWorld(randomFrom(seed + history), of)
      const random = randomFrom(seed - history)
      expect(await live(calm, randomFrom(seed), Number.MAX_SAFE_INTEGER)).toBe(false)
      while (await live(rough, random, 1 + random.below(12))) kills += 1
      const wanted = await requestsOf(calm)
      expect(wanted.length).toBeGreaterThan(2 * RUNS)
      expect(await requestsOf(rough)).toEqual(wanted)
    }
    expect(kills).toBeGreaterThan(HISTORIES)
  },
  120_000,
)

it(`rows that end renderers are given up, and all others are rendered in order (SLUICE_TEST_SEED=${seed})`, async () => {
  for (let history = 0; history < DEADLY_HISTORIES; history += 1) {
    await using world = await openWorld(randomFrom(seed + history))
    const random = randomFrom(seed - history)
    const changes = (await world.read(input)).flatMap(({ record }) =>
      record?.name === 'sluice.Change' && record.value.op !== 'settled' ? [record.value.key] : [],
    )
    // They belong to the run at work, so that its deaths count.
    const first = changes.filter(key => key.startsWith('1.'))
    const deadly = new Set([random.pick(first), random.pick(first)])
    let lives = 1
    // Kills that are nobody's fault come behind the first record that is rendered.
    while (await live(world, random, 4 + random.below(30), { deadly })) lives += 1
    expect(lives).toBeLessThan(100)
    const rows: string[] = []
    const seqs: number[] = []
    for (const { record } of await world.read(output)) {
      if (record?.name !== 'sluice.Request' && record?.name !== 'sluice.Unrenderable') continue
      const keys = record.value.rows.map(({ key }) => key)
      const isDeadly = keys.some(key => deadly.has(key))
      rows.push(...keys)
      seqs.push(record.value.run === 1 ? record.value.seq : 0)
      if (isDeadly) expect([record.name, keys.length]).toEqual(['sluice.Unrenderable', 1])
      if (record.name === 'sluice.Request') continue
      if (isDeadly)
        expect(record.value.error).toMatch(
          /^(rendering ended the process [3-6] times in a row$|body\.json|path)/,
        )
      else expect(record.value.error).not.toMatch(/ended the process/)
    }
    // Kills that are nobody's fault may make it too many for one run.
    const left = await leftByFirstRun(world)
    if (left.length > 0) expect(lives).toBeGreaterThanOrEqual(20)
    expect(rows).toEqual(changes.filter(key => !left.includes(key)))
    const own = seqs.slice(0, seqs.lastIndexOf(Math.max(...seqs)) + 1)
    expect(own).toEqual(own.map((_, index) => index))
  }
}, 120_000)

it.each([1, 20])(
  'a row far from the last request, in batches of %i, costs a few deaths',
  async size => {
    await using world = await openFar(size)
    let lives = 1
    while (await live(world, randomFrom(seed), 0, { deadly: new Set([`k${FAR}`]), isRoomy: true })) lives += 1
    const found = await world.read(output)
    const sent = found.flatMap(({ record }) => (record?.name === 'sluice.Request' ? record.value.rows : []))
    const givenUp = found.flatMap(({ record }) =>
      record?.name === 'sluice.Unrenderable' ? record.value.rows : [],
    )
    expect(givenUp.map(({ key }) => key)).toEqual([`k${FAR}`])
    expect(sent.length).toBe(2 * FAR - 1)
    expect(lives).toBeLessThanOrEqual(8)
  },
  120_000,
)

/** A first run with many added rows, and an empty second one. */
async function openFar(size: number): Promise<TestLog> {
  await using opening = new AsyncDisposableStack()
  const world = opening.use(await openTestLog({ partitions: 1 }))
  const body = { json: '[{% for row in rows %}{{ row.id | json }},{% endfor %}]' }
  const added = { method: 'POST', path: '/rows', batch: { size }, body }
  const { signal } = new AbortController()
  const sync = { triggers: { added } }
  const definition = await world.definitions.put(sampleDefinition({ sync }), { signal })
  const rows = Array.from({ length: 2 * FAR }, (_, id) => ({ key: `k${id}`, row: { id, text: '' } }))
  for (const run of [1, 2]) {
    const begin: RunBegin = { run, runId: `RUN${run}`, definition, startedAt: 1, first: run === 1 }
    await writeChanges(world, { begin, columns: COLUMNS, rows: run === 1 ? rows : [] })
  }
  opening.move()
  return world
}
