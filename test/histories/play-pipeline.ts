/**
 * Plays a planned history on the pipeline itself, all services in one process that is killed where the plan
 * says, and holds the API against the model's rows.
 */
import { isDeepStrictEqual } from 'node:util'
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command, RunEvent } from '@sluice/contracts/records'
import { OPS, type Op } from '@sluice/contracts/state'
import { countsOf, finishedRows } from '@sluice/domain/counts'
import type { HttpSender, SendResult } from '@sluice/http-sender/port'
import type { MessageLog } from '@sluice/message-log/port'
import { at, sharedTopics, syncTopics } from '@sluice/stage/topics'
import { SYNC } from '@sluice/testkit/sample-records'
import type { TestLogAdapters } from '@sluice/testkit/test-log'
import { outage, watchedLog } from '@sluice/testkit/watched-log'
import { OneProcess, type Services } from '../e2e/one-process.ts'
import { makeApi, type Api, type ApiAnswer, type SentRow } from './apis.ts'
import { excusedKeys, type PlayedRun } from './excuses.ts'
import { NOTHING_BREAKS, type PipelineCommand, type PipelinePlan, type PipelineRun } from './pipeline-plan.ts'
import { editModel, fatesOf, KEYS, RUNS_TO_CONVERGE, type Fate, type Row } from './plan.ts'
import { BrokenPromise } from './play.ts'

const ROWS = "read_csv('rows.csv', header = true, columns = { id: 'VARCHAR', v: 'INTEGER', w: 'INTEGER' })"
const SQL = `select id, v, w from ${ROWS}`
const SQL_WITH_EXTRA = `select id, v, w, 7 as x from ${ROWS}`
const PRINTED = { columns: '{"v":{{ row.v }},"w":{{ row.w }}}', row: '{{ row | json }}' }
/** What an API says that tells what is there and what is not. */
const ANSWERS: NonNullable<OneProcess['definition']['sync']['errors']>['answers'] = [
  { status: 409, as: 'exists' },
  { status: 404, as: 'missing' },
]
/**
 * A run of a few rows appends to `changes` about so often, and to `runs`, as does a reset there and to
 * `resources`.
 */
const APPENDS = { changes: 6, runs: 7 }
const SCOPE = { as: null, key: null, status: null }
const COMMANDS: { readonly [kind in PipelineCommand]: Partial<Command> } = {
  run: {},
  resync: { cause: 'resync', scope: { ...SCOPE, as: 'added' } },
  'resync-changed': { cause: 'resync', scope: { ...SCOPE, as: 'changed' } },
  discard: { cause: 'discard', scope: SCOPE },
  reset: { kind: 'reset', cause: 'reset' },
}

/** A process dies here, never the machine: nothing needs to reach a disk. */
const IN_MEMORY = existsSync('/dev/shm') ? '/dev/shm' : undefined

/** Where the process dies: at this append to a topic, or at this request. */
interface KillPoint {
  readonly at: 'changes' | 'attempts' | 'retry' | 'request' | 'runs'
  left: number
}

/** Throws a `BrokenPromise`; closes what `adapters` are. */
export async function playPipeline(plan: PipelinePlan, adapters?: TestLogAdapters): Promise<number> {
  const history = new PipelineHistory(plan)
  await history.open(adapters)
  try {
    return await history.play()
  } finally {
    await history.close()
  }
}

class PipelineHistory {
  readonly #plan: PipelinePlan
  readonly #api: Api
  readonly #model = new Map<string, Row>()
  #world: OneProcess | null = null
  #life: Services | null = null
  #nextFate = fatesOf(NOTHING_BREAKS)
  #kill: KillPoint | null = null
  #killed = Promise.withResolvers<void>()
  /** After so many requests the run is cancelled; null: it is not, or has been. */
  #requestsToCancel: number | null = null
  #commandId = ''
  #requests = 0
  /** By number, in this incarnation. */
  readonly #runs = new Map<number, PlayedRun>()
  /** The last run in which the API took a request with the key, in this incarnation. */
  readonly #applied = new Map<string, number>()
  /** Keys that the API had when a reset forgot them, and that it was not told of since. */
  readonly #orphans = new Set<string>()

  constructor(plan: PipelinePlan) {
    this.#plan = plan
    this.#api = makeApi(plan.api)
  }

