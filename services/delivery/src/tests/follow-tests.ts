/**
 * Sends the test requests of people, from the topic `tests`: each once, with the destination, secrets and
 * limits of its sync. It changes no state (PROTOCOL.md §12). Only delivery can do this, since it alone has
 * the secrets.
 */
import type { TestAttempt, TestRequest } from '@sluice/contracts/test-records'
import { endingAlso, type Ends } from '@sluice/flow/ends'
import { OffsetWatermark } from '@sluice/flow/offset-watermark'
import { Slots } from '@sluice/flow/slots'
import type { Locks } from '@sluice/partition/port'
import type { MessageLog } from '@sluice/message-log/port'
import { hintedStart } from '@sluice/partition/position-hints'
import { ownPartitions, type Readiness, type Worker } from '@sluice/partition/own-partitions'
import type { Logger } from '@sluice/runtime/logger'
import { decodeShared, type Placed } from '@sluice/topics/owned-reader'
import type { RecordIo } from '@sluice/topics/record-io'
import { sharedTopics, textKey } from '@sluice/topics/topics'
import { aboutToSend, sendTest, type TestSender } from './send-test.ts'

/** One partition sends at most this many tests at once. A slow API then delays few others (R12). */
const MAX_AT_ONCE = 10
const OVERDUE_MS = 10_000

export interface FollowTestsDeps extends TestSender {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
  readonly locks: Locks
  readonly readiness?: Readiness | undefined
  readonly logger: Logger
}

/** Resolves once drained. Rejects with a failure that no takeover mends. */
export async function followTests(deps: FollowTestsDeps, ends: Ends): Promise<void> {
  const { log, locks, readiness, prefix, logger } = deps
  await ownPartitions({
    log,
    locks,
    readiness,
    group: groupOf(prefix),
    topic: sharedTopics(prefix).tests,
    lockName: ({ partition }) => `tests/${partition}`,
    work: worker => new TestPartition(deps, worker).work(),
    onTransientFailure: (target, err) =>
      logger.warn({ partition: target?.partition, err }, 'tests start again'),
    ...ends,
  })
}

function groupOf(prefix: string): string {
  return `${prefix}.tests`
}

interface Waiting {
  readonly request: TestRequest
  readonly offset: number
  /** The test is not sent after this time, in ms since 1970. */
  readonly until: number
}

class TestPartition {
  readonly #deps: FollowTestsDeps
  readonly #worker: Worker
  readonly #failed = new AbortController()
  readonly #ends: Ends
  readonly #slots = new Slots({ most: MAX_AT_ONCE, overdueMs: OVERDUE_MS })
  readonly #underWay = new Set<Promise<void>>()
  #watermark = new OffsetWatermark(0)
  /** Grows from owner to owner, so that the limits grant nothing to a predecessor that comes back. */
  #marker = 0

  constructor(deps: FollowTestsDeps, worker: Worker) {
    this.#deps = deps
    this.#worker = worker
    this.#ends = endingAlso(worker, this.#failed.signal)
  }

  async work(): Promise<void> {
    const { log, prefix } = this.#deps
    const { target, drain, abort } = this.#worker
    const { drain: signal } = this.#ends
    try {
      const { from, end } = await hintedStart(log, { group: groupOf(prefix), target }, signal)
      this.#watermark = new OffsetWatermark(from)
      this.#marker = end
      await this.#takeUp(from, end)
      await this.#follow(end)
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      await Promise.all(this.#underWay)
    }
    if (this.#failed.signal.aborted && !drain.aborted && !abort.aborted) throw this.#failed.signal.reason
  }

  /** Takes up the open tests of a predecessor. Those that it was about to send are not sent again. */
  async #takeUp(from: number, end: number): Promise<void> {
    const { log } = this.#deps
    const { target } = this.#worker
    const { drain: signal } = this.#ends
    if (from >= end) return
    const open = new Map<string, Waiting>()
    const intents = new Map<string, TestAttempt>()
    for await (const { records, nextOffset } of log.read(target, { signal, from, to: end })) {
      for (const { offset, timestamp, record } of await this.#decoded(records)) {
        if (record?.name === 'sluice.TestRequest')
          open.set(record.value.id, this.#begun(record.value, offset, timestamp))
        if (record?.name !== 'sluice.TestAttempt') continue
        const { id, final } = record.value
        if (!final) intents.set(id, record.value)
        else {
          intents.delete(id)
          this.#finish(open.get(id))
          open.delete(id)
        }
      }
      this.#watermark.skipTo(nextOffset)
    }
    for (const [id, waiting] of open) {
      const attempt = intents.get(id)
      if (attempt === undefined) this.#send(waiting)
      else this.#run(waiting, () => this.#append(afterDeath(attempt)))
    }
  }

  async #follow(from: number): Promise<void> {
    const { log } = this.#deps
    const { target } = this.#worker
    for await (const { records, nextOffset } of log.read(target, { signal: this.#ends.drain, from })) {
      for (const { offset, timestamp, record } of await this.#decoded(records))
        if (record?.name === 'sluice.TestRequest') this.#send(this.#begun(record.value, offset, timestamp))
      this.#watermark.skipTo(nextOffset)
    }
  }

  #decoded(records: Parameters<typeof decodeShared>[1]['records']): Promise<readonly Placed[]> {
    return decodeShared(this.#deps.io, { target: this.#worker.target, records }, this.#ends.drain)
  }

  #begun(request: TestRequest, offset: number, timestamp: number): Waiting {
    this.#watermark.start(offset)
    return { request, offset, until: timestamp + request.withinMs }
  }

  #finish(waiting: Waiting | undefined): void {
    if (waiting !== undefined) this.#watermark.finish(waiting.offset)
  }

  #send(waiting: Waiting): void {
    const { request, until } = waiting
    this.#run(waiting, async () => {
      using _slot = await this.#slots.take({ signal: this.#ends.drain })
      // By then the person has read that no process took the test up.
      if (Date.now() >= until) return
      const { worker, marker } = { worker: this.#worker, marker: this.#marker }
      await this.#append(aboutToSend(request))
      await this.#append(await sendTest(request, { ...this.#deps, worker, marker, until }))
    })
  }

  #run(waiting: Waiting, work: () => Promise<void>): void {
    const done = work()
      .then(async () => {
        this.#finish(waiting)
        const { target, membership } = this.#worker
        await membership.commit(target, this.#watermark.position, { signal: this.#worker.abort })
      })
      .catch((error: unknown) => {
        if (!this.#ends.drain.aborted) this.#failed.abort(error)
      })
      .finally(() => this.#underWay.delete(done))
    this.#underWay.add(done)
  }

  async #append(attempt: TestAttempt): Promise<void> {
    const { log, io } = this.#deps
    const { target, abort: signal } = this.#worker
    const record = { key: textKey(attempt.sync), value: io.encode('TestAttempt', attempt) }
    await log.append(target, [io.signed(target.topic, record)], { signal })
  }
}

/** Returns the end of a test whose process died while it was about to send it. */
function afterDeath(attempt: TestAttempt): TestAttempt {
  const error = 'the process that was to send it has ended: it may have been sent, or not'
  return { ...attempt, final: true, outcome: 'unknown', error }
}
