/**
 * A state that has kept the rows of its first run holds what one does that is built of the topics alone (R3),
 * whatever became of the rows, and whatever happened to the topics. It reads the run again only where it has
 * to.
 */
import { randomInt } from 'node:crypto'
import { open as openFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { changeSchema } from '@sluice/contracts/avro/schemas'
import type { Fault } from '@sluice/contracts/records'
import { openDeliveredState } from '@sluice/delivered-state/adapters/duckdb'
import { readStateTables } from '@sluice/delivered-state/test/state-tables'
import { TYPE_VALUES } from '@sluice/delivered-state/test/type-values'
import type { DeliveredState, Diff, KeptRun } from '@sluice/delivered-state/port'
import { extractHere } from '@sluice/sources/test/extract-here'
import type { Extract } from '@sluice/sources/port'
import { randomFrom, type Random } from '@sluice/testkit/random'
import { INCARNATION, sampleEntry, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, type TestLog } from '@sluice/testkit/test-log'
import { at, syncTopics, syncTopicSpecs, textKey } from '@sluice/topics/topics'
import { publishChanges } from '../publish/publish-changes.ts'
import { ownSync } from '../sync/own-sync.ts'
import { feedState } from './feed-state.ts'

const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))
const PARTITIONS = 3
/** Their rows are read from the topic. */
const NOT_KEPT = /FLOAT|LIST|ARRAY|STRUCT/
const { signal } = new AbortController()

/** An event between the first run and the next, and whether the kept rows still count. */
const HAPPENINGS = {
  nothing: true,
  'a takeover by another process': true,
  'a fault': false,
  'a run of another process': false,
  'a log that begins anew': false,
} as const
type Happening = keyof typeof HAPPENINGS

const CASES = Object.keys(HAPPENINGS).map(
  (happening, index) => [happening as Happening, SEED + index] as const,
)

it.each(CASES)(
  'holds the same as a rebuild after %s (SLUICE_TEST_SEED=%i)',
  { timeout: 60_000 },
  async (happening, seed) => {
    const random = randomFrom(seed)
    await using world = await openTestLog({ partitions: PARTITIONS })
    const extract = await extractOf(world, random.chance(0.5) ? typesSql() : rowsSql(1 + random.below(2500)))
    const blockRows = random.pick([1, 7, 100])
    const first = { run: 1, runId: 'RUN1', blockRows }
    const kept = await firstRun(world, { name: 'cache', extract, ...first, keeps: true })
    await writeOutcomes(world, random)
    const faults: Fault[] = []
    if (happening === 'a fault')
      faults.push({ partition: random.below(PARTITIONS), run: 1, from: random.below(5) })
    if (happening === 'a takeover by another process') await (await own(world))[Symbol.asyncDispose]()
    if (happening === 'a run of another process') {
      await feed(world, 'other', [])
      const changed = await extractOf(world, 'SELECT 1::INTEGER AS id, 5 AS v')
      await firstRun(world, {
        name: 'other',
        extract: changed,
        run: 2,
        runId: 'RUN2',
        blockRows,
        keeps: false,
      })
    }
    if (happening === 'a log that begins anew') {
      const specs = syncTopicSpecs(world.prefix, SYNC, PARTITIONS)
      await world.log.deleteTopics(
        specs.map(({ topic }) => topic),
        { signal },
      )
      await world.log.ensureTopics(specs, { signal })
      const again = { ...first, runId: 'RUN0', extract: await othersOf(world, extract) }
      await firstRun(world, { ...again, name: 'other', keeps: false })
      await writeOutcomes(world, random)
    }
    const counts = kept?.partitions.reduce((sum, { count }) => sum + count, 0)
    expect(counts).toBe(extract.rowCount)
    const takes = await feed(world, 'cache', faults)
    expect(takes).toBe(HAPPENINGS[happening])
    await feed(world, 'rebuilt', faults)
    const [cached, rebuilt] = await readStateTables([fileOf(world, 'cache'), fileOf(world, 'rebuilt')])
    expect(cached).toEqual(rebuilt)
    // The hashes of kept rows are those of the rows that were read.
    const [ofCache, ofRebuilt] = [
      await changedKeys(world, 'cache', extract),
      await changedKeys(world, 'rebuilt', extract),
    ]
    expect(ofCache).toEqual(ofRebuilt)
  },
)

