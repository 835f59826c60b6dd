import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { nextTurn } from '@sluice/flow/sleep'
import { keysIn, records as someRecords } from '../../../test/fixture.ts'
import { createSqliteLog } from '../sqlite.ts'

const DAY_MS = 24 * 3_600_000

let folder: string
let file: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-log-'))
  file = join(folder, 'state', 'log.db')
})

afterEach(() => {
  rmSync(folder, { recursive: true })
})

const records = (name: string, count: number) => someRecords(name, count, 200)

/** Queries the log's file directly. */
function peek(sql: string): number {
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    return Number(Object.values(db.prepare(sql).get() ?? {})[0])
  } finally {
    db.close()
  }
}

async function untilTrue(condition: () => boolean, signal: AbortSignal): Promise<void> {
  for (; !condition(); await nextTurn()) signal.throwIfAborted()
}

const target = { topic: 't', partition: 0 }

test('compaction goes on by itself and bounds what is stored', async ({ signal }) => {
  await using log = createSqliteLog({ file })
  await log.ensureTopics([{ topic: 't', partitions: 1, cleanup: 'compact' }], { signal })
  for (let i = 0; i < 60; i += 1) await log.append(target, records('same', 1000), { signal })
  const stored = () => peek('SELECT sum(size) FROM log_batch')
  await untilTrue(() => stored() < 3_000_000, signal)
  expect(new Set(await keysIn(log, target, { signal })).size).toBe(1000)
  expect((await log.offsets(target, { signal })).end).toBe(60_000)
})

test('tombstones stay for a day, and never go before the records that they delete', async ({ signal }) => {
  await using log = createSqliteLog({ file })
  await log.ensureTopics([{ topic: 't', partitions: 1, cleanup: 'compact' }], { signal })
  await log.append(target, records('r', 2), { signal })
  await log.append(target, [{ key: Buffer.from('r-0'), value: null }], { signal })
  await log.compact('t', { signal })
  expect(await keysIn(log, target, { signal })).toEqual(['r-1', 'r-0'])
  age(2 * DAY_MS)
  await log.append(target, records('new', 1), { signal })
  await log.compact('t', { signal })
  expect(await keysIn(log, target, { signal })).toEqual(['r-1', 'new-0'])
  expect(await log.offsets(target, { signal })).toEqual({ low: 0, end: 4 })
})

test('records that a lag protects are compacted once they are old enough', async ({ signal }) => {
  {
    await using log = createSqliteLog({ file })
    await log.ensureTopics([{ topic: 't', partitions: 1, cleanup: 'compact', compactionLagMs: 7 * DAY_MS }], {
      signal,
    })
    for (let i = 0; i < 12; i += 1) await log.append(target, records('same', 1000), { signal })
    await log.compact('t', { signal })
    expect(await keysIn(log, target, { signal })).toHaveLength(12_000)
  }
  age(8 * DAY_MS)
  await using log = createSqliteLog({ file })
  await untilTrue(() => peek('SELECT cleaned FROM log_partition') === 12_000, signal)
  expect(await keysIn(log, target, { signal })).toHaveLength(1000)
})

test('records past their retention go when the log is opened', async ({ signal }) => {
  {
    await using log = createSqliteLog({ file })
    const spec = { topic: 't', partitions: 1, cleanup: 'delete' as const, retentionMs: DAY_MS }
    await log.ensureTopics([spec], { signal })
    for (let i = 0; i < 5; i += 1) await log.append(target, records(`old${i}`, 10), { signal })
    age(2 * DAY_MS)
    await log.append(target, records('new', 10), { signal })
  }
  await using log = createSqliteLog({ file })
  await untilTrue(() => peek('SELECT count(*) FROM log_batch') === 1, signal)
  expect(await log.offsets(target, { signal })).toEqual({ low: 50, end: 60 })
})

test('trimmed records and those of deleted topics are removed from the file', async ({ signal }) => {
  await using log = createSqliteLog({ file })
  const spec = { partitions: 1, cleanup: 'delete' as const }
  await log.ensureTopics(
    [
      { ...spec, topic: 't' },
      { ...spec, topic: 'gone' },
    ],
    { signal },
  )
  for (let i = 0; i < 200; i += 1) {
    await Promise.all(
      ['t', 'gone'].map(topic => log.append({ topic, partition: 0 }, records('r', 2), { signal })),
    )
  }
  await log.trim(target, 399, { signal })
  await log.deleteTopics(['gone'], { signal })
  await untilTrue(() => peek('SELECT count(*) FROM log_batch') === 1, signal)
  expect(await keysIn(log, target, { signal })).toEqual(['r-1'])
  await untilTrue(() => peek('SELECT count(*) FROM log_garbage') === 0, signal)
})

test('a log closed in the middle of compaction takes it up again', async ({ signal }) => {
  {
    await using log = createSqliteLog({ file })
    await log.ensureTopics([{ topic: 't', partitions: 1, cleanup: 'compact' }], { signal })
    await Promise.all(
      Array.from({ length: 40 }, (_, i) => log.append(target, records(`${i % 2}`, 1000), { signal })),
    )
    const compaction = log.compact('t', { signal })
    for (let turn = 0; turn < 5; turn += 1) await nextTurn()
    await log[Symbol.asyncDispose]()
    await compaction
  }
  await using log = createSqliteLog({ file })
  await untilTrue(() => peek('SELECT cleaned FROM log_partition') === 40_000, signal)
  expect(await keysIn(log, target, { signal })).toHaveLength(2000)
})

test('closing leaves only the log file and the lock', async ({ signal }) => {
  const log = createSqliteLog({ file })
  await log.ensureTopics([{ topic: 't', partitions: 1, cleanup: 'compact' }], { signal })
  await log[Symbol.asyncDispose]()
  expect(readdirSync(join(folder, 'state'))).toEqual(['log.db', 'log.db-lock'])
})

/** Makes all records in the log older. */
function age(byMs: number): void {
  const db = new DatabaseSync(file)
  db.prepare('UPDATE log_batch SET at = at - ?').run(byMs)
  db.close()
}
