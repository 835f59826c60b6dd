/**
 * Writes to the log's file on a thread of its own. Waiting for the disk, and SQLite's copying of pages, were
 * a fifth of what the thread of the pipeline did in a run of a million rows. Now it renders and sends
 * meanwhile.
 */
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads'
import {
  CELL,
  movedBy,
  packed,
  type Answer,
  type Order,
  type ThreadStart,
  type Writes,
} from './thread/messages.ts'

/** It holds what it writes, and nothing else. */
const RESOURCES = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 }
/**
 * How long others wait for a disk that does not answer: so many times so long. A process that was stopped and
 * goes on finds the time of one of them over.
 */
const MAX_WAITS = 12
const WAIT_MS = 5_000

/** The thread has ended by itself: nobody knows whether its last transaction is on disk. */
export class ThreadGone extends Error {
  override readonly name = 'ThreadGone'
}

/** Is told once all is on disk, or why nothing is. */
type Done = (error: Error | null) => void

export class WriteThread {
  readonly #worker: Worker
  readonly #port: MessagePort
  readonly #cells = new Int32Array(new SharedArrayBuffer(8))
  #isReady = false
  #gone: ThreadGone | null = null
  #failure: unknown = null
  #ordered = 0
  #underWay: Done | null = null

  /**
   * Starts the thread. That takes some ten milliseconds, in which nobody waits for it. `main` is the file
   * that it runs.
   */
  constructor(file: string, main = new URL('./thread/main.ts', import.meta.url)) {
    const { port1, port2 } = new MessageChannel()
    const workerData: ThreadStart = { file, port: port2, cells: this.#cells.buffer }
    this.#worker = new Worker(main, {
      ...{ workerData, transferList: [port2], resourceLimits: RESOURCES, execArgv: [] },
    })
    this.#port = port1
    this.#port.on('message', (said: Answer) => this.#hear(said))
    this.#worker.once('error', (error: unknown) => void (this.#failure = error))
    // Not before: until then it may still be writing.
    this.#worker.once('exit', () => this.#leave())
    this.#worker.unref()
    this.#port.unref()
  }

  /** True if it can write, and is not writing. */
  get isFree(): boolean {
    return this.#isReady && this.#gone === null && this.#underWay === null
  }

  /** True while it is writing. */
  get isWriting(): boolean {
    return this.#underWay !== null
  }

  /** True once it has ended by itself. */
  get isGone(): boolean {
    return this.#gone !== null
  }

  /**
   * Writes in one transaction, if the thread is free. Nobody here may look at its batches any more. `done`
   * hears an error of SQLite, which has its `errcode`, if nothing of it is on disk, and `ThreadGone` if
   * nobody knows.
   */
  write(writes: Writes, done: Done): void {
    this.#order(packed(writes))
    this.#underWay = done
    this.#ordered += 1
    // The process does not end in the middle of it.
    this.#port.ref()
  }

  /**
   * Blocks until nothing is being written any more, and tells who waits for it. Throws if the disk does not
   * answer within a minute. Then nothing is decided, and the transaction goes on.
   */
  finish(): void {
    if (this.#underWay === null) return
    if (!this.#waitFor(CELL.answered, this.#ordered))
      throw new Error(`the disk has not answered for ${(MAX_WAITS * WAIT_MS) / 1000} s`)
    if (!this.#hearNow()) this.#leave()
  }

  /**
   * Closes the file, and blocks until it is closed. If the disk does not answer, it resolves once the thread
   * has ended; else null.
   */
  close(): Promise<unknown> | null {
    try {
      this.finish()
    } catch {
      return this.#worker.terminate()
    }
    let isClosed = true
    if (this.#isReady && this.#gone === null) {
      this.#order(null)
      isClosed = this.#waitFor(CELL.closed, 1)
    }
    this.#port.close()
    const ended = this.#worker.terminate()
    return isClosed ? null : ended
  }

  #order(order: Order): void {
    this.#port.postMessage(order, order === null ? [] : movedBy(order))
  }

  /** False if the cell has not come to that in time. A thread that has ended counts as come. */
  #waitFor(index: number, wanted: number): boolean {
    let now = Atomics.load(this.#cells, index)
    for (let left = MAX_WAITS; left > 0 && now < wanted && this.#gone === null; left -= 1) {
      // It does not wait if the cell has changed since.
      Atomics.wait(this.#cells, index, now, WAIT_MS)
      now = Atomics.load(this.#cells, index)
    }
    return now >= wanted || this.#gone !== null
  }

  /** Takes an answer for which the event loop has had no turn yet. False if there is none. */
  #hearNow(): boolean {
    const heard = receiveMessageOnPort(this.#port) as { readonly message: Answer } | undefined
    if (heard !== undefined) this.#hear(heard.message)
    return heard !== undefined
  }

  #hear(said: Answer): void {
    if (said === 'ready') {
      this.#isReady = true
      return
    }
    const { message, errcode } = said ?? {}
    this.#end(message === undefined ? null : Object.assign(new Error(message), { errcode }))
  }

  #end(error: Error | null): void {
    const done = this.#underWay
    this.#underWay = null
    this.#port.unref()
    done?.(error)
  }

  #leave(): void {
    // Its last answer may still lie here.
    while (this.#hearNow()) continue
    this.#gone ??= new ThreadGone('the thread that writes the log has ended', { cause: this.#failure })
    this.#end(this.#gone)
  }
}
