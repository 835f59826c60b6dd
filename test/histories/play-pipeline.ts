/**
 * Plays a planned history on the pipeline itself, all services in one process that is killed where the plan
 * says, and holds the API against the model's rows.
 */
import { isDeepStrictEqual } from 'node:util'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Op } from '@sluice/contracts/state'
import type { HttpSender, SendResult } from '@sluice/http-sender/port'
import type { MessageLog } from '@sluice/message-log/port'
import { syncTopics } from '@sluice/stage/topics'
import { SYNC } from '@sluice/testkit/sample-records'
import type { TestLogAdapters } from '@sluice/testkit/test-log'
import { outage, watchedLog } from '@sluice/testkit/watched-log'
import { OneProcess, type Services } from '../e2e/one-process.ts'
import { makeApi, type Api, type ApiAnswer, type SentRow } from './apis.ts'
import {
  editModel,
  FAULT_FREE,
  fatesOf,
  KEYS,
  RUNS_TO_CONVERGE,
  type Fate,
  type HistoryPlan,
  type Row,
  type RunPlan,
} from './plan.ts'
import { BrokenPromise } from './play.ts'

const SQL =
  "select id, v, w from read_csv('rows.csv', header = true, columns = { id: 'VARCHAR', v: 'INTEGER', w: 'INTEGER' })"
const ROWS =
  '[{% for row in rows %}{"key":{{ row.id | json }},"row":{"v":{{ row.v }},"w":{{ row.w }}}},{% endfor %}]'
const ROW_WITH_ID =
  '[{"key":{{ row.id | json }},"row":{"v":{{ row.v }},"w":{{ row.w }}},"id":{{ captured.thing | json }}}]'
/** What an API says that tells what is there and what is not. */
const ANSWERS = [
  { status: 409, as: 'exists' },
  { status: 404, as: 'missing' },
]
/** A run of a few rows appends to `changes` about so often. */
const APPENDS = 6

/** Where the process dies: at this append to a topic, or at this request. */
interface KillPoint {
  readonly at: 'changes' | 'attempts' | 'retry' | 'request'
  left: number
}

/** Throws a `BrokenPromise`; closes what `adapters` are. */
export async function playPipeline(plan: HistoryPlan, adapters?: TestLogAdapters): Promise<number> {
  const history = new PipelineHistory(plan)
  await history.open(adapters)
  try {
    return await history.play()
  } finally {
    await history.close()
  }
}

class PipelineHistory {
  readonly #plan: HistoryPlan
  readonly #api: Api
  readonly #model = new Map<string, Row>()
  #world: OneProcess | null = null
  #life: Services | null = null
  #nextFate = fatesOf(FAULT_FREE)
  #kill: KillPoint | null = null
  #killed = Promise.withResolvers<void>()
  #requests = 0

  constructor(plan: HistoryPlan) {
    this.#plan = plan
    this.#api = makeApi(plan.api)
  }

