/**
 * Plays a planned history on the pipeline itself. All services are in one process, which is killed where the
 * plan says so. In the end, the API has to have the model's rows. All published changes and sent requests
 * have to follow the tables of PROTOCOL.md §2.
 */
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command, RunEvent } from '@sluice/contracts/records'
import { OPS } from '@sluice/contracts/state'
import { countsOf, finishedRows } from '@sluice/domain/counts'
import { abortable } from '@sluice/flow/abortable'
import type { HttpSender, SendResult } from '@sluice/http-sender/port'
import type { MessageLog } from '@sluice/message-log/port'
import { homePartition, sharedTopics, syncTopics } from '@sluice/topics/topics'
import { SYNC } from '@sluice/testkit/sample-records'
import type { TestLogAdapters } from '@sluice/testkit/test-log'
import { CutAppend, outage, watchedLog } from '@sluice/testkit/watched-log'
import { OneProcess, stateWith, type Services } from '../e2e/one-process.ts'
import { makeApi, type Api, type ApiAnswer, type SentRow } from './apis.ts'
import { differenceOfStates } from './compare-states.ts'
import { differenceOf } from './differ.ts'
import { excusedKeys } from './excuses.ts'
import { judgeChanges, type Known, type Told } from './judge-changes.ts'
import { LateArrivals } from './late-arrivals.ts'
import { judgeOnce, type Asked } from './judge-once.ts'
import { judgeRequests, type RowTold, type Send } from './judge-requests.ts'
import { judgeTwins } from './judge-twins.ts'
import { killPointsOf, type KillPoint } from './kill-points.ts'
import { definitionOf, giveUpAfterOf, ROW_OUTCOMES, rowsOf, SQL } from './pipeline-definition.ts'
import { NOTHING_BREAKS, type PipelineCommand, type PipelinePlan, type PipelineRun } from './pipeline-plan.ts'
import {
  editModel,
  fatesOf,
  folded,
  KEYS,
  rowFatesOf,
  runsToConverge,
  tellsMissing,
  type Fate,
  type Row,
} from './plan.ts'
import { BrokenPromise } from './play.ts'
import type { PlayedRun } from './played-run.ts'
import { readTopics, type Topics } from './told-topics.ts'

const never = new AbortController().signal

const SCOPE = { as: null, key: null, status: null }
const COMMANDS: { readonly [kind in PipelineCommand]: Partial<Command> } = {
  run: {},
  retry: { cause: 'retry' },
  resync: { cause: 'resync', scope: { ...SCOPE, as: 'added' } },
  'resync-changed': { cause: 'resync', scope: { ...SCOPE, as: 'changed' } },
  discard: { cause: 'discard', scope: SCOPE },
  reset: { kind: 'reset', cause: 'reset' },
}

function commandOf({ command, named }: PipelineRun): Partial<Command> {
  const asked = COMMANDS[command]
  return named === null ? asked : { ...asked, scope: { ...SCOPE, key: named } }
}

/** A process dies here, never the machine: nothing needs to reach a disk. */
const IN_MEMORY = existsSync('/dev/shm') ? '/dev/shm' : undefined

/** Throws a `BrokenPromise`. Closes the `adapters`. */
export async function playPipeline(plan: PipelinePlan, adapters?: TestLogAdapters): Promise<number> {
  const history = new PipelineHistory(plan)
  await history.open(adapters)
  try {
    return await history.play()
  } finally {
    await history.close()
  }
}

interface Answer extends ApiAnswer {
  /** Its result for each row, if it gives any. */
  readonly rows?: readonly RowTold[]
}

function textOfId(id: string | null): string {
  return id === null ? '' : JSON.stringify({ id })
}

function textOfRows(rows: readonly RowTold[]): string {
  return JSON.stringify(Object.fromEntries(ROW_OUTCOMES.map(as => [as, rows.filter(row => row.as === as)])))
}

