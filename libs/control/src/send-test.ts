/** Sends one request as a test, and waits for its outcome. */
import type { AttemptView } from '@sluice/contracts/api'
import { SluiceError } from '@sluice/contracts/errors'
import type { Definition } from '@sluice/contracts/resources'
import type { Op } from '@sluice/contracts/state'
import { assertKeyFits } from '@sluice/resources/stored-documents'
import { decodeShared } from '@sluice/topics/owned-reader'
import { at, homePartition, sharedTopics, textKey } from '@sluice/topics/topics'
import { testView } from './history/test-attempts.ts'
import type { FoundRequest, NextRun, RenderedRequest } from './runs/next-run.ts'
import type { Pipeline } from './pipeline.ts'

/** Delivery may wait this long for its secrets, its limits and its turn. */
const MAX_WAIT_MS = 30_000
/** Clocks differ by less than this, and a busy machine is late by less. */
const MARGIN_MS = 10_000

/** A request that can be sent. */
type Sendable = FoundRequest & { readonly rendered: RenderedRequest }

/**
 * The request of one row. Throws `not-found` if the model has no such row, and `usage` if the row cannot
 * become a request.
 */
export async function requestOf(
  next: Pick<NextRun, 'requests'>,
  { sync, op, key }: { readonly sync: string; readonly op: Op; readonly key: string },
): Promise<Sendable> {
  for await (const { shown, rendered } of next.requests({ op, key, rows: 1 })) {
    if (shown.kind === 'rejected')
      throw new SluiceError('usage', `The row cannot become a request: ${shown.error}`)
    if (rendered !== null) return { shown, rendered }
  }
  throw new SluiceError('not-found', `The model of \`${sync}\` has no row with key \`${key}\`.`)
}

/**
 * Resolves once the request was sent, or delivery has given it up. Rejects with `unreachable` if no delivery
 * takes it up: then it is not sent later, either. An abort ends the wait, and not the test.
 */
export async function sendTest(
  pipeline: Pipeline,
  { definition, request: { shown, rendered } }: { definition: Definition; request: Sendable },
  signal: AbortSignal,
): Promise<AttemptView> {
  const { log, io, prefix } = pipeline
  const { name: sync, timeout } = definition.sync
  await assertKeyFits(pipeline, { signal })
  const id = pipeline.newRunId()
  const hash = await pipeline.definitions.put(definition, { signal })
  const { trigger, keys } = shown
  const test = { id, sync, definition: hash, trigger, ...rendered, keys, withinMs: MAX_WAIT_MS }
  const target = at(sharedTopics(prefix).tests, homePartition(sync))
  const record = { key: textKey(sync), value: io.encode('TestRequest', test) }
  const { baseOffset } = await log.append(target, [io.signed(target.topic, record)], { signal })
  const silent = AbortSignal.timeout(MAX_WAIT_MS + timeout + MARGIN_MS)
  const untaken = new AbortController()
  const timer = setTimeout(() => untaken.abort(), MAX_WAIT_MS + MARGIN_MS)
  const ending = AbortSignal.any([signal, silent, untaken.signal])
  try {
    for await (const { records } of log.read(target, { from: baseOffset, signal: ending }))
      for (const { record: read } of await decodeShared(io, { target, records }, ending)) {
        if (read?.name !== 'sluice.TestAttempt' || read.value.id !== id) continue
        clearTimeout(timer)
        if (read.value.final) return testView(read.value)
      }
  } catch (error) {
    if (!silent.aborted && !untaken.signal.aborted) throw error
  } finally {
    clearTimeout(timer)
  }
  signal.throwIfAborted()
  throw new SluiceError('unreachable', untaken.signal.aborted ? UNTAKEN : SILENT)
}

const UNTAKEN = `No delivery took the request up within ${(MAX_WAIT_MS + MARGIN_MS) / 1000} s, and none sends it later: start delivery, and send it again.`
const SILENT =
  'Delivery took the request up and then said nothing: it may have been sent. `sluice attempts` shows what came of it.'