it('takes no rows of which a block is damaged', { timeout: 60_000 }, async () => {
  await using world = await openTestLog({ partitions: PARTITIONS })
  const extract = await extractOf(world, rowsSql(20_000))
  const of = { name: 'cache', run: 1, runId: 'RUN1', blockRows: 10, keeps: true }
  expect(await firstRun(world, { ...of, extract })).not.toBeNull()
  const file = await openFile(fileOf(world, 'cache'), 'r+')
  const { size } = await file.stat()
  await file.write(Buffer.alloc(8192, 7), 0, 8192, Math.floor(size * 0.3))
  await file.close()
  await expect(feed(world, 'cache', [])).rejects.toMatchObject({ code: 'corrupt' })
})

it.each([
  ['floats, whose shortest decimal SQL does not make', 'SELECT 1::INTEGER AS id, 0.1::FLOAT AS v', false],
  ['lists', 'SELECT 1::INTEGER AS id, [1] AS v', false],
  [
    'many columns',
    `SELECT 1::INTEGER AS id, ${Array.from({ length: 120 }, (_, i) => `${i} AS v${i}`).join(', ')}`,
    false,
  ],
  ['texts', "SELECT 1::INTEGER AS id, 'a' AS v", true],
])('keeps rows or not: %s', async (_, sql, isKept) => {
  await using world = await openTestLog({ partitions: PARTITIONS })
  const extract = await extractOf(world, sql)
  const of = { name: 'cache', run: 1, runId: 'RUN1', blockRows: 1, keeps: true }
  expect((await firstRun(world, { ...of, extract })) !== null).toBe(isKept)
})

function fileOf({ folder }: TestLog, name: string): string {
  return join(folder, name)
}

function open(world: TestLog, name: string): Promise<DeliveredState> {
  const of = { sync: SYNC, incarnation: INCARNATION, partitions: PARTITIONS }
  return openDeliveredState({ ...of, file: fileOf(world, name), pieceRows: 512 })
}

function own(world: TestLog) {
  return ownSync(world, { sync: SYNC, incarnation: INCARNATION, partitions: PARTITIONS, signal })
}

let extracts = 0
function extractOf({ folder }: TestLog, sql: string): Promise<Extract> {
  const model = { kind: 'model', name: 'm', source: 's', sql, primaryKey: 'id' } as const
  return extractHere(model, { folder, file: join(folder, `extract-${extracts++}`) })
}

/** As many rows as an extract has, with other values. */
function othersOf(world: TestLog, { rowCount }: Extract): Promise<Extract> {
  return extractOf(world, `SELECT range::INTEGER AS id, 'other' AS v FROM range(${rowCount})`)
}

function rowsSql(rows: number): string {
  return `SELECT range::INTEGER AS id, concat('Ann "', range, chr(9), chr(10), chr(92), chr(1), 'é') AS name,
    if(range % 7 = 0, NULL, range * 1.5::DOUBLE) AS d, if(range % 3 = 0, 9007199254740993, range) AS l,
    (range / 100)::DECIMAL(12, 2) AS m FROM range(${rows})`
}

/** Every value of every type whose rows are kept. */
function typesSql(): string {
  const held = TYPE_VALUES.filter(([name]) => !NOT_KEPT.test(name))
  const joined = held.map(([, expression, values], index) => {
    const rows = values.map(([sql], id) => `(${id}, ${sql})`)
    return `JOIN (SELECT id AS id${index}, ${expression} AS v${index} FROM (VALUES ${rows.join(', ')}) AS t(id, x)) ON id${index} = range % ${values.length}`
  })
  const columns = held.map((_, index) => `v${index}`)
  return `SELECT range::INTEGER AS id, ${columns.join(', ')} FROM range(30) ${joined.join(' ')} ORDER BY id`
}

function diffOf(state: DeliveredState, { file, columns }: Extract): Promise<Diff> {
  const compare = columns.map(({ name }) => name)
  const opsWithTrigger = new Set(['added', 'changed', 'removed'] as const)
  return state.diff({
    extractFile: file,
    columns,
    primaryKey: ['id'],
    compare,
    opsWithTrigger,
    baseline: false,
    signal,
  })
}

