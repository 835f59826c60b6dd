/**
 * Renders in a thread of its own, as `renderChanges` does. For a server that renders the templates of others:
 * however long a template takes, the server answers meanwhile, and it can end the thread in the midst of one.
 */
import { SluiceError, errorOf } from '@sluice/contracts/errors'
import type { AnyRow } from '@sluice/contracts/avro/encoded-row'
import { AskedThread } from '@sluice/flow/asked-thread'
import { nextTurn } from '@sluice/flow/sleep'
import { Slots } from '@sluice/flow/slots'
import type { RenderElsewhere, Rendered } from '../rendering/render-batch.ts'
import type { PlacedChange, RenderChanges } from '../rendering/render-changes.ts'
import type { RowBatch } from '../rendering/row-batches.ts'
import { packed, type Question, type Reply, type Task } from './thread/messages.ts'

/** The memory of a thread. Templates have limits of their own, which are far below. */
const MEMORY = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 }
/** Changes that are handed over at once, so that copying them does not take long. */
const CHANGES_AT_ONCE = 100
const BYTES_AT_ONCE = 1_000_000
const BATCHED_AT_ONCE = 20

/**
 * The signal ends the thread at once, also where a template is at work. Then the signal's reason is thrown.
 */
export function renderInThread(signal: AbortSignal): RenderChanges {
  return async function* (changes, definition, context) {
    await using thread = newThread()
    yield* renderIn(thread, { changes, task: { definition, context } }, signal)
  }
}

/**
 * Renders batches that take long, one after another, in a thread that starts with the first of them. For a
 * process that has others to answer meanwhile.
 */
export class SlowRenders implements AsyncDisposable {
  /** A batch ends long before, by the limits of templates. */
  readonly #turns = new Slots({ most: 1, overdueMs: 3_600_000 })
  #thread: Thread | null = null

  readonly render: RenderElsewhere = async (batch, of, { signal }) => {
    using _turn = await this.#turns.take({ signal })
    this.#thread ??= newThread()
    const all: Rendered[] = []
    try {
      const { patience: _here, ...context } = of.context
      const work = { changes: changesOf(batch), task: { ...of, context } }
      for await (const { rendered } of renderIn(this.#thread, work, signal)) all.push(rendered)
      return all
    } catch (error) {
      // It may be in the midst of a template.
      await this.#end()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end()
  }

  async #end(): Promise<void> {
    const thread = this.#thread
    this.#thread = null
    await thread?.[Symbol.asyncDispose]()
  }
}

/** The changes of a batch, which is one batch for the thread, too: their bytes are not counted again. */
async function* changesOf({ changes }: RowBatch): AsyncGenerator<readonly PlacedChange<AnyRow>[]> {
  for (let at = 0; at < changes.length; at += BATCHED_AT_ONCE) {
    // Rows that are still encoded are decoded now.
    if (at > 0) await nextTurn()
    yield changes.slice(at, at + BATCHED_AT_ONCE).map(change => ({ partition: 0, bytes: 0, change }))
  }
}

/** One thread, which does one task at a time. */
type Thread = AskedThread<Question, Reply>

function newThread(): Thread {
  return new AskedThread(new URL('./thread/main.ts', import.meta.url), { memory: MEMORY, endOf })
}

/** After an error, the thread is of no more use. */
async function* renderIn(
  thread: Thread,
  {
    changes,
    task,
  }: { readonly changes: AsyncIterable<readonly PlacedChange<AnyRow>[]>; readonly task: Task },
  signal: AbortSignal,
): ReturnType<RenderChanges> {
  const pieces = inPieces(changes)
  let failure: unknown = null
  try {
    for (let question: Question = { kind: 'task', task }; ;) {
      const reply = await thread.ask(question, { signal })
      if (reply.kind === 'done') return
      if (reply.kind === 'failed') {
        failure = errorOf(reply.failure)
        throw failure
      }
      if (reply.kind === 'rendered') yield { op: reply.op, rendered: reply.rendered }
      question = reply.kind === 'wanting' ? await nextOf(pieces) : { kind: 'next' }
    }
  } catch (error) {
    // The thread has told why it fails, and counts even if the signal aborts right after that.
    if (error !== failure) signal.throwIfAborted()
    throw error
  } finally {
    await pieces.return(undefined)
  }
}

async function nextOf(pieces: AsyncGenerator<readonly PlacedChange[]>): Promise<Question> {
  const next = await pieces.next()
  return { kind: 'changes', changes: next.done === true ? null : next.value }
}

/** The same changes in smaller lists, ready to be handed over. */
async function* inPieces(
  changes: AsyncIterable<readonly PlacedChange<AnyRow>[]>,
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

function endOf(cause: unknown, { isTooLarge }: { readonly isTooLarge: boolean }): SluiceError {
  return isTooLarge
    ? new SluiceError('too-large', 'The templates take more memory than they have here.')
    : new SluiceError('internal', 'The thread that renders has ended.', { cause })
}
