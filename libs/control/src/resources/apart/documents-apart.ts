/**
 * Works on documents in threads of their own. For a server: a document of a permitted size may take seconds,
 * and the server answers others meanwhile. The server can end the thread in the midst of one.
 */
import { Worker } from 'node:worker_threads'
import type { ResourceRecord } from '@sluice/contracts/document-records'
import { SluiceError, errorOf } from '@sluice/contracts/errors'
import { abortable } from '@sluice/flow/abortable'
import { Slots } from '@sluice/flow/slots'
import { isResourceKind, type Stored } from '../resource-plan.ts'
import type { DocumentWork } from './document-work.ts'
import { unpacked, type Reply, type Task } from './messages.ts'

const MOST_THREADS = 2
/** The memory of a thread. Documents have limits of their own, which are below. */
const RESOURCES = { maxOldGenerationSizeMb: 384, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 }
/** How long a task may take, from when it has a thread. */
const TASK_MS = 30_000
/** How long a thread stays that has nothing to do: somebody who edits asks again soon. */
const IDLE_MS = 60_000

interface Thread {
  readonly worker: Worker
  /** Aborts when the thread has ended. */
  readonly ended: AbortController
  idle: NodeJS.Timeout | null
}

/** Threads begin as they are needed. They keep no process from ending. */
export function documentsApart(): DocumentWork {
  const threads = new Threads()
  return {
    async check(documents, { stored, dir, signal }) {
      const reply = await threads.ask({ kind: 'check', documents, stored: resourcesIn(stored), dir }, signal)
      if (reply.kind === 'checked') return unpacked(reply.checked)
      throw new SluiceError('internal', `a check was answered with ${reply.kind}`)
    },
    async plan(stored, of, signal) {
      const reply = await threads.ask({ kind: 'plan', stored: resourcesIn(stored), of }, signal)
      if (reply.kind === 'planned') return reply.plan
      throw new SluiceError('internal', `a plan was answered with ${reply.kind}`)
    },
  }
}

function resourcesIn(stored: Stored): ReadonlyMap<string, ResourceRecord> {
  return new Map([...stored].filter(([, { kind }]) => isResourceKind(kind)))
}

class Threads {
  readonly #slots = new Slots({ most: MOST_THREADS, overdueMs: 2 * TASK_MS })
  readonly #idle: Thread[] = []

  /** Waits for a thread. Rejects with what the task failed of, or with the reason of the signal. */
  async ask(task: Task, signal: AbortSignal): Promise<Reply> {
    using _slot = await this.#slots.take({ signal })
    const thread = this.#take()
    const late = AbortSignal.timeout(TASK_MS)
    const over = AbortSignal.any([signal, late, thread.ended.signal])
    let reply: Reply
    try {
      const { promise, resolve } = Promise.withResolvers<Reply>()
      thread.worker.once('message', resolve)
      thread.worker.postMessage(task)
      reply = await abortable(promise, { signal: over })
    } catch (error) {
      if (!over.aborted) throw error
      await thread.worker.terminate()
      throw late.aborted && !signal.aborted ? tooLong() : over.reason
    }
    this.#keep(thread)
    if (reply.kind === 'failed') throw errorOf(reply.failure)
    return reply
  }

  #take(): Thread {
    const idle = this.#idle.pop()
    if (idle === undefined) return begin(thread => this.#forget(thread))
    if (idle.idle !== null) clearTimeout(idle.idle)
    return idle
  }

  #keep(thread: Thread): void {
    thread.idle = setTimeout(() => void thread.worker.terminate(), IDLE_MS).unref()
    this.#idle.push(thread)
  }

  #forget(thread: Thread): void {
    const place = this.#idle.indexOf(thread)
    if (place !== -1) this.#idle.splice(place, 1)
  }
}

function begin(onEnd: (thread: Thread) => void): Thread {
  const worker = new Worker(new URL('./main.ts', import.meta.url), {
    ...{ resourceLimits: RESOURCES, env: {}, execArgv: [] },
    // What it would print may hold what somebody wrote.
    ...{ stdout: true, stderr: true },
  })
  worker.unref()
  const ended = new AbortController()
  const thread: Thread = { worker, ended, idle: null }
  worker.once('error', error => ended.abort(endOf(error)))
  worker.once('exit', () => {
    ended.abort(endOf(null))
    onEnd(thread)
  })
  return thread
}

function tooLong(): SluiceError {
  return new SluiceError(
    'too-long',
    `The documents take longer than ${TASK_MS / 1_000} s to check: send fewer.`,
  )
}

function endOf(error: unknown): SluiceError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new SluiceError('too-large', 'The documents take more memory than a server has for them.')
  return new SluiceError('internal', 'The thread that checks documents has ended.', { cause: error })
}