  async open(adapters: TestLogAdapters | undefined): Promise<void> {
    const sender: HttpSender = { send: request => this.#send(request), [Symbol.asyncDispose]: async () => {} }
    const parts = { sql: SQL, sender, adapters, under: IN_MEMORY }
    this.#world = await OneProcess.open({ partitions: this.#plan.partitions }, parts)
    this.#start()
  }

  async close(): Promise<void> {
    await this.#world?.[Symbol.asyncDispose]()
  }

  async play(): Promise<number> {
    for (const run of this.#plan.runs) {
      editModel(this.#model, run)
      await this.#playRun(run)
    }
    await this.#converge()
    return this.#requests
  }

  /**
   * Runs without failures, until one has nothing to send; all but the first have to make their state anew of
   * the topics. Each sends what is needed, so many may, and then the destination has the model's rows.
   */
  async #converge(): Promise<void> {
    const most = RUNS_TO_CONVERGE[this.#plan.api]
    await this.#playRun(NOTHING_BREAKS)
    for (let runs = 1; ; runs += 1) {
      if (runs === most) await this.#assertConverged(`after ${most} runs without failures`)
      const before = this.#requests
      await this.#playRun({ ...NOTHING_BREAKS, losesCache: true })
      if (this.#requests === before) break
      if (runs === most) this.#broken('a run with nothing to say sent a request')
    }
    await this.#assertConverged('after runs without failures, the last of which sent nothing,')
  }

  async #assertConverged(when: string): Promise<void> {
    const difference = this.#difference(await this.#excused())
    if (difference !== null) this.#broken(`${when} ${difference}`)
  }

  get #opened(): OneProcess {
    if (this.#world === null) throw new Error('the history has not begun')
    return this.#world
  }

  #broken(what: string): never {
    const events = this.#opened
      .events()
      .map(({ run, cause, status, error }) => `${String(run)} ${cause} ${status} ${error ?? ''}`)
    throw new BrokenPromise(`${what} (seed ${this.#plan.seed}; runs: ${events.join('; ')})`)
  }

  #start(): void {
    this.#life = this.#opened.start({}, this.#watched(this.#opened.log.log))
  }

  /** A log whose appends are where the process dies: nobody hears of the one that it dies at. */
  #watched(log: MessageLog): MessageLog {
    const { prefix } = this.#opened.log
    const { changes, attempts, retry } = syncTopics(prefix, SYNC)
    const { runs, resources } = sharedTopics(prefix)
    const names = new Map([
      [changes, 'changes'],
      [attempts, 'attempts'],
      [retry, 'retry'],
      [runs, 'runs'],
      [resources, 'runs'],
    ])
    return watchedLog(log, async ({ topic }) => {
      if (this.#dies(names.get(topic) ?? null)) throw outage()
    })
  }

