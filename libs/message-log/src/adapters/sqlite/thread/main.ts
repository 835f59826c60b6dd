/** The thread that writes to the log's file, so that no other thread waits for the disk. */
import { messageOf } from '@sluice/contracts/errors'
import { workerData } from 'node:worker_threads'
import { SqliteStore } from '../store.ts'
import {
  carryOut,
  CELL,
  ENDED,
  release,
  unpacked,
  type Answer,
  type Order,
  type ThreadStart,
} from './messages.ts'

const { file, port, cells } = workerData as ThreadStart
const cell = new Int32Array(cells)
/**
 * A transaction waits for at most this time while the schema codec, which shares the file, writes to it.
 * Meanwhile the other threads go on with their work, unless they close the file.
 */
const BUSY_MS = 10_000
/** The cache is small, since the thread reads nothing again. */
const CACHE_KB = 2_048

process.on('exit', () => {
  for (const index of Object.values(CELL)) {
    Atomics.store(cell, index, ENDED)
    Atomics.notify(cell, index)
  }
})
const store = new SqliteStore(file, { busyMs: BUSY_MS, cacheKb: CACHE_KB })
const answer = (said: Answer): void => port.postMessage(said)

function failureOf(order: NonNullable<Order>): Answer {
  try {
    carryOut(store, unpacked(order))
    return null
  } catch (error) {
    const message = messageOf(error)
    const errcode = error instanceof Error && 'errcode' in error ? Number(error.errcode) : undefined
    return errcode === undefined ? { message } : { message, errcode }
  } finally {
    release(order)
  }
}

function count(index: number): void {
  Atomics.add(cell, index, 1)
  Atomics.notify(cell, index)
}

port.on('message', (order: Order) => {
  if (order === null) {
    try {
      store.close()
    } finally {
      port.close()
      count(CELL.closed)
    }
    return
  }
  answer(failureOf(order))
  count(CELL.answered)
})
answer('ready')
