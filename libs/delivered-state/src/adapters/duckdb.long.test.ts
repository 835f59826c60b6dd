import { randomInt } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { expect, it } from 'vitest'
import type { Change } from '@sluice/contracts/records'
import { sampleChange } from '@sluice/testkit/sample-records'
import { deliveredStateLongContract } from '../../test/contract.ts'
import { duckdbHarness } from '../../test/duckdb-harness.ts'
import { type DeliveredStateHarness, TIMEOUT } from '../../test/harness.ts'
import { History } from '../../test/history.ts'
import type { DeliveredState, Diff, EndedKey, PlacedChange } from '../port.ts'

const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))

const harness = duckdbHarness()
const { open: openState } = harness

deliveredStateLongContract('duckdb', () => harness)

it('notes more gone keys than it compares at once', TIMEOUT, async () => {
  const keys = Array.from({ length: 300_000 }, (_, index) => `0189cd3a-1111-4222-8333-${index}`)
  await using state = await harness.open({ name: 'state' })
  let offset = 0
  const feed = async (run: number, of: Partial<Change>): Promise<void> => {
    for (let from = 0; from < keys.length; from += 10_000) {
      const records = keys.slice(from, from + 10_000).map((key, index) => {
        const change = { ...sampleChange({ key, run, seq: from + index }), ...of }
        return { offset: offset++, timestamp: run, change }
      })
      await state.feed({ partition: 0, changes: { records, nextOffset: offset } })
    }
    await state.commit()
  }
  const told = new Set<string>()
  const end = async (gone: readonly EndedKey[]): Promise<void> => gone.forEach(({ key }) => told.add(key))
  const { signal } = new AbortController()
  await feed(1, { op: 'added', before: null, beforeState: 'absent', after: { id: 'x' } })
  await state.endGone(9, end, { signal })
  expect(told.size).toBe(0)
  await feed(2, { op: 'removed', before: { id: 'x' }, beforeState: 'present', after: null })
  await state.endGone(9, end, { signal })
  expect(told.size).toBe(keys.length)
})

/** Each round changes one row of so many, all over the state. */
const SHARES = [500, 500, 500, 20, 2, 500]

it('takes in changes from all over a large state within little memory', { timeout: 300_000 }, async () => {
  const rows = 520_000
  const state = await harness.open({ name: 'state', memoryLimit: '48MB' })
  let offset = 0
  const isChanged = (index: number, round: number): boolean =>
    index % (SHARES[round] ?? 1) === round % (SHARES[round] ?? 1)
  const versionAt = (index: number, rounds: number): number =>
    SHARES.slice(0, rounds).filter((_, round) => isChanged(index, round)).length
  const feed = async (run: number, isFed: (index: number) => boolean): Promise<void> => {
    let records: PlacedChange[] = []
    let seq = 0
    for (let index = 0; index < rows; index++) {
      if (isFed(index)) {
        const key = String(index)
        const after = { id: key, v: versionAt(index, run - 1) }
        const change = sampleChange({ key, run, seq: seq++, after })
        records.push({ offset: offset++, timestamp: run, change })
      }
      if (records.length < 4096 && index < rows - 1) continue
      await state.feed({ partition: 0, changes: { records, nextOffset: offset } })
      records = []
    }
    await state.commit()
  }
  await feed(1, () => true)
  for (const round of SHARES.keys()) await feed(round + 2, index => isChanged(index, round))
  const versionSql = SHARES.map((share, round) => `(range % ${share} = ${round % share})::INTEGER`).join(
    ' + ',
  )
  const diffWith = async (v: string): Promise<Diff> => {
    const extract = await harness.extract(`SELECT range::VARCHAR AS id, ${v} AS v FROM range(${rows})`)
    return await state.diff({
      extractFile: extract.file,
      columns: extract.columns,
      primaryKey: ['id'],
      compare: ['v'],
      opsWithTrigger: new Set(['added', 'changed', 'removed']),
      baseline: false,
      signal: new AbortController().signal,
    })
  }
  const diff = await diffWith(versionSql)
  const detected = Object.values(diff.counts).map(counts => counts.detected)
  expect({ detected, settled: diff.settled, keys: diff.keysBefore }).toEqual({
    detected: [0, 0, 0],
    settled: 0,
    keys: rows,
  })
  // Their stored rows lie in no order by now, and each comes with its change all the same.
  let changed = 0
  for await (const { changes } of (await diffWith(`${versionSql} + 100`)).changes())
    for (const { key, before, after } of changes) {
      const v = versionAt(Number(key), SHARES.length)
      if (key === String(changed) && before?.['v'] === v && after?.['v'] === v + 100) changed++
    }
  expect(changed).toBe(rows)
  // Each row group takes memory as long as the file is open.
  await state[Symbol.asyncDispose]()
  expect(await mostRowsOfGroup(harness.pathOf('state'))).toBe(32_768)
})

