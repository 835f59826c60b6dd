/**
 * The delivery of one partition of batches, whose changes are there as well, with an API that follows a
 * script. For tests of what becomes of single rows: a few lives of delivery on one log.
 */
import type { Attempt, RequestRow, Retried, RetryEntry, RunBegin, RunEvent } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import type { Op, OpCounts } from '@sluice/contracts/state'
import type { Column } from '@sluice/contracts/values'
import { isIntent } from '@sluice/domain/answers/intent'
import { namingColumns } from '@sluice/domain/answers/row-results'
import { countsOf } from '@sluice/domain/counts'
import { abortable } from '@sluice/flow/abortable'
import { Notifier } from '@sluice/flow/notifier'
import type { OutgoingRequest, SendResult } from '@sluice/http-sender/port'
import { plainMarker, takeOver } from '@sluice/partition/take-over'
import { compileTriggers } from '@sluice/templates/rendering/render-changes'
import { renderBatch, type Rendered } from '@sluice/templates/rendering/render-batch'
import { ONE_ROW, RowBatches } from '@sluice/templates/rendering/row-batches'
import {
  INCARNATION,
  sampleDefinition,
  sampleEvent,
  sampleRequest,
  SYNC,
  type DefinitionFields,
} from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { writeChanges } from '@sluice/testkit/write-changes'
import { at, keyText, markerKey, syncTopics, textKey } from '@sluice/topics/topics'
import { resolveTarget } from '../src/destination/target.ts'
import type { DeliverDeps } from '../src/run/open-run.ts'
import { attemptsOf, depsOf, finishLife, startLife, tellOfRun, type Life } from './live-delivery.ts'

const never = new AbortController().signal
const topics = syncTopics(PREFIX, SYNC)
const COLUMNS: readonly Column[] = [
  { name: 'id', type: { kind: 'text' } },
  { name: 'mail', type: { kind: 'text' } },
]

/** The API does this with one request. `silent`: nothing, for ever. */
export type Reply =
  | { readonly status: number; readonly body?: unknown; readonly retryAfter?: number }
  | 'time-out'
  | 'refused'
  | 'silent'

/** Answers a request with rows of these keys; `nth` counts the requests with exactly these. */
export type Api = (keys: readonly string[], nth: number) => Reply

export interface SentBatch {
  readonly keys: readonly string[]
  readonly body: string
  readonly idempotencyKey: string | undefined
}

export interface BatchFields {
  readonly errors?: object
  readonly sync?: DefinitionFields['sync']
  readonly destination?: DefinitionFields['destination']
  readonly op?: Op
  readonly size?: number
  readonly trigger?: object
  readonly retried?: (key: string) => Retried | null
}

/** Templates of these tests print this: the ids in brackets, and how many they are. */
const JSON_BODY =
  '{"n": {{ rows.size }}, "rows": [{% for row in rows %}"{{ row.id }}"{% unless forloop.last %},{% endunless %}{% endfor %}]}'

export class BatchDelivery implements AsyncDisposable {
  readonly world: TestLog
  readonly sent: SentBatch[] = []
  api: Api = () => ({ status: 200 })
  readonly #changes = new Notifier()
  readonly #nth = new Map<string, number>()
  #run: RunEvent = sampleEvent()
  #definition: Definition = sampleDefinition()

  private constructor(world: TestLog) {
    this.world = world
  }