  async open(adapters: TestLogAdapters | undefined): Promise<void> {
    const { partitions, skipExisting, api } = this.#plan
    const sync = {
      partitions,
      firstRun: skipExisting ? 'skip-existing' : 'backfill',
      triggers: this.#triggers(FAULT_FREE),
      ...(api === 'upserts' ? {} : { errors: { answers: ANSWERS } }),
    }
    const sender: HttpSender = { send: request => this.#send(request), [Symbol.asyncDispose]: async () => {} }
    this.#world = await OneProcess.open(sync, { sql: SQL, sender, adapters })
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
    const most = RUNS_TO_CONVERGE[this.#plan.api]
    for (let runs = 1; runs <= most; runs += 1) await this.#playRun(FAULT_FREE)
    const difference = this.#difference()
    if (difference !== null) this.#broken(`after ${most} runs without failures ${difference}`)
    const before = this.#requests
    await this.#playRun({ ...FAULT_FREE, losesCache: true })
    if (this.#requests > before) this.#broken('a run with nothing to say sent a request')
    return this.#requests
  }

  get #opened(): OneProcess {
    if (this.#world === null) throw new Error('the history has not begun')
    return this.#world
  }

  #broken(what: string): never {
    const events = this.#opened
      .events()
      .map(({ run, status, error }) => `${String(run)} ${status} ${error ?? ''}`)
    throw new BrokenPromise(`${what} (seed ${this.#plan.seed}; runs: ${events.join('; ')})`)
  }

  #start(): void {
    this.#life = this.#opened.start({}, this.#watched(this.#opened.log.log))
  }

  /** A log whose appends are where the process dies: nobody hears of the one that it dies at. */
  #watched(log: MessageLog): MessageLog {
    const { changes, attempts, retry } = syncTopics(this.#opened.log.prefix, SYNC)
    const names = new Map([
      [changes, 'changes'],
      [attempts, 'attempts'],
      [retry, 'retry'],
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

  async #playRun(run: RunPlan): Promise<void> {
    const world = this.#opened
    const rows = [...this.#model].flatMap(([id, { v, w }]) => {
      const line = `${id},${v},${w}`
      return run.invalid.includes(id) ? [line, line] : [line]
    })
    await writeFile(join(world.log.folder, 'rows.csv'), ['id,v,w', ...rows, ''].join('\n'))
    if (run.losesCache) await rm(join(world.log.folder, 'state', `${SYNC}.duckdb`), { force: true })
    const { sync } = world.definition
    world.definition = { ...world.definition, sync: { ...sync, triggers: this.#triggers(run) } }
    this.#nextFate = fatesOf(run)
    this.#killed = Promise.withResolvers<void>()
    this.#kill = killPointOf(run)
    const id = await world.command()
    await Promise.race([world.ended(id), this.#killed.promise])
    const wasKilled = this.#kill !== null && this.#kill.left === 0
    if (wasKilled) await this.#life?.kill()
    this.#kill = null
    if (wasKilled) this.#start()
    await world.ended(id)
    await world.allEnded()
  }

  #triggers({ triggers }: RunPlan): OneProcess['definition']['sync']['triggers'] {
    const { api, batchSize } = this.#plan
    if (api === 'makes-ids') {
      const spec = (op: Op): object =>
        op === 'added'
          ? { body: { json: ROWS }, capture: { thing: '$.id' } }
          : { body: { json: ROW_WITH_ID } }
      return Object.fromEntries(triggers.map(op => [op, { method: 'POST', path: `/${op}`, ...spec(op) }]))
    }
    const batch = batchSize === 1 ? {} : { batch: { size: batchSize } }
    return Object.fromEntries(
      triggers.map(op => [op, { method: 'POST', path: `/${op}`, body: { json: ROWS }, ...batch }]),
    )
  }

  async #send({ url, body }: Parameters<HttpSender['send']>[0]): Promise<SendResult> {
    const rows = sentRows(url, body)
    const key = rows[0]?.key ?? ''
    const fate = this.#nextFate(key)
    const took = { startedAt: 1, durationMs: 1 }
    if (fate.kind === 'not-sent') return { kind: 'failed', reason: 'not-sent', error: 'refused', ...took }
    this.#requests += 1
    const answer = this.#answer(fate, rows)
    if (this.#dies('request') || answer === null)
      return { kind: 'failed', reason: 'timeout', error: 'cut', ...took }
    const told = answer.id === null ? '' : JSON.stringify({ id: answer.id })
    return { kind: 'answered', status: answer.status, headers: { 'retry-after': '0' }, body: told, ...took }
  }

  #answer(fate: Fate, rows: readonly SentRow[]): ApiAnswer | null {
    switch (fate.kind) {
      case 'answered':
        return this.#api.take(rows)
      case 'broken':
        if (fate.applied) this.#api.take(rows)
        return fate.status === null ? null : { status: fate.status, id: null }
      case 'throttled':
        return { status: 429, id: null }
      default:
        return { status: 400, id: null }
    }
  }

  #difference(): string | null {
    const objects = this.#api.objects()
    for (const key of KEYS) {
      const row = this.#model.get(key)
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

function killPointOf({ detectorDies, deliveryDies }: RunPlan): KillPoint | null {
  if (detectorDies !== null) return { at: 'changes', left: 1 + Math.floor(detectorDies * APPENDS) }
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
  return rows.map(({ key, row, id = null }) => ({ op, key, row: op === 'removed' ? null : row, id }))
}
