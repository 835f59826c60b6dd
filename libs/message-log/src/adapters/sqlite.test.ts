import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { nextTurn } from '@sluice/flow/sleep'
import { keysIn, readAll, records } from '../../test/fixture.ts'
import type { LogRecord } from '../port.ts'
import { createSqliteLog } from './sqlite.ts'
import { readLogFormat } from './sqlite/store.ts'

const CHILD = new URL('../../test/sqlite-crash-child.ts', import.meta.url).pathname

let folder: string
let file: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-log-'))
  file = join(folder, 'state', 'log.db')
})

afterEach(() => {
  rmSync(folder, { recursive: true })
})

/**
 * Starts a process that appends for ever and prints each acknowledged batch, which `acks` collects. The
 * process is killed at the end of the scope.
 */
async function appender(first = 0, ...rest: readonly string[]) {
  const child = spawn(process.execPath, [CHILD, file, String(first), ...rest], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })
  const acks: { partition: number; number: number; size: number }[] = []
  let wake = () => {}
  lines.on('line', line => {
    const [partition, number, size] = line.split(' ').map(Number)
    if (partition !== undefined && number !== undefined && size !== undefined)
      acks.push({ partition, number, size })
    wake()
  })
  const kill = async () => {
    child.kill('SIGKILL')
    await exited
    await closed
  }
  const closed = once(lines, 'close')
  await once(lines, 'line')
  return {
    pid: child.pid,
    acks,
    kill,
    async acknowledged(count: number) {
      while (acks.length < count) await new Promise<void>(resolve => (wake = resolve))
    },
    [Symbol.asyncDispose]: kill,
  }
}

describe('the process lock', () => {
  test('a second process is refused and told which one has the file; a kill frees it', async ({ signal }) => {
    {
      await using other = await appender()
      expect(() => createSqliteLog({ file })).toThrow(
        expect.objectContaining({
          code: 'conflict',
          message: expect.stringContaining(`process ${other.pid ?? '?'};`),
        }),
      )
      // The refused attempt must not have loosened the lock.
      expect(() => createSqliteLog({ file })).toThrow(expect.objectContaining({ code: 'conflict' }))
      const seen = other.acks.length
      await other.acknowledged(seen + 1)
    }
    await using log = createSqliteLog({ file })
    expect(await log.partitionsOf('crash', { signal })).toBe(2)
  })

  test('a second process is refused until this one has closed its last handle', async () => {
    const first = createSqliteLog({ file })
    const second = createSqliteLog({ file: join(folder, 'state', '..', 'state', 'log.db') })
    await first[Symbol.asyncDispose]()
    const child = fork(CHILD, [file], { stdio: 'pipe' })
    let said = ''
    child.stderr?.on('data', data => (said += String(data)))
    const [code] = await once(child, 'exit')
    expect(code).toBe(1)
    expect(said).toContain(`in use by process ${process.pid};`)
    await second[Symbol.asyncDispose]()
    await using _now = await appender()
  })

  test('another thread of this process is refused too', async () => {
    await using _log = createSqliteLog({ file })
    const worker = new Worker(
      `import { createSqliteLog } from ${JSON.stringify(new URL('./sqlite.ts', import.meta.url).href)}
       createSqliteLog({ file: ${JSON.stringify(file)} })`,
      { eval: true, execArgv: ['--input-type=module'] },
    )
    const [error] = await once(worker, 'error')
    expect(error).toMatchObject({ message: expect.stringContaining('another thread of this process') })
  })

  test('an owner file that names a dead process does not appear in the message', async () => {
    await using _first = createSqliteLog({ file })
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'exit')
    writeFileSync(`${file}-owner`, `${child.pid ?? 0}\n`)
    const late = fork(CHILD, [file], { stdio: 'pipe' })
    let said = ''
    late.stderr?.on('data', data => (said += String(data)))
    await once(late, 'exit')
    expect(said).toContain('in use by another process;')
  })
})

