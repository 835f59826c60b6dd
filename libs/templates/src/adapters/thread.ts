/**
 * Renders as `renderChanges` does, in a thread of its own. So a server answers other requests however long
 * the template of a user takes. The server can end the thread in the middle of a template.
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

/** Templates have limits of their own, far below these. */
const MEMORY = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 }
/** A message has at most this many changes and bytes, so that copying it does not take long. */
const MAX_CHANGES_PER_MESSAGE = 100
const MAX_BYTES_PER_MESSAGE = 1_000_000
/** At most this many rows of a batch are decoded before other work has its turn. */
const MAX_DECODED_AT_ONCE = 20

/**
 * Starts a thread for each call of the returned function. The signal ends the thread at once, even in the
 * middle of a template. The call then throws the signal's reason.
 */
export function renderInThread(signal: AbortSignal): RenderChanges {
  return async function* (changes, definition, context) {
    await using thread = newThread()
    yield* renderIn(thread, { changes, task: { definition, context } }, signal)
  }
}

/**
 * Renders batches that take long, one after another, in one thread. Meanwhile the process does other work.
 * The thread starts with the first batch.
 */
export class SlowRenders implements AsyncDisposable {
  /** The limits of templates end a batch long before it is overdue. */
  readonly #turns = new Slots({ most: 1, overdueMs: 3_600_000 })
  #thread: Thread | null = null

  readonly render: RenderElsewhere = async (batch, task, { signal }) => {
    using _turn = await this.#turns.take({ signal })
    this.#thread ??= newThread()
    const all: Rendered[] = []
    try {
      const { patience: _patience, ...context } = task.context
      const work = { changes: changesOf(batch), task: { ...task, context } }
      for await (const { rendered } of renderIn(this.#thread, work, signal)) all.push(rendered)
      return all
    } catch (error) {
      // The thread may be in the middle of a template.
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

/** Gives the changes of a batch. They have 0 bytes, so that the thread takes them as one batch, too. */
async function* changesOf({ changes }: RowBatch): AsyncGenerator<readonly PlacedChange<AnyRow>[]> {
  for (let at = 0; at < changes.length; at += MAX_DECODED_AT_ONCE) {
    if (at > 0) await nextTurn()
    yield changes.slice(at, at + MAX_DECODED_AT_ONCE).map(change => ({ partition: 0, bytes: 0, change }))
  }
}

/** One thread, which does one task at a time. */
type Thread = AskedThread<Question, Reply>

function newThread(): Thread {
  return new AskedThread(new URL('./thread/main.ts', import.meta.url), { memory: MEMORY, endOf })
}

/** Renders in the given thread. After an error, the thread cannot be used again. */
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
    // A failure that the thread reported is thrown even if the signal aborts right after it.
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

/** Splits changes into messages, and packs them. */
async function* inPieces(
  changes: AsyncIterable<readonly PlacedChange<AnyRow>[]>,
): AsyncGenerator<readonly PlacedChange[]> {
  for await (const rows of changes) {
    let piece: PlacedChange[] = []
    let bytes = 0
    for (const row of rows) {
      if (
        piece.length >= MAX_CHANGES_PER_MESSAGE ||
        (piece.length > 0 && bytes + row.bytes > MAX_BYTES_PER_MESSAGE)
      ) {
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