class PipelineHistory {
  readonly #plan: PipelinePlan
  readonly #api: Api
  readonly #model = new Map<string, Row>()
  #world: OneProcess | null = null
  #life: Services | null = null
  #nextFate = fatesOf(NOTHING_BREAKS)
  #nextRowFate = rowFatesOf(NOTHING_BREAKS)
  #kill: KillPoint | null = null
  #cut = 0
  #killed = Promise.withResolvers<void>()
  /** The number of requests after which the run is cancelled. Null: it is not, or already was. */
  #requestsToCancel: number | null = null
  #commandId = ''
  #requests = 0
  /** By number, in this incarnation. */
  readonly #runs = new Map<number, PlayedRun>()
  /** The last run in which the API took a request with the key, in this incarnation. */
  readonly #applied = new Map<string, number>()
  /** Keys that the API had when a reset forgot them, and that no request has named since. */
  readonly #orphans = new Set<string>()
  /** Forms of twins that a removal may have taken away for good. */
  readonly #unguarded = new Set<string>()
  /** In this incarnation. */
  #sends: Send[] = []
  /** In this incarnation. */
  #asked: Asked[] = []
  readonly #late = new LateArrivals()
  /** Counts the processes that were started. */
  #lives = 0

  constructor(plan: PipelinePlan) {
    this.#plan = plan
    this.#api = makeApi(plan)
  }

