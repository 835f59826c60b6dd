import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { records } from '../../../test/fixture.ts'
import { encodeBatches } from './batch.ts'
import { SqliteCore } from './core.ts'
import { SqliteQueue, type WriterState } from './queue.ts'
import { SqliteStore } from './store.ts'
import type { Writes } from './thread/messages.ts'
import { WriteThread } from './write-thread.ts'

const TARGET = { topic: 't', partition: 0 }

let folder: string
let file: string
let partition: number

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-thread-'))
  file = join(folder, 'log.db')
  const core = new SqliteCore(file)
  core.ensureTopics([{ topic: 't', partitions: 1, cleanup: 'delete' }])
  partition = core.partition(TARGET).id
  core.close()
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Small batches, a large one in memory that threads share, and one in memory of its own. */
function someBatches(): Writes {
  const large = Buffer.from(new SharedArrayBuffer(100_000)).subarray(10, 90_000).fill(7)
  const own = Buffer.allocUnsafeSlow(80_000).subarray(0, 70_000).fill(8)
  const batches = [
    { partition, base: 0, last: 1, at: 1, data: Buffer.from('small') },
    { partition, base: 2, last: 5, at: 2, data: large },
    { partition, base: 6, last: 6, at: 3, data: new Uint8Array() },
    { partition, base: 7, last: 7, at: 4, data: own },
  ]
  return { batches, ends: [[partition, 8]], commits: [{ group: 'g', partition, next: 3 }] }
}

function stored(): unknown {
  const store = new SqliteStore(file)
  const found = store.batches(partition, 0, 10).map(({ base, last, at, data }) => ({
    ...{ base, last, at, bytes: Buffer.from(data).toString('latin1') },
  }))
  const rest = { end: store.partitions()[0]?.end, committed: store.committed('g', partition) }
  store.close()
  return { found, ...rest }
}

async function openThread(main?: URL): Promise<WriteThread> {
  const thread = new WriteThread(file, main)
  await vi.waitFor(() => expect(thread.isFree || thread.isGone).toBe(true), { timeout: 10_000 })
  return thread
}

function write(thread: WriteThread, writes: Writes): Promise<Error | null> {
  return new Promise(resolve => thread.write(writes, resolve))
}

const ALL = {
  found: [
    { base: 0, last: 1, at: 1, bytes: 'small' },
    { base: 2, last: 5, at: 2, bytes: '\u0007'.repeat(89_990) },
    { base: 6, last: 6, at: 3, bytes: '' },
    { base: 7, last: 7, at: 4, bytes: '\b'.repeat(70_000) },
  ],
  ...{ end: 8, committed: 3 },
}

describe('the thread that writes the log', () => {
  test('has all of a transaction on disk once it says so', async () => {
    const thread = await openThread()
    expect(await write(thread, someBatches())).toBeNull()
    expect(stored()).toEqual(ALL)
    void thread.close()
  })

  test('can be waited for without a turn of the event loop', async () => {
    const thread = await openThread()
    const said: (Error | null)[] = []
    thread.write(someBatches(), error => said.push(error))
    expect(thread.isFree).toBe(false)
    thread.finish()
    expect(said).toEqual([null])
    expect(thread.isFree).toBe(true)
    expect(stored()).toEqual(ALL)
    thread.write({ batches: [], ends: [[partition, 9]], commits: [] }, error => said.push(error))
    void thread.close()
    expect(said).toEqual([null, null])
    expect(stored()).toMatchObject({ end: 9 })
    // Nobody has the file open any more.
    expect(existsSync(`${file}-wal`)).toBe(false)
  })

  test('moves batches that have their memory for themselves, so that it is free once they are written', async () => {
    const thread = await openThread()
    const writes = someBatches()
    expect(await write(thread, writes)).toBeNull()
    expect(writes.batches.map(({ data }) => data.length)).toEqual([5, 89_990, 0, 0])
    void thread.close()
  })

  test('gives the error of SQLite, and nothing of the transaction is there', async () => {
    const thread = await openThread()
    const once = someBatches()
    const error = await write(thread, { ...once, batches: [...once.batches, ...someBatches().batches] })
    // A batch that is there already.
    expect(error).toMatchObject({ errcode: 1555, message: expect.stringContaining('UNIQUE') })
    expect(stored()).toEqual({ found: [], end: 0, committed: null })
    expect(await write(thread, someBatches())).toBeNull()
    void thread.close()
  })

  test('has answered, though it ended before anybody heard it', async () => {
    const thread = await openThread()
    const said: (Error | null)[] = []
    thread.write(someBatches(), error => said.push(error))
    void thread.close()
    expect(said).toEqual([null])
    expect(stored()).toEqual(ALL)
  })

  test('can be waited for again and again', async () => {
    const thread = await openThread()
    for (let end = 1; end <= 100; end += 1) {
      thread.write({ batches: [], ends: [[partition, end]], commits: [] }, () => undefined)
      thread.finish()
      expect(thread.isFree).toBe(true)
    }
    void thread.close()
    expect(stored()).toMatchObject({ end: 100 })
  })

  test('that ends by itself is gone, also for who waits', async () => {
    const thread = await openThread(quitting({ afterWriting: false }))
    expect(await write(thread, someBatches())).toMatchObject({ name: 'ThreadGone' })
    expect([thread.isGone, thread.isFree]).toEqual([true, false])
    void thread.close()
    const broken = new URL('data:text/javascript,throw new Error("no")')
    expect((await openThread(broken)).isGone).toBe(true)
  })
})

