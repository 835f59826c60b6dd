/**
 * Writes to the log's file on a thread of its own, so that the pipeline's thread renders and sends meanwhile.
 * In a run of a million rows, that thread would otherwise spend a fifth of its time on waits for the disk and
 * on SQLite's copying of pages.
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

/** The thread keeps nothing in memory but the batches that it writes. */
const RESOURCES = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 }
/**
 * If the disk does not answer, a caller waits at most `MAX_WAITS` times, each time for `WAIT_MS`. If the
 * process is stopped and continued, only one of these waits is lost.
 */
const MAX_WAITS = 12
const WAIT_MS = 5_000

/** The thread has ended by itself, and its last transaction may or may not be on disk. */
export class ThreadGone extends Error {
  override readonly name = 'ThreadGone'
}

/** Called with null once the transaction is on disk, and otherwise with the error. */
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

  /** Starts the thread, which runs `main`. The start takes ten milliseconds, for which nobody waits. */
  constructor(file: string, main = new URL('./thread/main.ts', import.meta.url)) {
    const { port1, port2 } = new MessageChannel()
    const workerData: ThreadStart = { file, port: port2, cells: this.#cells.buffer }
    this.#worker = new Worker(main, {
      ...{ workerData, transferList: [port2], resourceLimits: RESOURCES, execArgv: [] },
    })
    this.#port = port1
    this.#port.on('message', (said: Answer) => this.#hear(said))
    this.#worker.once('error', (error: unknown) => void (this.#failure = error))
    // Until its exit, the thread may still be writing.
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
   * Writes in one transaction, if the thread is free. The caller may not use its batches any more. `done`
   * gets an error of SQLite, with its `errcode`, if nothing is on disk, and `ThreadGone` if that is unknown.
   */
  write(writes: Writes, done: Done): void {
    this.#order(packed(writes))
    this.#underWay = done
    this.#ordered += 1
    // The reference keeps the process alive until the transaction is over.
    this.#port.ref()
  }

  /**
   * Blocks until the transaction under way is over, and calls its `done`. Throws if the disk does not answer
   * within a minute. In that case the transaction goes on.
   */
  finish(): void {
    if (this.#underWay === null) return
    if (!this.#waitFor(CELL.answered, this.#ordered))
      throw new Error(`the disk has not answered for ${(MAX_WAITS * WAIT_MS) / 1000} s`)
    if (!this.#hearNow()) this.#leave()
  }

  /**
   * Closes the file, and blocks until it is closed. Returns null. If the disk does not answer, it returns a
   * promise that resolves once the thread has ended.
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

  /**
   * Blocks until the cell has the wanted value or the thread has ended. Returns false if neither came in
   * time.
   */
  #waitFor(index: number, wanted: number): boolean {
    let now = Atomics.load(this.#cells, index)
    for (let left = MAX_WAITS; left > 0 && now < wanted && this.#gone === null; left -= 1) {
      // This returns at once if the cell has changed since.
      Atomics.wait(this.#cells, index, now, WAIT_MS)
      now = Atomics.load(this.#cells, index)
    }
    return now >= wanted || this.#gone !== null
  }

  /** Takes an answer that the event loop has not delivered yet. Returns false if there is none. */
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
    // Its last answer may not be delivered yet.
    while (this.#hearNow()) continue
    this.#gone ??= new ThreadGone('the thread that writes the log has ended', { cause: this.#failure })
    this.#end(this.#gone)
  }
}