describe('a log that is only read', () => {
  const target = { topic: 't', partition: 0 }
  const filesThere = () => readdirSync(join(folder, 'state')).filter(name => !/-lock/.test(name))
  const bytesThere = () => filesThere().map(name => [name, readFileSync(join(folder, 'state', name))])

  test('gives what was written, refuses appends, and stays as it is', async ({ signal }) => {
    {
      await using log = createSqliteLog({ file })
      await log.ensureTopics([{ topic: 't', partitions: 1, cleanup: 'compact' }], { signal })
      await log.append(target, records('a', 3), { signal })
    }
    const before = bytesThere()
    expect(before.map(([name]) => name)).toEqual(['log.db'])
    {
      await using log = createSqliteLog({ file, readOnly: true })
      await using second = createSqliteLog({ file, readOnly: true })
      expect(await keysIn(second, target, { signal })).toEqual(['a-0', 'a-1', 'a-2'])
      const refused = { code: 'internal', message: expect.stringContaining('read only') }
      await expect(log.append(target, records('b', 1), { signal })).rejects.toMatchObject(refused)
      await expect(log.deleteTopics(['t'], { signal })).rejects.toMatchObject(refused)
      await expect(log.trim(target, 1, { signal })).rejects.toMatchObject(refused)
      expect(() => createSqliteLog({ file })).toThrow(expect.objectContaining({ code: 'conflict' }))
    }
    expect(bytesThere()).toEqual(before)
    await using log = createSqliteLog({ file })
    await log.append(target, records('b', 1), { signal })
  })

  test('gives records from the journal of a killed process, and leaves the journal there', async ({
    signal,
  }) => {
    const other = await appender()
    await other.acknowledged(50)
    await other.kill()
    const { acks } = other
    rmSync(`${file}-shm`)
    rmSync(`${file}-owner`)
    const before = bytesThere()
    expect(before.map(([name]) => name)).toEqual(['log.db', 'log.db-wal'])
    {
      await using log = createSqliteLog({ file, readOnly: true })
      const ends = [0, 1].map(partition => log.offsets({ topic: 'crash', partition }, { signal }))
      const held = (await Promise.all(ends)).reduce((sum, { end }) => sum + end, 0)
      expect(held).toBeGreaterThanOrEqual(acks.reduce((sum, { size }) => sum + size, 0))
    }
    expect(bytesThere()).toEqual(before)
  })

  test.each([
    ['nothing', []],
    ['its journal', ['PRAGMA journal_mode = WAL']],
    ['one table', ['CREATE TABLE log_format (version INTEGER NOT NULL) STRICT']],
  ])('is empty if its first writer was killed after it made %s', async (_, made) => {
    const { signal } = new AbortController()
    mkdirSync(join(folder, 'state'), { recursive: true })
    const killed = new DatabaseSync(file)
    for (const sql of made) killed.exec(sql)
    killed.close()
    if (made.length === 0) writeFileSync(file, '')
    {
      await using log = createSqliteLog({ file, readOnly: true })
      expect(await log.partitionsOf('t', { signal })).toBe(null)
    }
    await using log = createSqliteLog({ file })
    await log.ensureTopics([{ topic: 't', partitions: 1, cleanup: 'compact' }], { signal })
    await log.append(target, records('a', 3), { signal })
    expect(await keysIn(log, target, { signal })).toEqual(['a-0', 'a-1', 'a-2'])
  })

  test('has to exist', () => {
    expect(() => createSqliteLog({ file, readOnly: true })).toThrow(
      expect.objectContaining({ code: 'unreachable' }),
    )
  })
})