  /** Counts down to the death; true from then on. */
  #dies(at: string | null): boolean {
    const kill = this.#kill
    if (kill === null || kill.at !== at) return kill?.left === 0
    if (kill.left > 0) kill.left -= 1
    if (kill.left > 0) return false
    void this.#life?.kill()
    this.#killed.resolve()
    return true
  }

  async #playRun(run: PipelineRun): Promise<void> {
    const world = this.#opened
    const rows = [...this.#model].flatMap(([id, { v, w }]) => {
      const line = `${id},${v},${w}`
      return run.invalid.includes(id) ? [line, line] : [line]
    })
    await writeFile(join(world.log.folder, 'rows.csv'), ['id,v,w', ...rows, ''].join('\n'))
    if (run.losesCache) await rm(join(world.log.folder, 'state', `${SYNC}.duckdb`), { force: true })
    this.#define(run)
    this.#nextFate = fatesOf(run)
    const killPoints = killPointsOf(run)
    this.#requestsToCancel = run.cancelled === null ? null : Math.floor(run.cancelled * KEYS.length)
    this.#arm(killPoints.shift())
    const id = await world.command(COMMANDS[run.command])
    this.#commandId = id
    if (this.#requestsToCancel === 0) await this.#cancel()
    const ended = async (): Promise<void> => {
      await world.ended(id)
      await world.allEnded()
    }
    while (await this.#diesBefore(ended())) {
      this.#arm(killPoints.shift())
      this.#start()
    }
    if (run.command === 'reset') this.#forget(id)
    this.#takeNotice(run)
  }

  #arm(kill: KillPoint | undefined): void {
    this.#killed = Promise.withResolvers<void>()
    this.#kill = kill ?? null
  }

  /** True if the process died first; nothing of it is left then. */
  async #diesBefore(ended: Promise<void>): Promise<boolean> {
    await Promise.race([ended, this.#killed.promise])
    const died = this.#kill?.left === 0
    if (died) await this.#life?.kill()
    this.#kill = null
    return died
  }

  async #cancel(): Promise<void> {
    this.#requestsToCancel = null
    await this.#opened.command({ kind: 'cancel', run: this.#commandId })
  }

  /** What the next run is pinned to. */
  #define(run: PipelineRun): void {
    const { api, skipExisting, giveUpAfter } = this.#plan
    const { compare } = run
    // What failed too often is passed over for as long as somebody wants it to be.
    const givesUp = giveUpAfter !== null && run !== NOTHING_BREAKS ? { giveUpAfter } : {}
    const answers = api === 'upserts' ? {} : { answers: ANSWERS }
    const { definition } = this.#opened
    const { compare: _compare, ...sync } = definition.sync
    this.#opened.definition = {
      ...definition,
      model: { ...definition.model, sql: run.extraColumn ? SQL_WITH_EXTRA : SQL },
      sync: {
        ...sync,
        firstRun: skipExisting ? 'skip-existing' : 'backfill',
        triggers: this.#triggers(run),
        errors: { retry: 'next-run', ...answers, ...givesUp },
        ...(compare === null ? {} : { compare }),
      },
    }
  }

  #triggers({ triggers, prints }: PipelineRun): OneProcess['definition']['sync']['triggers'] {
    const { api, batchSize } = this.#plan
    const row = `"key":{{ row.id | json }},"row":${PRINTED[prints]}`
    const rows = `[{% for row in rows %}{${row}},{% endfor %}]`
    const batch = batchSize === 1 ? {} : { batch: { size: batchSize } }
    const spec = (op: Op): object => {
      if (api !== 'makes-ids') return { body: { json: rows }, ...batch }
      return op === 'added'
        ? { body: { json: rows }, capture: { thing: '$.id' } }
        : { body: { json: `[{${row},"id":{{ captured.thing | json }}}]` } }
    }
    return Object.fromEntries(triggers.map(op => [op, { method: 'POST', path: `/${op}`, ...spec(op) }]))
  }

  /** After a reset nothing is known of what the destination has. */
  #forget(reset: string): void {
    const event = this.#opened.events().find(({ runId }) => runId === reset)
    if (event?.status !== 'success') this.#broken(`the reset was not carried out: ${event?.error ?? ''}`)
    this.#runs.clear()
    this.#applied.clear()
    for (const { key } of this.#api.objects()) this.#orphans.add(key)
  }

  /** Holds the runs that have ended since against what they were to do. */
  #takeNotice(plan: PipelineRun): void {
    for (const event of this.#opened.events()) {
      if (event.run === null || this.#runs.has(event.run)) continue
      const baseline = this.#plan.skipExisting && event.first && event.cause === 'manual'
      this.#runs.set(event.run, { plan, rows: new Map(this.#model), baseline })
      this.#assertCounts(event)
    }
  }

  /** Every row that was detected has come to something (R14). */
  #assertCounts({ run, counts }: RunEvent): void {
    for (const op of OPS) {
      const { detected } = countsOf(counts, op)
      const finished = finishedRows({ [op]: countsOf(counts, op) })
      if (detected !== finished)
        this.#broken(`run ${String(run)}: ${detected} rows were ${op}, and ${finished} of them accounted for`)
    }
  }

  async #excused(): Promise<ReadonlySet<string>> {
    const { read, prefix } = this.#opened.log
    const topic = syncTopics(prefix, SYNC).changes
    const incarnation = this.#opened.events().at(-1)?.incarnation
    const placed = await Promise.all(
      Array.from({ length: this.#plan.partitions }, (_, partition) => read(at(topic, partition))),
    )
    const changes = placed.flat().flatMap(({ record }) => {
      const isOwn = record?.name === 'sluice.Change' && record.value.incarnation === incarnation
      return isOwn ? [record.value] : []
    })
    return excusedKeys({
      changes,
      runs: this.#runs,
      applied: this.#applied,
      model: this.#model,
      onBroken: what => this.#broken(what),
    })
  }

  async #send({ url, body }: Parameters<HttpSender['send']>[0]): Promise<SendResult> {
    const rows = sentRows(url, body)
    const key = rows[0]?.key ?? ''
    const fate = this.#nextFate(key)
    const took = { startedAt: 1, durationMs: 1 }
    if (fate.kind === 'not-sent') return { kind: 'failed', reason: 'not-sent', error: 'refused', ...took }
    this.#requests += 1
    if (this.#requestsToCancel !== null) {
      this.#requestsToCancel -= 1
      if (this.#requestsToCancel === 0) await this.#cancel()
    }
    const answer = this.#answer(fate, rows)
    if (this.#dies('request') || answer === null)
      return { kind: 'failed', reason: 'timeout', error: 'cut', ...took }
    const told = answer.id === null ? '' : JSON.stringify({ id: answer.id })
    return { kind: 'answered', status: answer.status, headers: { 'retry-after': '0' }, body: told, ...took }
  }

  #answer(fate: Fate, rows: readonly SentRow[]): ApiAnswer | null {
    switch (fate.kind) {
      case 'answered':
        return this.#take(rows)
      case 'broken':
        if (fate.applied) this.#take(rows)
        return fate.status === null ? null : { status: fate.status, id: null }
      case 'throttled':
        return { status: 429, id: null }
      default:
        return { status: 400, id: null }
    }
  }

  #take(rows: readonly SentRow[]): ApiAnswer {
    const answer = this.#api.take(rows)
    if (answer.status !== 200) return answer
    const run = this.#opened.events().find(({ status }) => status === 'running')?.run ?? 0
    for (const { key } of rows) {
      this.#applied.set(key, run)
      this.#orphans.delete(key)
    }
    return answer
  }

  #difference(excused: ReadonlySet<string>): string | null {
    const objects = this.#api.objects()
    for (const key of KEYS) {
      const row = this.#model.get(key)
      if (excused.has(key) || (row === undefined && this.#orphans.has(key))) continue
      const there = objects.filter(object => object.key === key).map(object => JSON.stringify(object.row))
      // An API that makes ids keeps objects whose id was never told, or lost; nobody can name them.
      const isRight =
        this.#plan.api === 'makes-ids'
          ? row === undefined || there.includes(JSON.stringify(row))
          : isDeepStrictEqual(there, row === undefined ? [] : [JSON.stringify(row)])
      if (!isRight) return `${key} is ${there.join(' and ')}, not ${JSON.stringify(row)}`
    }
    return null
  }
}