/** A run from an extract, as a detector carries it out; what the state has kept of it. */
async function firstRun(
  world: TestLog,
  of: {
    readonly name: string
    readonly extract: Extract
    readonly run: number
    readonly runId: string
    readonly blockRows: number
    readonly keeps: boolean
  },
): Promise<KeptRun | null> {
  const { name, extract, run, runId, blockRows, keeps } = of
  {
    await using state = await open(world, name)
    const diff = await diffOf(state, extract)
    const schema = changeSchema(diff.columns)
    const encoder = await world.io.changeEncoder({ sync: SYNC, incarnation: INCARNATION, schema }, { signal })
    await using ownership = await own(world)
    const begin = { run, runId, definition: 'd', startedAt: 1, first: run === 1 }
    const options = { io: world.io, ownership, begin, encoder, cancel: signal, abort: signal }
    await publishChanges(diff, { ...options, blockRows: () => blockRows })
    const ends = await Promise.all(
      Array.from({ length: PARTITIONS }, async (_, p) => {
        return (await world.log.offsets(at(ownership.topics.changes, p), { signal })).end
      }),
    )
    if (keeps) await state.keep({ run, runId, ends, blockRows, signal })
  }
  await using state = await open(world, name)
  return (await state.positions()).kept
}

/** Entries and values of some rows; some of these end before the run does. */
async function writeOutcomes(world: TestLog, random: Random): Promise<void> {
  // With entries of more than a quarter of the rows, the state is written anew.
  const share = random.pick([0.05, 0.9])
  const { changes, retry, captured } = syncTopics(world.prefix, SYNC)
  for (let partition = 0; partition < PARTITIONS; partition += 1)
    for (const { key, record } of await world.read(at(changes, partition))) {
      if (record?.name !== 'sluice.Change' || !random.chance(share)) continue
      const { run, seq } = record.value
      const outcome = random.pick(['rejected', 'unknown', 'unsent', 'exists'] as const)
      const entry = sampleEntry({ incarnation: INCARNATION, owner: -1, run, seq, op: 'added', outcome })
      const value = world.io.encode('RetryEntry', entry)
      await world.append(at(retry, partition), [{ key, value }])
      if (random.chance(0.3)) await world.append(at(retry, partition), [{ key, value: null }])
      const values = { incarnation: INCARNATION, owner: -1, run, seq, values: '{"id":1}' }
      if (random.chance(0.5))
        await world.append(at(captured, partition), [
          { key: textKey('0'), value: world.io.encode('Captured', values) },
        ])
    }
}

/** True if the state took what it had kept. */
async function feed(world: TestLog, name: string, faults: readonly Fault[]): Promise<boolean> {
  await using state = await open(world, name)
  const topics = syncTopics(world.prefix, SYNC)
  const end = (await world.log.offsets(at(topics.changes, 0), { signal })).end
  const { kept } = await state.positions()
  const read: number[] = []
  const onProgress = async ({ of }: { readonly of: number }): Promise<void> => void read.push(of)
  const of = { partitions: PARTITIONS, incarnation: INCARNATION, topics, faults, onProgress, signal }
  await feedState(state, { ...world, ...of })
  const after = await state.positions()
  expect([after.kept, after.changes[0]]).toEqual([null, end])
  const entries = await Promise.all(
    Array.from(
      { length: PARTITIONS },
      async (_, p) => (await world.log.offsets(at(topics.retry, p), { signal })).end,
    ),
  )
  const values = await Promise.all(
    Array.from(
      { length: PARTITIONS },
      async (_, p) => (await world.log.offsets(at(topics.captured, p), { signal })).end,
    ),
  )
  const others = [...entries, ...values].reduce((sum, count) => sum + count, 0)
  return kept !== null && Math.max(...read) <= others + PARTITIONS * 2
}

async function changedKeys(world: TestLog, name: string, extract: Extract): Promise<readonly string[]> {
  await using state = await open(world, name)
  const keys: string[] = []
  for await (const { changes } of (await diffOf(state, extract)).changes())
    for (const { op, key } of changes) keys.push(`${op} ${key}`)
  return keys.toSorted()
}