describe('files that are not a log', () => {
  test('a file of another kind is reported as corrupt, and stays as it was', async () => {
    await createSqliteLog({ file })[Symbol.asyncDispose]()
    const text = 'id,name\n'.repeat(1000)
    writeFileSync(file, text)
    const message = expect.stringMatching(/Put a copy of it back, or remove it/)
    expect(() => createSqliteLog({ file })).toThrow(expect.objectContaining({ code: 'corrupt', message }))
    expect(readFileSync(file, 'utf8')).toBe(text)
  })

  test('a damaged lock is told as such, since no log is lost with it', async () => {
    await createSqliteLog({ file })[Symbol.asyncDispose]()
    const lock = `${file}-lock`
    const message = expect.stringMatching(/log\.db-lock is not the lock of a log.*Remove it/)
    const refused = expect.objectContaining({ code: 'corrupt', message })
    writeFileSync(lock, 'id,name\n'.repeat(1000))
    expect(() => createSqliteLog({ file })).toThrow(refused)
    rmSync(lock)
    mkdirSync(lock)
    expect(() => createSqliteLog({ file })).toThrow(refused)
    rmSync(lock, { recursive: true })
    await createSqliteLog({ file })[Symbol.asyncDispose]()
  })

  test('a folder in its place is told as such', async () => {
    await createSqliteLog({ file })[Symbol.asyncDispose]()
    rmSync(file)
    mkdirSync(file)
    for (const readOnly of [false, true])
      expect(() => createSqliteLog({ file, readOnly })).toThrow('it is a folder')
  })

  test('a log of another format is refused, with both numbers and the version that wrote it', async () => {
    await createSqliteLog({ file, writtenBy: '9.9.0' })[Symbol.asyncDispose]()
    const db = new DatabaseSync(file)
    db.exec('UPDATE log_format SET version = 99')
    db.close()
    const refused = expect.objectContaining({
      code: 'config',
      message: expect.stringMatching(/format 99.*format 1\. Sluice 9\.9\.0 has written it.*sluice restore/),
    })
    expect(() => createSqliteLog({ file, writtenBy: '1.0.0' })).toThrow(refused)
    // The refusal has released the lock.
    expect(() => createSqliteLog({ file, readOnly: true })).toThrow(refused)
    expect(readLogFormat(file)).toEqual({ format: 99, writtenBy: '9.9.0' })
  })

  test('a log names the version that wrote to it last, also one of a version that named none', async () => {
    await createSqliteLog({ file })[Symbol.asyncDispose]()
    const db = new DatabaseSync(file)
    db.exec('ALTER TABLE log_format DROP COLUMN written_by')
    db.close()
    expect(readLogFormat(file)).toEqual({ format: 1, writtenBy: null })
    await createSqliteLog({ file, readOnly: true, writtenBy: '1.0.0' })[Symbol.asyncDispose]()
    expect(readLogFormat(file)).toEqual({ format: 1, writtenBy: null })
    for (const writtenBy of ['1.0.0', "1.1.0-it's", '1.1.0']) {
      await createSqliteLog({ file, writtenBy })[Symbol.asyncDispose]()
      expect(readLogFormat(file)).toEqual({ format: 1, writtenBy })
    }
  })

  test('a folder that cannot be made is unreachable', () => {
    writeFileSync(join(folder, 'state'), 'a file where a folder should be')
    expect(() => createSqliteLog({ file })).toThrow(expect.objectContaining({ code: 'unreachable' }))
  })
})

describe('crashes', () => {
  test.for([[], ['0']])(
    'after a kill at any moment every acknowledged batch is there, whole and in order (a thread after: %s)',
    { timeout: 60_000 },
    async (threadAfterBytes, { signal }) => {
      let first = 0
      const acks: { partition: number; number: number; size: number }[] = []
      for (let round = 0; round < 6; round += 1) {
        await using child = await appender(first, ...threadAfterBytes)
        await child.acknowledged(1 + Math.floor(Math.random() * 250))
        await child.kill()
        acks.push(...child.acks)
        first += 100_000

        await using log = createSqliteLog({ file })
        for (const partition of [0, 1]) {
          const keys = await keysIn(log, { topic: 'crash', partition }, { signal })
          const found = wholeBatches(keys)
          expect(found).toEqual(found.toSorted((a, b) => a - b))
          const wanted = acks.filter(ack => ack.partition === partition).map(({ number }) => number)
          expect(wanted.filter(number => !found.includes(number))).toEqual([])
        }
      }
    },
  )
})

