/**
 * Renders in a thread of its own, as `renderChanges` does. For a server that renders the templates of others:
 * however long a template takes, the server answers meanwhile, and it can end the thread in the midst of one.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { SluiceError } from '@sluice/contracts/errors'
import { errorOf } from '@sluice/contracts/failures'
import type { PlacedChange, RenderChanges } from '../render-changes.ts'
import { packed, type Question, type Reply, type Task } from './thread/messages.ts'

/** The memory of a thread. Templates have limits of their own, which are far below. */
const RESOURCES = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 }
/** Changes that are handed over at once, so that copying them does not take long. */
const CHANGES_AT_ONCE = 100
const BYTES_AT_ONCE = 1_000_000

/**
 * The signal ends the thread at once, also where a template is at work. Then the signal's reason is thrown.
 */
export function renderInThread(signal: AbortSignal): RenderChanges {
  return async function* (changes, definition, context) {
    signal.throwIfAborted()
    const task: Task = { definition, context }
    const worker = new Worker(new URL('./thread/main.ts', import.meta.url), {
      ...{ workerData: task, resourceLimits: RESOURCES, env: {}, execArgv: [] },
      // What it would print may hold rows.
      ...{ stdout: true, stderr: true },
    })
    const ended = new AbortController()
    worker.once('error', error => ended.abort(endOf(error)))
    worker.once('exit', () => ended.abort(endOf(null)))
    const over = AbortSignal.any([signal, ended.signal])
    const pieces = inPieces(changes)
    let failure: unknown = null
    try {
      await once(worker, 'online', { signal: over })
      for (let question: Question = { kind: 'next' }; ;) {
        const heard = once(worker, 'message', { signal: over })
        worker.postMessage(question)
        const [reply] = (await heard) as [Reply]
        if (reply.kind === 'done') return
        if (reply.kind === 'failed') {
          failure = errorOf(reply.failure)
          throw failure
        }
        if (reply.kind === 'rendered') yield { op: reply.op, rendered: reply.rendered }
        question = reply.kind === 'wanting' ? await nextOf(pieces) : { kind: 'next' }
      }
    } catch (error) {
      // A thread that has told why it fails ends right after that.
      if (over.aborted && error !== failure) throw over.reason
      throw error
    } finally {
      await pieces.return(undefined)
      await worker.terminate()
    }
  }
}

async function nextOf(pieces: AsyncGenerator<readonly PlacedChange[]>): Promise<Question> {
  const next = await pieces.next()
  return { kind: 'changes', changes: next.done === true ? null : next.value }
}

/** The same changes in smaller lists, ready to be handed over. */
async function* inPieces(
  changes: AsyncIterable<readonly PlacedChange[]>,
): AsyncGenerator<readonly PlacedChange[]> {
  for await (const rows of changes) {
    let piece: PlacedChange[] = []
    let bytes = 0
    for (const row of rows) {
      if (piece.length >= CHANGES_AT_ONCE || (piece.length > 0 && bytes + row.bytes > BYTES_AT_ONCE)) {
        yield piece
        piece = []
        bytes = 0
      }
      piece.push(packed(row))
      bytes += row.bytes
    }
    if (piece.length > 0) yield piece
  }
}

function endOf(error: unknown): SluiceError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new SluiceError('too-large', 'The templates take more memory than a preview has on a server.')
  return new SluiceError('internal', 'The thread that renders the preview has ended.', { cause: error })
}
