import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sampleChange } from '@sluice/testkit/sample-records'
import { isSluiceError } from '@sluice/contracts/errors'
import type { DeliveredState, PlacedChange } from '../../port.ts'
import { openDeliveredState } from '../duckdb.ts'

let folder = ''
let reasons: string[] = []
const file = () => join(folder, 'state.duckdb')

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-state-'))
  reasons = []
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

function open(): Promise<DeliveredState> {
  return openDeliveredState({
    file: file(),
    sync: 'orders',
    incarnation: 'i',
    partitions: 1,
    onDiscard: reason => reasons.push(reason),
  })
}

function addedAt(offset: number): PlacedChange {
  return { offset, timestamp: 0, change: sampleChange({ key: String(offset), seq: offset }) }
}

async function fill(rows: number): Promise<void> {
  await using state = await open()
  const records = Array.from({ length: rows }, (_, offset) => addedAt(offset))
  await state.feed({ partition: 0, changes: { records, nextOffset: rows } })
  await state.commit()
}

async function positionOfChanges(): Promise<number | undefined> {
  await using state = await open()
  return (await state.positions()).changes[0]
}

/** Runs SQL on the file from outside. */
async function meddle(sql: string): Promise<unknown> {
  const instance = await DuckDBInstance.create(file())
  const connection = await instance.connect()
  try {
    return (await connection.runAndReadAll(sql)).getRows()[0]?.[0]
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

describe('a state file', { timeout: 60_000 }, () => {
  it('is made with its folder, and goes on where it was', async () => {
    expect(await positionOfChanges()).toBe(0)
    await fill(10)
    expect(await positionOfChanges()).toBe(10)
    expect(reasons).toEqual([])
  })

  it.each(['extract', 'temp', 'system', 'main', 'memory', 'state', 'a.b c'])(
    'may have any name, even %s',
    async name => {
      const named = join(folder, `${name}.duckdb`)
      {
        await using state = await openDeliveredState({
          file: named,
          sync: name,
          incarnation: 'i',
          partitions: 1,
        })
        await state.feed({ partition: 0, changes: { records: [addedAt(0)], nextOffset: 1 } })
        await state.commit()
      }
      await using state = await openDeliveredState({
        file: named,
        sync: name,
        incarnation: 'i',
        partitions: 1,
      })
      expect(await state.positions()).toMatchObject({ changes: [1] })
    },
  )

  it.each<[string, () => void | Promise<unknown>]>([
    ['is no database', () => writeFileSync(file(), 'certainly no database'.repeat(1000))],
    ['is empty of tables', () => rmSync(file())],
    ['is cut short', () => truncateSync(file(), 20_000)],
    ['is overwritten in the middle', () => scribble()],
    ['has another format', () => meddle("UPDATE meta SET value = '0' WHERE name = 'format'")],
    ['belongs to another sync', () => meddle("UPDATE meta SET value = 'customers' WHERE name = 'sync'")],
    ['lacks a table', () => meddle('DROP TABLE stored')],
    ['lacks a column', () => meddle('ALTER TABLE stored DROP COLUMN seq')],
    ['lacks a position', () => meddle('DELETE FROM positions')],
  ])('that %s is thrown away', async (how, damage) => {
    await fill(5000)
    await damage()
    if (how === 'is empty of tables') await meddle('SELECT 1')
    expect(await positionOfChanges()).toBe(0)
    expect(reasons.length).toBe(1)
    await fill(3)
    expect(await positionOfChanges()).toBe(3)
    expect(reasons.length).toBe(1)
  })

  it('without its database, a write-ahead log is thrown away', async () => {
    writeFileSync(`${file()}.wal`, 'left behind')
    expect(await positionOfChanges()).toBe(0)
  })

  it('is not opened twice, by this process or another', async () => {
    {
      await using state = await open()
      await expect(open()).rejects.toSatisfy(error => isSluiceError(error, 'conflict'))
      expect(await state.positions()).toMatchObject({ changes: [0] })
    }
    await using holder = await startChild('hold')
    await expect(open()).rejects.toSatisfy(error => isSluiceError(error, 'conflict') && error.retryable)
    await holder.kill()
    expect(await positionOfChanges()).toBe(0)
    expect(reasons).toEqual([])
  })

  it('holds whole commits and nothing else when its process is killed at any moment', async () => {
    for (const afterCommits of [1, 3, 6]) {
      const child = await startChild('commit')
      await child.commits(afterCommits)
      await child.kill()
      const position = (await positionOfChanges()) ?? -1
      expect(position % 500).toBe(0)
      expect(position).toBeGreaterThanOrEqual(500)
      expect(Number(await meddle('SELECT count(*) FROM state'))).toBe(position)
    }
    expect(reasons).toEqual([])
  })

  it('has the last row of each key though its process was killed while it wrote the rows anew', async () => {
    for (const afterCommits of [4, 6, 5]) {
      const child = await startChild('rewrite')
      await child.commits(afterCommits)
      await child.kill()
      const position = (await positionOfChanges()) ?? -1
      expect(position % 500).toBe(0)
      const held = `SELECT count(*) FILTER (place >= ${position - 1500} AND place % 1500 = key::INTEGER)
        FROM (SELECT key, (content ->> 'at')::INTEGER AS place FROM state)`
      expect(Number(await meddle(held))).toBe(1500)
      expect(Number(await meddle('SELECT count(*) FROM state'))).toBe(1500)
      // Each commit replaces a third of the rows, of which at most a quarter may stay.
      expect(Number(await meddle('SELECT count(*) FROM stored'))).toBeLessThan(2000)
    }
    expect(reasons).toEqual([])
  })
})

/** Spoils the content but not the header, which has a checksum of its own. */
function scribble(): void {
  const bytes = readFileSync(file())
  bytes.fill(0x5a, 12_288, bytes.length)
  writeFileSync(file(), bytes)
}

interface Child extends AsyncDisposable {
  /** Waits until the child has committed so many times since it began. */
  commits(count: number): Promise<void>
  kill(): Promise<void>
}

/**
 * A process that holds the state's file open, or feeds it 500 changes at a time and commits, for ever: of new
 * keys, or of the same ones.
 */
async function startChild(what: 'hold' | 'commit' | 'rewrite'): Promise<Child> {
  const program = fileURLToPath(new URL('../../../test/state-file-child.ts', import.meta.url))
  const child: ChildProcess = spawn(process.execPath, [program, file(), what], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout ?? process.stdin })[Symbol.asyncIterator]()
  await lines.next()
  const kill = async () => {
    child.kill('SIGKILL')
    await exited
  }
  return {
    async commits(count) {
      for (let i = 0; i < count; i++) await lines.next()
    },
    kill,
    [Symbol.asyncDispose]: kill,
  }
}
