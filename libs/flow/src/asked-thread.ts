/** A thread that answers one question at a time, and can be ended during one. */
import { once } from 'node:events'
import { Worker, type ResourceLimits } from 'node:worker_threads'
import { abortable, type Abortable } from './abortable.ts'

/**
 * The asking side. States: at rest ⇄ asked → ended. The thread has no environment, and its output is
 * discarded, since it may contain texts of users. It keeps the process alive only while a question is open.
 */
export class AskedThread<Question, Reply> implements AsyncDisposable {
  readonly #worker: Worker
  readonly #ended = new AbortController()
  readonly #online: Promise<unknown>

  /**
   * `main` is the file that the thread runs. `endOf` makes the reason of `ended` from the error that ended
   * the thread, or null, and from whether the thread ran out of memory.
   */
  constructor(
    main: URL,
    options: {
      readonly memory: ResourceLimits
      readonly endOf: (error: unknown, end: { readonly isTooLarge: boolean }) => Error
    },
  ) {
    const end = (error: unknown): void => {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      this.#ended.abort(options.endOf(error, { isTooLarge: code === 'ERR_WORKER_OUT_OF_MEMORY' }))
    }
    this.#worker = new Worker(main, {
      ...{ resourceLimits: options.memory, env: {}, execArgv: [], stdout: true, stderr: true },
    })
    this.#online = once(this.#worker, 'online')
    this.#online.catch(() => undefined)
    this.#worker.once('error', end)
    this.#worker.once('exit', () => end(null))
    this.#worker.unref()
  }

  /** Aborts when the thread has ended, with the reason. */
  get ended(): AbortSignal {
    return this.#ended.signal
  }

  /**
   * Resolves with the reply. Rejects with the reason of the signal, or of `ended`. The caller then disposes
   * the thread, which may still be answering.
   */
  async ask(question: Question, { signal }: Abortable): Promise<Reply> {
    const over = AbortSignal.any([signal, this.#ended.signal])
    over.throwIfAborted()
    this.#worker.ref()
    try {
      await abortable(this.#online, { signal: over })
      const { promise, resolve } = Promise.withResolvers<Reply>()
      this.#worker.once('message', resolve)
      this.#worker.postMessage(question)
      return await abortable(promise, { signal: over })
    } finally {
      this.#worker.unref()
    }
  }

  /** Ends the thread, also during an answer. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate()
  }
}
