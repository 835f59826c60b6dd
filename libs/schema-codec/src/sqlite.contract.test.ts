import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import { changeSchema, SCHEMAS } from '@sluice/contracts/avro/schemas'
import { sampleChange } from '@sluice/testkit/sample-records'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createSqliteCodec } from './adapters/sqlite.ts'
import { schemaCodecContract } from '../test/contract.ts'
import { RECORD_SAMPLES } from '../test/record-samples.ts'

const { signal } = new AbortController()

function newFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'sluice-codec-'))
}

schemaCodecContract('sqlite', async () => {
  const folder = await newFolder()
  return {
    open: () => createSqliteCodec({ file: join(folder, 'log.db') }),
    close: () => rm(folder, { recursive: true }),
  }
})

describe('schemas in SQLite', () => {
  let folder = ''
  let file = ''

  beforeEach(async () => {
    folder = await newFolder()
    file = join(folder, 'log.db')
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('have ids from 1 without gaps, also after a refusal, and the same id under every subject', async () => {
    await using codec = createSqliteCodec({ file })
    const row = (kind: 'text' | 'integer') => changeSchema([{ name: 'x', type: { kind } }])
    expect((await codec.encoder('a', row('text'), { signal })).schemaId).toBe(1)
    await expect(codec.encoder('a', row('integer'), { signal })).rejects.toMatchObject({
      code: 'schema-incompatible',
    })
    expect((await codec.encoder('b', row('integer'), { signal })).schemaId).toBe(2)
    expect((await codec.encoder('c', row('text'), { signal })).schemaId).toBe(1)
  })

  it('begin with those of a file that is only read', async () => {
    const row = (kind: 'text' | 'integer') => changeSchema([{ name: 'x', type: { kind } }])
    const original = createSqliteCodec({ file })
    const known = await original.encoder('a', row('text'), { signal })
    await original[Symbol.asyncDispose]()
    const before = await readFile(file)
    {
      await using codec = createSqliteCodec({ file: join(folder, 'copy.db'), copyOf: file })
      const [decoded] = await codec.decode([known.encode(sampleChange({ after: { x: 'y' } }))], { signal })
      expect(decoded).toMatchObject({ name: 'sluice.Change', value: { after: { x: 'y' } } })
      expect((await codec.encoder('a', row('text'), { signal })).schemaId).toBe(known.schemaId)
      await expect(codec.encoder('a', row('integer'), { signal })).rejects.toMatchObject({
        code: 'schema-incompatible',
      })
      expect((await codec.encoder('b', row('integer'), { signal })).schemaId).toBe(known.schemaId + 1)
    }
    expect(await readFile(file)).toEqual(before)
    expect(await readdir(folder)).toEqual(['copy.db', 'log.db'])
    await using none = createSqliteCodec({ file: join(folder, 'new.db'), copyOf: join(folder, 'none.db') })
    expect((await none.encoder('a', row('integer'), { signal })).schemaId).toBe(1)
  })

  it('share a file with another connection of the process, whose transaction they wait for', async () => {
    using log = new DatabaseSync(file)
    log.exec('PRAGMA journal_mode = WAL; CREATE TABLE records (value BLOB)')
    await using codec = createSqliteCodec({ file })
    const before = await codec.encoder('a', SCHEMAS.Marker, { signal })
    log.exec('BEGIN IMMEDIATE; INSERT INTO records VALUES (zeroblob(10))')
    let done = false
    const waiting = codec.encoder('z', SCHEMAS.Captured, { signal }).finally(() => {
      done = true
    })
    // Known schemas are read meanwhile, and the thread is free.
    await using reader = createSqliteCodec({ file })
    const [decoded] = await reader.decode([before.encode(RECORD_SAMPLES.Marker)], { signal })
    expect(decoded?.name).toBe('sluice.Marker')
    expect(done).toBe(false)
    log.exec('COMMIT')
    expect((await waiting).schemaId).toBe(2)
    log.exec('INSERT INTO records VALUES (zeroblob(10))')
  })

  it('give up after a while that others write to the file, and on abort at once', async () => {
    await using codec = createSqliteCodec({ file, busyTimeoutMs: 50 })
    await codec.encoder('a', SCHEMAS.Marker, { signal })
    using log = new DatabaseSync(file)
    log.exec('BEGIN IMMEDIATE')
    const refused = codec.encoder('z', SCHEMAS.Captured, { signal })
    await expect(refused).rejects.toMatchObject({
      code: 'conflict',
      retryable: true,
      message: expect.stringContaining(file),
    })
    const controller = new AbortController()
    const stopped = codec.encoder('b', SCHEMAS.Captured, { signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(stopped).rejects.toThrow('enough')
    log.exec('ROLLBACK')
    expect((await codec.encoder('z', SCHEMAS.Captured, { signal })).schemaId).toBe(2)
  })

  it('agree on ids among threads that register them at the same time', async () => {
    const source = `
      const { parentPort, workerData } = require('node:worker_threads')
      const use = async () => {
        const { createSqliteCodec } = await import(workerData.codec)
        const { SCHEMAS } = await import(workerData.schemas)
        const codec = createSqliteCodec({ file: workerData.file })
        const { signal } = new AbortController()
        const ids = {}
        for (const [name, schema] of Object.entries(SCHEMAS)) {
          ids[name] = (await codec.encoder('s.' + name, schema, { signal })).schemaId
        }
        await codec[Symbol.asyncDispose]()
        parentPort.postMessage(ids)
      }
      use()`
    const workerData = {
      file,
      codec: import.meta.resolve('./adapters/sqlite.ts'),
      schemas: import.meta.resolve('@sluice/contracts/avro/schemas'),
    }
    const answers = Array.from({ length: 4 }, () => {
      const worker = new Worker(source, { eval: true, workerData })
      return new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))
    })
    const [first, ...others] = await Promise.all(answers)
    expect(new Set(Object.values(Object(first) as object)).size).toBe(Object.keys(SCHEMAS).length)
    for (const other of others) expect(other).toEqual(first)
  })

  it('say that a file is no database, or cannot be made', async () => {
    await writeFile(
      file,
      'this is a text, and long enough to be looked at as a database of SQLite; it is none. '.repeat(20),
    )
    await using codec = createSqliteCodec({ file })
    await expect(codec.encoder('a', SCHEMAS.Marker, { signal })).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining(file),
    })
    await using nowhere = createSqliteCodec({ file: join(folder, 'missing', 'log.db') })
    await expect(nowhere.encoder('a', SCHEMAS.Marker, { signal })).rejects.toMatchObject({
      code: 'unreachable',
    })
  })
})