/** A thread that ends at its first order, before or after it has written. */
function quitting({ afterWriting }: { readonly afterWriting: boolean }): URL {
  const nameOf = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href)
  return new URL(
    `data:text/javascript,${encodeURIComponent(`
    import { workerData } from 'node:worker_threads'
    const { SqliteStore } = await import(${nameOf('./store.ts')})
    const { carryOut, unpacked } = await import(${nameOf('./thread/messages.ts')})
    const store = new SqliteStore(workerData.file)
    workerData.port.on('message', order => {
      if (${afterWriting}) carryOut(store, unpacked(order))
      process.exit(1)
    })
    workerData.port.postMessage('ready')`)}`,
  )
}

test('a queue that gets no thread writes by itself', async () => {
  const core = new SqliteCore(file)
  const openThread = vi.fn(() => {
    throw new Error('no more threads')
  })
  const queue = new SqliteQueue(core, { threadAfterBytes: 0, openThread })
  const writer = queue.newWriter('w')
  expect(await append(queue, writer, 'first')).toBe(0)
  expect(await append(queue, writer, 'second')).toBe(2)
  expect(openThread).toHaveBeenCalledOnce()
  void queue.close()
  core.close()
})

function append(queue: SqliteQueue, writer: WriterState, name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const batches = encodeBatches(records(name, 2, 10), queue.spareBuffers)
    queue.append({
      ...{ target: TARGET, batches, count: 2, bytes: 100, largestBytes: 50 },
      ...{ writer, resolve, reject },
    })
  })
}

describe('a queue whose thread ends in the middle of a transaction', () => {
  test.for([true, false])(
    'fails what was under way, and goes on where the file ends (written: %s)',
    async afterWriting => {
      const core = new SqliteCore(file)
      const thread = await openThread(quitting({ afterWriting }))
      const opened: string[] = []
      const queue = new SqliteQueue(core, {
        threadAfterBytes: 0,
        openThread: path => (opened.push(path), thread),
      })
      const [first, second] = [queue.newWriter('w'), queue.newWriter('w')]
      const { version } = core.partition(TARGET).changes
      const lost = append(queue, first, 'lost')
      await expect(lost).rejects.toMatchObject({ code: 'unreachable', retryable: true })
      // Readers hear of records that nobody was told of.
      expect(core.partition(TARGET).changes.version > version).toBe(afterWriting)
      expect(core.partition(TARGET)).toMatchObject({ end: afterWriting ? 2 : 0 })
      await expect(append(queue, first, 'late')).rejects.toMatchObject({ code: 'writer-dead' })
      const base = afterWriting ? 2 : 0
      expect(await append(queue, second, 'next')).toBe(base)
      expect(await append(queue, second, 'more')).toBe(base + 2)
      expect(opened).toEqual([file])
      void queue.close()
      core.close()
      const db = new DatabaseSync(file, { readOnly: true })
      expect(db.prepare('SELECT count(*) AS n FROM log_batch').get()).toEqual({ n: afterWriting ? 3 : 2 })
      db.close()
    },
  )
})
