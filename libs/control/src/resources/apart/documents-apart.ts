/**
 * Works on documents in threads of their own, for a server. A document of a permitted size may take seconds,
 * in which the server still answers others. The server can end a thread in the middle of a document.
 */
import type { ResourceRecord } from '@sluice/contracts/document-records'
import { SluiceError, errorOf } from '@sluice/contracts/errors'
import { AskedThread } from '@sluice/flow/asked-thread'
import { Slots } from '@sluice/flow/slots'
import { isResourceKind } from '@sluice/contracts/resources'
import type { Stored } from '../resource-plan.ts'
import type { DocumentWork } from './document-work.ts'
import { unpacked, type Reply, type Task } from './messages.ts'

const MAX_THREADS = 2
/** The memory of a thread. Documents have lower limits of their own. */
const MEMORY = { maxOldGenerationSizeMb: 384, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 }
/** A task may take this long once it has a thread. */
const TASK_MS = 30_000
/** A thread without work ends after this time. Somebody who edits asks again soon. */
const IDLE_MS = 60_000

type Thread = AskedThread<Task, Reply>

/** Threads start when they are needed. They do not keep the process alive. */
export function documentsApart(): DocumentWork {
  const threads = new Threads()
  return {
    async check(documents, { stored, dir, signal }) {
      const reply = await threads.ask({ kind: 'check', documents, stored: resourcesIn(stored), dir }, signal)
      if (reply.kind === 'checked') return unpacked(reply.checked)
      throw new SluiceError('internal', `a check was answered with ${reply.kind}`)
    },
    async plan(stored, project, signal) {
      const reply = await threads.ask({ kind: 'plan', stored: resourcesIn(stored), project }, signal)
      if (reply.kind === 'planned') return reply.plan
      throw new SluiceError('internal', `a plan was answered with ${reply.kind}`)
    },
  }
}

function resourcesIn(stored: Stored): ReadonlyMap<string, ResourceRecord> {
  return new Map([...stored].filter(([, { kind }]) => isResourceKind(kind)))
}

class Threads {
  readonly #slots = new Slots({ most: MAX_THREADS, overdueMs: 2 * TASK_MS })
  readonly #idle = new Map<Thread, NodeJS.Timeout>()

  /**
   * Waits for a thread, and for the reply. Rejects with the error of the task, or with the signal's reason.
   */
  async ask(task: Task, signal: AbortSignal): Promise<Reply> {
    using _slot = await this.#slots.take({ signal })
    const thread = this.#take()
    const late = AbortSignal.timeout(TASK_MS)
    let reply: Reply
    try {
      reply = await thread.ask(task, { signal: AbortSignal.any([signal, late]) })
    } catch (error) {
      await thread[Symbol.asyncDispose]()
      throw late.aborted && !signal.aborted ? tooLong() : error
    }
    this.#keep(thread)
    if (reply.kind === 'failed') throw errorOf(reply.failure)
    return reply
  }

  #take(): Thread {
    const [thread, timer] = [...this.#idle].at(-1) ?? []
    if (thread !== undefined) {
      clearTimeout(timer)
      this.#idle.delete(thread)
      return thread
    }
    const made: Thread = new AskedThread(new URL('./main.ts', import.meta.url), { memory: MEMORY, endOf })
    made.ended.addEventListener('abort', () => this.#idle.delete(made), { once: true })
    return made
  }

  #keep(thread: Thread): void {
    if (thread.ended.aborted) return
    this.#idle.set(thread, setTimeout(() => void thread[Symbol.asyncDispose](), IDLE_MS).unref())
  }
}

function tooLong(): SluiceError {
  return new SluiceError(
    'too-long',
    `The documents take longer than ${TASK_MS / 1_000} s to check: send fewer.`,
  )
}

function endOf(cause: unknown, { isTooLarge }: { readonly isTooLarge: boolean }): SluiceError {
  return isTooLarge
    ? new SluiceError('too-large', 'The documents take more memory than a server has for them.')
    : new SluiceError('internal', 'The thread that checks documents has ended.', { cause })
}