function killPointsOf(run: PipelineRun): KillPoint[] {
  const first = killPointOf(run)
  if (first === null) return []
  const { successorDies: dies, detectorDiesAt } = run
  const second = {
    ...run,
    detectorDies: dies,
    detectorDiesAt: detectorDiesAt === 'runs' ? 'changes' : 'runs',
  } as const
  return dies === null ? [first] : [first, killPointOf(second) ?? first]
}

function killPointOf({ command, detectorDies, detectorDiesAt, deliveryDies }: PipelineRun): KillPoint | null {
  if (detectorDies !== null) {
    const at = command === 'reset' ? 'runs' : detectorDiesAt
    return { at, left: 1 + Math.floor(detectorDies * APPENDS[at]) }
  }
  const death = deliveryDies.find(each => each !== null)
  if (death === undefined || death === null) return null
  const left = 1 + death.others
  switch (death.step) {
    case 'before-attempt':
      return { at: 'request', left }
    case 'before-entries':
      return { at: 'retry', left }
    case 'after-entries':
      return { at: 'attempts', left: left + 1 }
    default:
      return death.step satisfies never
  }
}

function sentRows(url: string, body: Uint8Array | null): readonly SentRow[] {
  const op = url.split('/').at(-1)
  if (op !== 'added' && op !== 'changed' && op !== 'removed') throw new Error(`nothing is sent to ${url}`)
  const rows: readonly { readonly key: string; readonly row: Row; readonly id?: string }[] = JSON.parse(
    new TextDecoder().decode(body ?? undefined),
  )
  return rows.map(({ key, row: { v, w }, id = null }) => ({
    op,
    key,
    row: op === 'removed' ? null : { v, w },
    id,
  }))
}
