/**
 * The delivery of one partition with an API that follows a script: a few lives of it on one log. For tests of
 * what is tried again.
 */
import { vi } from 'vitest'
import type { Attempt, Request, RequestRow, RetryEntry, RunBegin, RunEvent } from '@sluice/contracts/records'
import type { OpCounts } from '@sluice/contracts/state'
import { countsOf } from '@sluice/domain/counts'
import { abortable } from '@sluice/flow/abortable'
import { Notifier } from '@sluice/flow/notifier'
import type { OutgoingRequest, SendResult } from '@sluice/http-sender/port'
import type { Entry } from '@sluice/partition/deaths/entry'
import { at, syncTopics } from '@sluice/topics/topics'
import { sampleDefinition, sampleEvent, SYNC, type DefinitionFields } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { writeRequests } from '@sluice/testkit/write-requests'
import { resolveTarget } from '../src/destination/target.ts'
import type { DeliverDeps } from '../src/run/open-run.ts'
import { attemptsOf, depsOf, finishLife, startLife, tellOfRun, type Life } from './live-delivery.ts'

const never = new AbortController().signal
export const topics = syncTopics(PREFIX, SYNC)

/** The API's answer to one attempt. */
export type Fate =
  | { readonly status: number; readonly retryAfter?: number; readonly body?: string }
  | 'time-out'
  | 'broken'
  | 'refused'
  | 'impossible'
  | 'silent'

/** The fates of the attempts of a request, by its key. The last one holds for all further attempts. */
export type Script = (key: string, nth: number) => Fate

export const OK: Fate = { status: 200 }
export const always =
  (...fates: readonly Fate[]): Script =>
  (_, nth) =>
    fates[nth] ?? fates.at(-1) ?? OK

const REASONS = {
  'time-out': 'timeout',
  broken: 'broken',
  refused: 'not-sent',
  impossible: 'invalid',
} as const

function resultOf(fate: Exclude<Fate, 'silent'>): SendResult {
  const took = { startedAt: Date.now(), durationMs: 0 }
  if (typeof fate === 'string') return { kind: 'failed', reason: REASONS[fate], error: fate, ...took }
  const { status, retryAfter, body = '' } = fate
  const headers = retryAfter === undefined ? {} : { 'retry-after': `${retryAfter}` }
  return { kind: 'answered', status, headers, body, ...took }
}

interface SentTry {
  readonly key: string
  readonly idempotencyKey: string | undefined
  readonly atMs: number
}

/** The API, and what it was sent. */
class ScriptedSender {
  readonly tries: SentTry[] = []
  readonly #changes = new Notifier()
  readonly #nth = new Map<string, number>()
  script: Script = always(OK)

  async send({ url, headers, signal }: OutgoingRequest): Promise<SendResult> {
    const key = url.split('/').at(-1) ?? ''
    const nth = this.#nth.get(key) ?? 0
    this.#nth.set(key, nth + 1)
    this.tries.push({ key, idempotencyKey: headers['idempotency-key'], atMs: Date.now() })
    this.#changes.notify()
    const fate = this.script(key, nth)
    if (fate !== 'silent') return resultOf(fate)
    return abortable(new Promise(() => undefined), { signal })
  }

  get keys(): readonly string[] {
    return this.tries.map(({ key }) => key)
  }

  async until(count: number): Promise<void> {
    for (;;) {
      const seen = this.#changes.version
      if (this.tries.length >= count) return
      await this.#changes.after(seen, { signal: never })
    }
  }
}

export class ScriptedDelivery implements AsyncDisposable {
  readonly world: TestLog
  readonly api = new ScriptedSender()
  #run: RunEvent = sampleEvent()
  #definition = sampleDefinition()

  private constructor(world: TestLog) {
    this.world = world
  }

  static async open(partitions = 1): Promise<ScriptedDelivery> {
    return new ScriptedDelivery(await openTestLog({ partitions }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    vi.restoreAllMocks()
    await this.world[Symbol.asyncDispose]()
  }

  /** Writes a run with a request for each row, of a sync with `retry: now` and short pauses. */
  async begin(
    rows: readonly string[],
    of: {
      readonly errors?: object
      readonly sync?: DefinitionFields['sync']
      readonly destination?: DefinitionFields['destination']
      readonly row?: Partial<RequestRow>
      readonly fields?: (key: string) => Partial<Request>
      readonly bodyBytes?: number
      readonly begin?: Partial<RunBegin>
      readonly slicesAt?: (requests: number) => number
      /** False if the run goes on. */
      readonly ends?: boolean
      /** The keys of the other partitions, from 1 on. */
      readonly others?: readonly (readonly string[])[]
    } = {},
  ): Promise<void> {
    const { world } = this
    const errors = { retry: 'now', backoff: { first: '1ms', max: '2ms' }, ...of.errors }
    // Most scripts fail for longer than a destination may by default.
    const destination = { breaker: false, ...of.destination }
    this.#definition = sampleDefinition({ destination, sync: { errors, ...of.sync } })
    const hash = await world.definitions.put(this.#definition, { signal: never })
    this.#run = sampleEvent({ definition: hash })
    await this.tell({})
    const { runId } = this.#run
    const begin = { run: 1, runId, definition: hash, startedAt: Date.now(), first: true, ...of.begin }
    const { row = {}, bodyBytes = 2, fields = () => ({}), others = [], slicesAt = () => 0, ends = true } = of
    const trigger = row.op ?? 'added'
    const written = { begin, row, bodyBytes, trigger, fields, slicesAt, ends, perAppend: 100 }
    for (const [partition, keys] of [rows, ...others].entries())
      await writeRequests(world, { ...written, keys, partition })
  }

  /** Writes an event of the run, as its detector does. */
  async tell(fields: Partial<RunEvent>): Promise<void> {
    await tellOfRun(this.world, { ...this.#run, ...fields })
  }

  live(over: Partial<DeliverDeps> = {}, entry?: Entry, partition = 0): Life {
    const scripted = depsOf(this.world, {
      sender: { send: request => this.api.send(request), [Symbol.asyncDispose]: () => Promise.resolve() },
      resolveTarget: () => Promise.resolve(resolveTarget(this.#definition, () => '')),
    })
    return startLife({ ...scripted, ...over }, this.#run, entry, partition)
  }

  /** A life that delivers what is left, to the report of the run. */
  async finish(over: Partial<DeliverDeps> = {}): Promise<void> {
    await finishLife(this.world, this.live(over))
  }

  attempts(): Promise<readonly Attempt[]> {
    return attemptsOf(this.world)
  }

  async untilAttempts(count: number): Promise<void> {
    await this.world.readUntil(
      at(topics.attempts, 0),
      found => found.filter(({ record }) => record?.name === 'sluice.Attempt').length >= count,
    )
  }

  async entries(): Promise<readonly RetryEntry[]> {
    const found = await this.world.read(at(topics.retry, 0))
    return found.flatMap(({ record }) => (record?.name === 'sluice.RetryEntry' ? [record.value] : []))
  }

  /** As the partition has reported them. */
  get counts(): OpCounts {
    return countsOf(this.world.runs.of(SYNC)?.reports.get(0)?.counts ?? {}, 'added')
  }
}

/** So many keys: k0, k1 and so on. */
export function keysOf(count: number): readonly string[] {
  return Array.from({ length: count }, (_, n) => `k${n}`)
}