  async open(adapters: TestLogAdapters | undefined): Promise<void> {
    const sender: HttpSender = { send: request => this.#send(request), [Symbol.asyncDispose]: async () => {} }
    const parts = { sql: SQL, sender, adapters, under: IN_MEMORY }
    this.#world = await OneProcess.open({ partitions: this.#plan.partitions }, parts)
    this.#world.lateSends = this.#late
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
   * Runs without failures, until one has nothing to send. All runs except the first have to rebuild their
   * state from the topics. A limited number of runs may send requests, and then the destination has the
   * model's rows.
   */
  async #converge(): Promise<void> {
    const most = runsToConverge(this.#plan)
    // Nothing that may have arrived is sent again until somebody says so.
    const calm = { ...NOTHING_BREAKS, command: this.#plan.atMostOnce ? 'retry' : 'run' } as const
    await this.#playRun(calm)
    for (let runs = 1; ; runs += 1) {
      if (runs === most) await this.#assertConverged(`after ${most} runs without failures`)
      const before = this.#requests
      await this.#playRun({ ...calm, losesCache: true })
      if (this.#requests === before) break
      if (runs === most) this.#broken('a run with nothing to say sent a request')
    }
    await this.#assertConverged('after runs without failures, the last of which sent nothing,')
  }

  async #assertConverged(when: string): Promise<void> {
    const topics = await this.#readTopics()
    this.#judge(topics)
    const { changes } = topics
    const [runs, applied, model, orphans] = [this.#runs, this.#applied, this.#model, this.#orphans]
    const excused = new Set([...excusedKeys({ changes, runs, applied, model }), ...this.#unguarded])
    const difference = differenceOf({ plan: this.#plan, api: this.#api, model, excused, orphans })
    if (difference !== null) this.#broken(`${when} ${difference}`)
  }

  get #incarnation(): string {
    return this.#opened.events().at(-1)?.incarnation ?? ''
  }

  #readTopics(): Promise<Topics> {
    const { partitions } = this.#plan
    return readTopics(this.#opened.log, { partitions, incarnation: this.#incarnation })
  }

  /** Judges all changes and requests of this incarnation. Returns what is known of each key. */
  #judge(topics: Topics): ReadonlyMap<string, Known> {
    const { api, splitsBatches, atMostOnce } = this.#plan
    const told: Told = { topics, runs: this.#runs, atMostOnce, onBroken: what => this.#broken(what) }
    const known = judgeChanges(told)
    const rules = { api, splitsBatches, tellsMissing: tellsMissing(this.#plan) }
    judgeRequests({ ...told, ...rules, sends: this.#sends })
    const [sends, asked] = [this.#sends, this.#asked]
    if (atMostOnce) judgeOnce({ sends, asked, onBroken: what => this.#broken(what) })
    for (const form of judgeTwins({ ...told, sends: this.#sends })) this.#unguarded.add(form)
    return known
  }

  async #assertRebuilt(): Promise<void> {
    const { log } = this.#opened
    const difference = await differenceOfStates({
      log,
      file: join(log.folder, 'state', `${SYNC}.duckdb`),
      incarnation: this.#incarnation,
      partitions: this.#plan.partitions,
      known: this.#judge(await this.#readTopics()),
    })
    if (difference !== null) this.#broken(difference)
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
    this.#lives += 1
    const { openState, log } = this.#opened
    const endingAtOnce: typeof openState = async of => {
      const state = await openState(of)
      return stateWith(state, {
        endGone: (_, end, options) => state.endGone(Number.MAX_SAFE_INTEGER, end, options),
      })
    }
    const parts = this.#plan.endsGone ? { openState: endingAtOnce } : {}
    this.#life = this.#opened.start(parts, this.#watched(log.log))
  }

  /**
   * A log at whose appends the process dies. The append at which it dies is not acknowledged, but a part of
   * it may be in the log.
   */
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
    return watchedLog(log, async ({ topic }, records) => {
      const wasAlive = this.#kill?.left !== 0
      if (!this.#dies(names.get(topic) ?? null)) return
      throw wasAlive ? new CutAppend(Math.floor(this.#cut * (records.length + 1))) : outage()
    })
  }

  /** Counts down to the death, and is true from then on. */
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
    if (run.command === 'reset' && this.#runs.size > 0) this.#judge(await this.#readTopics())
    world.definition = definitionOf(world.definition, this.#plan, run)
    this.#nextFate = fatesOf(run)
    this.#nextRowFate = rowFatesOf(run)
    const killPoints = killPointsOf(run)
    this.#requestsToCancel = run.cancelled === null ? null : Math.floor(run.cancelled * KEYS.length)
    this.#cut = run.cut
    this.#arm(killPoints.shift())
    const lives = this.#lives
    this.#asked.push({ ...run, sends: this.#sends.length })
    const id = await world.command(commandOf(run))
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
    await this.#late.runHasEnded()
    if (run.command === 'reset') this.#forget(id)
    this.#takeNotice(run, this.#lives > lives)
    if (run.rebuilds && run.command !== 'reset') await this.#assertRebuilt()
  }

  #arm(kill: KillPoint | undefined): void {
    this.#killed = Promise.withResolvers<void>()
    this.#kill = kill ?? null
  }

  /** True if the process died first. Then nothing of it is left. */
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

  /** After a reset nothing is known of what the destination has. */
  #forget(reset: string): void {
    const event = this.#opened.events().find(({ runId }) => runId === reset)
    if (event?.status !== 'success') this.#broken(`the reset was not carried out: ${event?.error ?? ''}`)
    this.#runs.clear()
    this.#sends = []
    this.#asked = []
    this.#applied.clear()
    for (const { key } of this.#api.objects()) this.#orphans.add(key)
  }

  /** Compares the runs that have ended since with what they were asked to do. */
  #takeNotice(plan: PipelineRun, died: boolean): void {
    const askedAfter = Math.max(0, ...this.#runs.keys())
    for (const event of this.#opened.events()) {
      if (event.run === null || this.#runs.has(event.run)) continue
      const isOrdinary = event.cause === 'manual' || (event.cause === 'retry' && plan.named === null)
      const baseline = this.#plan.skipExisting && event.first && isOrdinary
      const giveUpAfter = giveUpAfterOf(this.#plan, plan)
      this.#runs.set(event.run, {
        plan,
        rows: new Map(this.#model),
        baseline,
        giveUpAfter,
        died,
        askedAfter,
        event,
      })
      this.#assertCounts(event)
    }
  }

  /** Every detected row has an outcome (R14). */
  #assertCounts({ run, counts }: RunEvent): void {
    for (const op of OPS) {
      const { detected } = countsOf(counts, op)
      const finished = finishedRows({ [op]: countsOf(counts, op) })
      if (detected !== finished)
        this.#broken(`run ${String(run)}: ${detected} rows were ${op}, and ${finished} of them accounted for`)
    }
  }

  async #send(request: Parameters<HttpSender['send']>[0]): Promise<SendResult> {
    const { partition } = this.#late
    const rows = rowsOf(request)
    const fate = this.#nextFate(rows[0]?.key ?? '')
    const run = await this.#runAtWork()
    const dies = fate.kind !== 'not-sent' && this.#dies('request')
    // The API reads late what the dead process had sent.
    if (dies) this.#late.add(partition, () => this.#receive(fate, rows, run))
    const answer = fate.kind === 'not-sent' || dies ? null : await this.#receive(fate, rows, run)
    const ofRows = answer?.rows ?? null
    const told = fate.kind === 'not-sent' ? fate.kind : dies ? 'cut' : (answer?.status ?? 'cut')
    this.#sends.push({
      run,
      life: this.#lives,
      rows,
      body: new TextDecoder('utf-8', { ignoreBOM: true }).decode(request.body ?? undefined),
      idempotencyKey: request.headers['idempotency-key'],
      told,
      ofRows: told === 'cut' ? null : ofRows,
    })
    if (dies) return abortable(new Promise(() => undefined), request)
    const took = { startedAt: 1, durationMs: 1 }
    if (told === 'not-sent') return { kind: 'failed', reason: 'not-sent', error: 'refused', ...took }
    if (told === 'cut') return { kind: 'failed', reason: 'timeout', error: 'cut', ...took }
    const body = ofRows === null ? textOfId(answer?.id ?? null) : textOfRows(ofRows)
    return { kind: 'answered', status: told, headers: { 'retry-after': '0' }, body, ...took }
  }

  /** The run that a request is of: one at a time is at work (R13). */
  async #runAtWork(): Promise<number> {
    await this.#opened.log.runs.caughtUp(homePartition(SYNC), { signal: never })
    const running = this.#opened.events().find(({ status }) => status === 'running')?.run
    if (typeof running !== 'number') this.#broken('a request was sent, and no run is at work')
    return running
  }

  async #receive(fate: Fate, rows: readonly SentRow[], run: number): Promise<Answer | null> {
    this.#requests += 1
    if (this.#requestsToCancel !== null) {
      this.#requestsToCancel -= 1
      if (this.#requestsToCancel === 0) await this.#cancel()
    }
    return this.#answer(fate, rows, run)
  }

  #answer(fate: Fate, rows: readonly SentRow[], run: number): Answer | null {
    const { tellsRows } = this.#plan
    switch (fate.kind) {
      case 'answered':
        return tellsRows ? this.#takeEach(rows, run) : this.#take(rows, run)
      case 'broken':
        if (fate.applied && tellsRows) for (const row of rows) this.#take([row], run)
        else if (fate.applied) this.#take(rows, run)
        return fate.status === null ? null : { status: fate.status, id: null }
      case 'throttled':
        return { status: 429, id: null }
      default:
        return { status: 400, id: null }
    }
  }

  /** Takes each row by itself, and tells of each. */
  #takeEach(rows: readonly SentRow[], run: number): Answer {
    const told = rows.map((row): RowTold => {
      const { key } = row
      const fate = this.#nextRowFate(key)
      if (fate === 'refused') return { key, as: 'rejected', id: null }
      if (fate === 'throttled' || fate === 'unknown') return { key, as: fate, id: null }
      const { status, id } = this.#take([row], run)
      if (fate === 'unknown-and-taken') return { key, as: 'unknown', id: null }
      if (status === 200) return { key, as: 'delivered', id }
      if (this.#plan.api === 'upserts') return { key, as: 'rejected', id }
      return { key, as: status === 409 ? 'exists' : 'missing', id }
    })
    return { status: 200, id: null, rows: told }
  }

  #take(rows: readonly SentRow[], run: number): ApiAnswer {
    const answer = this.#api.take(rows)
    if (answer.status !== 200) return answer
    for (const { key } of rows) {
      this.#applied.set(key, run)
      for (const orphan of [...this.#orphans])
        if (orphan === key || (this.#plan.foldsKeys && folded(orphan) === folded(key)))
          this.#orphans.delete(orphan)
    }
    return answer
  }
}