/** The numbers of the batches in order. Throws if one is not whole. */
function wholeBatches(keys: readonly string[]): number[] {
  const numbers: number[] = []
  for (let at = 0; at < keys.length;) {
    const [number = NaN, size = NaN] = (keys[at] ?? '').split('/').map(Number)
    const wanted = Array.from({ length: size }, (_, i) => `${number}/${size}/${i}`)
    expect(keys.slice(at, at + size)).toEqual(wanted)
    numbers.push(number)
    at += size
  }
  return numbers
}

describe('appending', () => {
  test('appends of one turn share a transaction, even from different writers', async ({ signal }) => {
    await using log = createSqliteLog({ file })
    await log.ensureTopics([{ topic: 't', partitions: 2, cleanup: 'delete' }], { signal })
    const writers = await Promise.all(['a', 'b', 'c'].map(id => log.openWriter(id, { signal })))
    const before = statSync(`${file}-wal`).size
    await Promise.all(
      Array.from({ length: 300 }, (_, i) =>
        (writers[i % 4] ?? log).append({ topic: 't', partition: i % 2 }, records(`${i}`, 1), { signal }),
      ),
    )
    // A transaction writes each page that it touches once. A transaction for each append would write some 5
    // MB.
    expect(statSync(`${file}-wal`).size - before).toBeLessThan(600_000)
  })

  test('large appends leave the event loop its turns', async ({ signal }) => {
    await using log = createSqliteLog({ file })
    await log.ensureTopics([{ topic: 't', partitions: 1, cleanup: 'delete' }], { signal })
    let done = false
    let turns = 0
    const counting = (async () => {
      for (; !done; await nextTurn()) turns += 1
    })()
    const batch = records('r', 5, 100_000)
    await Promise.all(
      Array.from({ length: 100 }, () => log.append({ topic: 't', partition: 0 }, batch, { signal })),
    )
    done = true
    await counting
    // 50 MB in transactions of about 2 MB.
    expect(turns).toBeGreaterThan(20)
  })

  test('a batch of many megabytes is atomic and read in pieces', async ({ signal }) => {
    await using log = createSqliteLog({ file })
    await log.ensureTopics([{ topic: 't', partitions: 1, cleanup: 'delete' }], { signal })
    const target = { topic: 't', partition: 0 }
    await log.append(target, records('large', 40_000, 200), { signal })
    const sizes: number[] = []
    for await (const batch of log.read(target, { signal, from: 0, to: 40_000, bufferBytes: 256 * 1024 })) {
      sizes.push(batch.records.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0))
    }
    expect(Math.max(...sizes)).toBeLessThanOrEqual(256 * 1024)
    expect(sizes.length).toBeGreaterThan(30)
  })

  test.for([4_000_000, 0])(
    'a transaction that fails is undone, and kills the writers that were in it (a thread after %i bytes)',
    { timeout: 20_000 },
    async (threadAfterBytes, { signal }) => {
      await using log = createSqliteLog({ file, threadAfterBytes })
      await log.ensureTopics([{ topic: 't', partitions: 1, cleanup: 'delete' }], { signal })
      const target = { topic: 't', partition: 0 }
      await using writer = await log.openWriter('w', { signal })
      await writer.append(target, records('before', 1), { signal })
      // A tool that keeps the file locked stands in for a disk that fails.
      const tool = new DatabaseSync(file)
      tool.exec('BEGIN IMMEDIATE')
      const failing = [1, 2].map(i => writer.append(target, records(`lost${i}`, 1), { signal }))
      await Promise.all(
        failing.map(append => expect(append).rejects.toMatchObject({ code: 'unreachable', retryable: true })),
      )
      tool.exec('ROLLBACK')
      tool.close()
      expect(writer.state).toBe('dead')
      await using successor = await log.openWriter('w', { signal })
      expect(await successor.append(target, records('after', 1), { signal })).toEqual({ baseOffset: 1 })
      expect(await keysIn(log, target, { signal })).toEqual(['before-0', 'after-0'])
    },
  )
})