it('keeps the rows of a large run with nothing of the diff in memory', { timeout: 300_000 }, async () => {
  const rows = 1_000_000
  await using state = await harness.open({ name: 'state', memoryLimit: '48MB' })
  const { file, columns } = await harness.extract(`SELECT range AS id, 'x' AS v FROM range(${rows})`)
  const { signal } = new AbortController()
  const opsWithTrigger = new Set(['added'] as const)
  const asked = { extractFile: file, columns, primaryKey: ['id'], compare: ['v'], opsWithTrigger }
  const diff = await state.diff({ ...asked, baseline: false, signal })
  for await (const batch of diff.changesByColumn()) expect('newRows' in batch).toBe(true)
  const temporary = `${harness.pathOf('state')}.tmp`
  const before = await bytesIn(temporary)
  expect(await state.keep({ run: 1, runId: 'r', ends: [rows + 2], blockRows: 100, signal })).toBe(true)
  expect(before).toBeGreaterThan(10_000_000)
  expect(await bytesIn(temporary)).toBeLessThan(before / 2)
})

async function bytesIn(folder: string): Promise<number> {
  const names = await readdir(folder)
  const sizes = await Promise.all(names.map(async name => (await stat(join(folder, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

async function mostRowsOfGroup(file: string): Promise<number> {
  const instance = await DuckDBInstance.create(file, { access_mode: 'READ_ONLY' })
  const connection = await instance.connect()
  try {
    const sql = `SELECT max(count) FROM pragma_storage_info('stored') WHERE segment_type = 'VALIDITY'`
    return Number((await connection.runAndReadAll(sql)).getRows()[0]?.[0])
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

it('compares more keys than fit into memory', { timeout: 300_000 }, async () => {
  const rows = 2_000_000
  const { signal } = new AbortController()
  const opsWithTrigger = new Set(['added', 'changed', 'removed'] as const)
  const diffOf = async (state: DeliveredState, sql: string): Promise<Diff> => {
    const { file, columns } = await harness.extract(sql)
    const asked = { extractFile: file, columns, primaryKey: ['id'], compare: ['v'], opsWithTrigger }
    return await state.diff({ ...asked, baseline: false, signal })
  }
  const first = await harness.open({ name: 'state' })
  const all = await diffOf(first, `SELECT range AS id, 'x' AS v FROM range(${rows})`)
  for await (const batch of all.changesByColumn()) expect('newRows' in batch).toBe(true)
  await first.keep({ run: 1, runId: 'r', ends: [rows + 2], blockRows: 100, signal })
  first.feedKept([{ offset: rows, run: 1, seq: rows - 1 }])
  await first.commit()
  await first[Symbol.asyncDispose]()
  await using state = await harness.open({ name: 'state', memoryLimit: '32MB' })
  const { counts } = await diffOf(
    state,
    `SELECT range + 1000 AS id, if(range % 1000 = 0, 'y', 'x') AS v FROM range(${rows})`,
  )
  const detected = Object.fromEntries(Object.entries(counts).map(([op, { detected }]) => [op, detected]))
  expect(detected).toEqual({ added: 1000, changed: rows / 1000 - 1, removed: 1000 })
})

const pieceRows = 1 + (SEED % 3)
it(
  `a large diff finds the same by parts of its keys, in pieces of ${pieceRows} changes (SLUICE_TEST_SEED=${SEED})`,
  TIMEOUT,
  async () => {
    const open: DeliveredStateHarness['open'] = options =>
      openState({ ...options, pieceRows, joinedKeys: 1 + (SEED % 7) })
    await new History({ ...harness, open }, SEED).play()
  },
)
