/**
 * Writes to the log's file on a thread of its own. Waiting for the disk, and SQLite's copying of pages, are a
 * quarter of the time of a run of a million rows. Meanwhile the thread of the pipeline renders and sends.
 */
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads'
import { CELL, packed, type Answer, type Order, type ThreadStart, type Writes } from './thread/messages.ts'

/** It holds what it writes, and nothing else. */
const RESOURCES = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 }
/** A disk that takes longer than this to answer is as good as gone. */
const MOST_WAIT_MS = 60_000

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
    this.#worker.once('error', error => this.#leave(error))
    this.#worker.once('exit', () => this.#leave(null))
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
   * Writes in one transaction, if the thread is free. `done` hears an error of SQLite, which has its
   * `errcode`, if nothing of it is on disk, and `ThreadGone` if nobody knows.
   */
  write(writes: Writes, done: Done): void {
    this.#underWay = done
    this.#ordered += 1
    // The process does not end in the middle of it.
    this.#port.ref()
    this.#order(packed(writes))
  }

  /** Blocks until nothing is being written any more, and tells who waits for it. */
  finish(): void {
    if (this.#underWay === null) return
    if (this.#gone === null) this.#wait(CELL.answered, this.#ordered)
    const heard = receiveMessageOnPort(this.#port) as { readonly message: Answer } | undefined
    if (heard === undefined) this.#leave(null)
    else this.#hear(heard.message)
  }

  /** Closes the file, and blocks until it is closed. */
  close(): void {
    this.finish()
    if (this.#isReady && this.#gone === null) {
      this.#order(null)
      this.#wait(CELL.closed, 1)
    }
    this.#port.close()
    void this.#worker.terminate()
  }

  #order(order: Order): void {
    this.#port.postMessage(order, order === null ? [] : [order.numbers.buffer, order.small.buffer])
  }

  #wait(index: number, wanted: number): void {
    const deadline = performance.now() + MOST_WAIT_MS
    for (let now; (now = Atomics.load(this.#cells, index)) < wanted;)
      if (Atomics.wait(this.#cells, index, now, deadline - performance.now()) === 'timed-out') return
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

  #leave(cause: unknown): void {
    this.#gone ??= new ThreadGone('the thread that writes the log has ended', { cause })
    this.#end(this.#gone)
  }
}