describe('groups', () => {
  test('a commit is accepted from the owner of the partition alone', async ({ signal }) => {
    await using log = createSqliteLog({ file })
    await log.ensureTopics([{ topic: 't', partitions: 2, cleanup: 'delete' }], { signal })
    const [a, b] = [await log.join('g', ['t'], { signal }), await log.join('g', ['t'], { signal })]
    const commits = [a, b].flatMap(member =>
      [0, 1].map(partition => member.commit({ topic: 't', partition }, 5, { signal })),
    )
    expect(await Promise.all(commits)).toEqual([true, false, false, true])
    // A commit under way when its member leaves does not prove membership.
    const late = a.commit({ topic: 't', partition: 0 }, 6, { signal })
    await a.leave()
    expect(await late).toBe(false)
  })

  test('members get the partitions of a topic that was deleted and made again', async ({ signal }) => {
    await using log = createSqliteLog({ file })
    const spec = { topic: 't', cleanup: 'delete' as const }
    await log.ensureTopics([{ ...spec, partitions: 2 }], { signal })
    await using member = await log.join('g', ['t'], { signal })
    const assignments = member[Symbol.asyncIterator]()
    const owned = async () => {
      const step = await assignments.next()
      return step.done === true ? null : step.value.partitions.length
    }
    expect(await owned()).toBe(2)
    await log.deleteTopics(['t'], { signal })
    expect(await owned()).toBe(0)
    await log.ensureTopics([{ ...spec, partitions: 3 }], { signal })
    expect(await owned()).toBe(3)
  })
})

describe('a damaged file', () => {
  const target = { topic: 'damaged', partition: 0 }

  async function damagedBy(change: (data: Uint8Array) => Uint8Array): Promise<LogRecord[]> {
    const { signal } = new AbortController()
    {
      await using log = createSqliteLog({ file })
      await log.ensureTopics([{ topic: 'damaged', partitions: 1, cleanup: 'compact' }], { signal })
      for (const name of ['first', 'middle', 'last']) await log.append(target, records(name, 2), { signal })
    }
    using db = new DatabaseSync(file)
    const row = db.prepare('SELECT data FROM log_batch WHERE base = 2').get()
    db.prepare('UPDATE log_batch SET data = ? WHERE base = 2').run(change(row?.['data'] as Uint8Array))
    await using log = createSqliteLog({ file })
    await log.append(target, records('first', 2), { signal })
    await log.compact('damaged', { signal })
    return await readAll(log, target, { signal })
  }

  test.each<[string, (data: Uint8Array) => Uint8Array]>([
    ['is empty', () => new Uint8Array()],
    ['is cut off', data => data.subarray(0, -1)],
    ['is longer than it says', data => Buffer.concat([data, Buffer.alloc(1)])],
    ['claims four billion records', data => Buffer.concat([Buffer.alloc(4, 0xff), data.subarray(4)])],
    [
      'has a key that runs past it',
      data => (new DataView(data.buffer).setUint32(8, 2 ** 31 - 1, true), data),
    ],
    ['has an offset of another batch', data => (new DataView(data.buffer).setUint32(4, 7, true), data)],
  ])('a batch that %s is one unreadable record, which compaction leaves alone', async (_, change) => {
    const found = await damagedBy(data => change(Uint8Array.from(data)))
    expect(found.map(({ offset, unreadable }) => [offset, unreadable?.isForeign])).toEqual([
      [2, false],
      [4, undefined],
      [5, undefined],
      [6, undefined],
      [7, undefined],
    ])
    expect(found[0]).toMatchObject({ value: null, unreadable: { error: { code: 'corrupt' } } })
  })
})