  static async open(): Promise<BatchDelivery> {
    return new BatchDelivery(await openTestLog({ partitions: 1 }))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.world[Symbol.asyncDispose]())
  }

  /** Writes a run of these rows, with their changes and the requests that they make. */
  async begin(keys: readonly string[], of: BatchFields = {}): Promise<void> {
    const { world } = this
    const { errors = {}, sync = {}, op = 'added', size = 100, destination = {}, retried = () => null } = of
    const trigger = {
      method: 'POST',
      path: '/rows',
      batch: { size },
      body: { json: JSON_BODY },
      ...of.trigger,
    }
    const isNow = 'retry' in errors && errors.retry === 'now'
    const backoff = isNow ? { backoff: { first: '1ms', max: '2ms' } } : {}
    this.#definition = sampleDefinition({
      destination,
      sync: { errors: { ...backoff, ...errors }, triggers: { [op]: trigger }, ...sync },
    })
    const hash = await world.definitions.put(this.#definition, { signal: never })
    this.#run = sampleEvent({ definition: hash })
    await this.tell({})
    const { runId } = this.#run
    const begin: RunBegin = { run: 1, runId, definition: hash, startedAt: Date.now(), first: true }
    const rows = keys.map(key => {
      const row = { id: key, mail: `${key}@x` }
      const before = op === 'added' ? null : row
      const change = {
        op,
        before,
        beforeState: op === 'added' ? ('absent' as const) : ('present' as const),
        after: op === 'removed' ? null : row,
        retried: retried(key),
      }
      return { key, row, change }
    })
    await writeChanges(world, { begin, columns: COLUMNS, rows })
    await this.#render(begin, op, rows)
  }

  async #render(
    begin: RunBegin,
    op: Op,
    rows: readonly { readonly key: string; readonly change: object }[],
  ): Promise<void> {
    const { log, io, prefix } = this.world
    const changes = (await this.world.read(at(topics.changes, 0))).flatMap(({ offset, record }) =>
      record?.name === 'sluice.Change' ? [{ offset, bytes: 100, change: record.value }] : [],
    )
    if (changes.length !== rows.length) throw new Error('changes are missing')
    const trigger = compileTriggers(begin.definition, this.#definition).get(op)
    if (trigger === undefined) throw new Error('there is no trigger')
    const batches = new RowBatches(() => trigger.batch ?? ONE_ROW)
    const all = [...changes.flatMap(change => batches.add(op, change)), ...batches.flush()]
    const context = {
      run: { id: begin.runId, startedAt: new Date(begin.startedAt).toISOString() },
      sync: { name: SYNC },
      naming: namingColumns(this.#definition.sync),
    }
    const target = at(topics.requests, 0)
    const of = { log, io, prefix, sync: SYNC, incarnation: INCARNATION, partition: 0, signal: never }
    await using ownership = await takeOver({ ...of, stage: 'requests', targets: [target] })
    const owner = ownership.markerOffset(target)
    const marker = (kind: 'run-begin' | 'run-end', count: number | null) => ({
      key: markerKey(kind, '0'),
      value: io.encode('Marker', { ...plainMarker(kind, INCARNATION, owner), begin, count, position: 0 }),
    })
    const { baseOffset } = await ownership.append(target, [marker('run-begin', null)], { signal: never })
    let seq = 0
    for (const batch of all) {
      for (const rendered of renderBatch(batch, trigger, context)) {
        const place = { run: 1, begin: baseOffset, seq, trigger: op, owner }
        const record = requestOf(rendered, { ...place, changesStart: batch.start, changesEnd: batch.end })
        await ownership.append(
          target,
          [{ key: textKey(`1/0/${seq}`), value: io.encode('Request', record) }],
          {
            signal: never,
          },
        )
        seq += 1
      }
    }
    await ownership.append(target, [marker('run-end', seq)], { signal: never })
  }

  /** Drops all changes, as their topic may after a week. */
  async forgetChanges(): Promise<void> {
    const target = at(topics.changes, 0)
    const { end } = await this.world.log.offsets(target, { signal: never })
    await this.world.log.trim(target, end, { signal: never })
  }

  /** Writes an event of the run, as its detector does. */
  async tell(fields: Partial<RunEvent>): Promise<void> {
    await tellOfRun(this.world, { ...this.#run, ...fields })
  }

  live(over: Partial<DeliverDeps> = {}): Life {
    const scripted = depsOf(this.world, {
      sender: { send: request => this.#send(request), [Symbol.asyncDispose]: () => Promise.resolve() },
      resolveTarget: () => Promise.resolve(resolveTarget(this.#definition, () => '')),
    })
    return startLife({ ...scripted, ...over }, this.#run)
  }

  async #send({ body, headers, signal }: OutgoingRequest): Promise<SendResult> {
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(body ?? undefined)
    const keys = keysIn(text)
    const nth = this.#nth.get(keys.join()) ?? 0
    this.#nth.set(keys.join(), nth + 1)
    this.sent.push({ keys, body: text, idempotencyKey: headers['idempotency-key'] })
    this.#changes.notify()
    const reply = this.api(keys, nth)
    const took = { startedAt: Date.now(), durationMs: 0 }
    if (reply === 'silent') return abortable(new Promise(() => undefined), { signal })
    if (reply === 'time-out') return { kind: 'failed', reason: 'timeout', error: reply, ...took }
    if (reply === 'refused') return { kind: 'failed', reason: 'not-sent', error: reply, ...took }
    const { status, body: said = '', retryAfter } = reply
    const answer = retryAfter === undefined ? {} : { 'retry-after': `${retryAfter}` }
    const all = typeof said === 'string' ? said : JSON.stringify(said)
    const cut = all.length > 1024 * 1024
    return { kind: 'answered', status, headers: answer, body: all.slice(0, 1024 * 1024), cut, ...took }
  }

  /** The requests that were sent: the keys of each, as text. */
  get batches(): readonly string[] {
    return this.sent.map(({ keys }) => keys.join(''))
  }

  async untilSent(count: number): Promise<void> {
    for (;;) {
      const seen = this.#changes.version
      if (this.sent.length >= count) return
      await this.#changes.after(seen, { signal: never })
    }
  }

  /** A life that delivers what is left, to the report of the run. */
  async finish(over: Partial<DeliverDeps> = {}): Promise<void> {
    await finishLife(this.world, this.live(over))
  }

  attempts(): Promise<readonly Attempt[]> {
    return attemptsOf(this.world)
  }

  /** Resolves once an attempt is written that is like that, and is no mere intent. */
  async untilAttempts(isWanted: (attempt: Attempt) => boolean): Promise<void> {
    await this.world.readUntil(at(topics.attempts, 0), found =>
      found.some(
        ({ record }) =>
          record?.name === 'sluice.Attempt' && !isIntent(record.value) && isWanted(record.value),
      ),
    )
  }

  /** The entries that are left, by key. */
  async entries(): Promise<ReadonlyMap<string, RetryEntry>> {
    const found = await this.world.read(at(topics.retry, 0))
    const left = new Map<string, RetryEntry>()
    for (const { key, record } of found) {
      const text = keyText(key)
      if (record?.name === 'sluice.RetryEntry') left.set(text, record.value)
      else if (record === null) left.delete(text)
    }
    return left
  }

  /** The outcomes of rows that did not arrive, such as `b:rejected`. */
  async outcomes(): Promise<string> {
    return [...(await this.entries())].map(([key, { outcome }]) => `${key}:${outcome}`).join(' ')
  }

  /** Values that are kept, by key. */
  async captured(): Promise<{ readonly [key: string]: string }> {
    const found = await this.world.read(at(topics.captured, 0))
    return Object.fromEntries(
      found.flatMap(({ key, record }) =>
        record?.name === 'sluice.Captured' ? [[keyText(key), record.value.values]] : [],
      ),
    )
  }

  /** As the partition has reported them. */
  counts(op: Op = 'added'): OpCounts {
    return countsOf(this.world.runs.of(SYNC)?.reports.get(0)?.counts ?? {}, op)
  }
}

function keysIn(text: string): readonly string[] {
  const body: { readonly rows?: readonly string[] } = text === '' ? {} : JSON.parse(text)
  return body.rows ?? []
}

function requestOf(
  rendered: Rendered,
  place: {
    readonly run: number
    readonly begin: number
    readonly seq: number
    readonly trigger: Op
    readonly owner: number
    readonly changesStart: number
    readonly changesEnd: number
  },
) {
  if (rendered.kind === 'unrenderable') throw new Error(rendered.error)
  const { method, path, headers, body } = rendered
  const rows: readonly RequestRow[] = rendered.rows
  return sampleRequest({ ...place, method, path, headers, body, rows })
}
