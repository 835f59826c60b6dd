/**
 * Random histories of real processes in a folder, with an API that reads and applies late: node
 * test/fault/late-histories.ts [HISTORIES] [SEED] [SIDE BY SIDE]. Processes are killed with SIGKILL at a
 * request or at a random time. Once that is over, three runs bring the API to the rows of the model (R4).
 *
 * A request that the API applies later than its time-out does not count: then nobody could know of it. With
 * FORGETS=1 what was under way is forgotten at each kill, so that histories fail.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { existsSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openSentRequests } from '@sluice/embedded/sent-requests'
import { randomFrom, type Random } from '@sluice/testkit/random'
import { finished, projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'
import { LateApi, lateProject, rowsJson, TAKEN, type Fate } from './late-api.ts'

const SYNC = 'rows'
const TIMEOUT_MS = 4_000
/** What the notes give a request besides. */
const MARGIN_MS = 2_000
/** Of the time-out, for a machine that is busy. */
const LATEST_MS = 0.6 * TIMEOUT_MS
const KILLED_WITHIN_MS = 4_000
const CLEAN_RUNS = 3
const HANGS_AFTER_MS = 180_000
const KEYS = ['a=', '["a","b"]', 'x\ny', '', ' ', '%2F', '🙂', "it's", '"', '\\', 'null', '1', '01', 'a,b']
const ALL_KEYS = [...KEYS, ...Array.from({ length: 50 - KEYS.length }, (_, n) => `key ${n}`)]
const TRIES = 'errors: { retry: now, attempts: 2, backoff: { first: 50ms, max: 200ms } }'

const [histories = 10, firstSeed = Date.now() % 1e9, sideBySide = 3] = process.argv.slice(2).map(Number)
const forgets = process.env['FORGETS'] === '1'

const totals = { histories: 0, failed: 0, tooLate: 0, runs: 0, kills: 0, late: 0, requests: 0 }
/**
 * Of processes that were killed with a request under way: how old their note was when their last request
 * arrived here, in ms. Below 0, it was written since.
 */
const noteAges: number[] = []

class History {
  readonly #seed: number
  readonly #random: Random
  readonly #api: LateApi
  readonly #project: ProjectFolder
  readonly #model = new Map<string, number>()

  constructor(seed: number, api: LateApi, project: ProjectFolder) {
    this.#seed = seed
    this.#random = randomFrom(seed)
    this.#api = api
    this.#project = project
  }

  async play(): Promise<void> {
    const [api, random] = [this.#api, this.#random]
    api.latestMs = TIMEOUT_MS
    await this.#edit()
    for (let run = 1 + random.below(4); run > 0; run -= 1) {
      api.holds = () => (random.chance(0.3) ? sleep(random.below(LATEST_MS)) : null)
      api.fate = url => this.#fate(url)
      if (random.chance(0.25))
        await rm(join(this.#project.dir, '.sluice/state'), { recursive: true, force: true })
      await this.#run()
      await this.#edit()
    }
    api.holds = () => null
    api.fate = () => TAKEN
    for (let run = 1; run <= CLEAN_RUNS; run += 1) await this.#clean()
    await api.settled()
    this.#judge()
    const before = api.arrived
    await this.#clean()
    if (api.arrived !== before) this.#fails('a run with nothing to say sent a request')
  }

  #fate(url: string): Fate {
    const random = this.#random
    const applies = random.chance(0.5)
    const afterMs = random.chance(0.25) ? random.below(LATEST_MS) : 0
    if (random.chance(0.6)) return { ...TAKEN, afterMs }
    if (random.chance(0.1)) return { status: 503, applies: false, afterMs: 0 }
    // A removal that is answered so counts as delivered.
    const missing = url === '/remove' ? 500 : 404
    const status = random.pick([500, 422, missing, null, null])
    return { status, applies: status !== 422 && status !== 404 && applies, afterMs }
  }

  async #edit(): Promise<void> {
    for (const key of ALL_KEYS) {
      if (this.#random.chance(0.5)) this.#model.delete(key)
      else if (this.#random.chance(0.5)) this.#model.set(key, this.#random.below(100))
    }
    await this.#project.write('rows.json', rowsJson(this.#model))
    this.#api.stamp(`the model has ${JSON.stringify([...this.#model])}`)
  }

  /** A run in a process of its own, which is killed or not. */
  async #run(): Promise<void> {
    const [api, random] = [this.#api, this.#random]
    const before = api.arrived
    const beganMs = performance.now()
    const child = this.#project.start('run', SYNC)
    const ended = finished(child)
    totals.runs += 1
    const kind = random.pick(['request', 'request', 'time', 'time', 'none'])
    api.stamp(`a run begins, to be killed: ${kind}`)
    const killed = new AbortController()
    const options = { signal: killed.signal }
    const hanging = sleep(HANGS_AFTER_MS, 'hangs', options).catch(() => 'ended')
    const timed = sleep(random.below(KILLED_WITHIN_MS), 'time', options).catch(() => 'ended')
    const causes: Promise<unknown>[] = [ended, hanging]
    if (kind === 'time') causes.push(timed)
    if (kind === 'request') causes.push(api.until(before + 1 + random.below(8)))
    if ((await Promise.race(causes)) === 'hangs') this.#fails('a run hangs')
    if (child.exitCode === null) {
      totals.kills += 1
      const lastMs = api.lastArrivedMs
      child.kill('SIGKILL')
      await ended
      const atMs = performance.now()
      api.stamp('it is killed')
      this.#note(beganMs, lastMs)
      void api.settled().then(() => {
        if (api.lastArrivedMs > atMs) totals.late += 1
      })
      if (forgets && existsSync(this.#file)) this.#forget()
    }
    killed.abort()
  }

  /** What the dead process has left, which began and was heard of last at these times. */
  #note(beganMs: number, heardMs: number): void {
    try {
      const [, json = '{}'] = /^\S+ \S+ (.*)$/.exec(readFileSync(this.#file, 'utf8').trimEnd()) ?? []
      const { until = {} }: { readonly until?: { readonly [partition: string]: number } } = JSON.parse(json)
      const offsetMs = Number(process.hrtime.bigint() / 1_000_000n) - performance.now()
      const notedMs = Math.max(...Object.values(until)) - offsetMs - TIMEOUT_MS - MARGIN_MS
      // Others are of its predecessors.
      if (notedMs >= beganMs && heardMs >= beganMs) noteAges.push(heardMs - notedMs)
    } catch {
      // It was killed before it could write anything.
    }
  }

  #forget(): void {
    openSentRequests({ file: this.#file, isNew: true, machine: 'none' })[Symbol.dispose]()
    openSentRequests({ file: this.#file, isNew: true })[Symbol.dispose]()
  }

  get #file(): string {
    return join(this.#project.dir, '.sluice/under-way')
  }

  async #clean(): Promise<void> {
    totals.runs += 1
    const { exitCode, stderr } = await this.#project.sluice('run', SYNC)
    this.#api.stamp(`a clean run: ${String(exitCode)} ${stderr.slice(-200)}`)
  }

  #judge(): void {
    const { rows, tooLate } = this.#api
    for (const key of ALL_KEYS) {
      if (rows.get(key) === this.#model.get(key)) continue
      const what = `${JSON.stringify(key)} is ${String(rows.get(key))}, not ${String(this.#model.get(key))}`
      if (tooLate.has(key)) totals.tooLate += 1
      else this.#fails(what, JSON.stringify(key))
    }
  }

  /** Shows what happened to one key, or everything. */
  #fails(what: string, key = ''): never {
    const shown = this.#api.stamps.filter(line => line.includes(key) || !/arrived|applied|refused/.test(line))
    throw new Error(`seed ${this.#seed}: ${what}\n  ${shown.join('\n  ')}`)
  }
}

async function playOne(seed: number): Promise<void> {
  await using api = await LateApi.open()
  const sync = seed % 2 === 0 ? TRIES : ''
  await using project = await projectFolder({
    files: { 'project.yaml': lateProject({ timeout: `${TIMEOUT_MS}ms`, sync }) },
    env: { API_URL: api.url },
    here: true,
  })
  const history = new History(seed, api, project)
  try {
    await history.play()
  } catch (error) {
    totals.failed += 1
    process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`)
  }
  totals.histories += 1
  totals.requests += api.arrived
  if (totals.histories % 10 === 0) tell()
}

function tell(): void {
  const ages = noteAges.toSorted((a, b) => a - b)
  const of = (share: number): string => (ages[Math.floor(share * (ages.length - 1))] ?? 0).toFixed(0)
  const age = `${ages.length} notes, ${of(0.5)} ms old in the median, ${of(0.99)} ms at p99, ${of(1)} ms at most`
  process.stdout.write(`${new Date().toISOString()} ${JSON.stringify(totals)}; ${age}\n`)
}

let next = firstSeed
const player = async (): Promise<void> => {
  while (next < firstSeed + histories) await playOne(next++)
}
await Promise.all(Array.from({ length: sideBySide }, player))
tell()
process.exitCode = totals.failed === 0 ? 0 : 1
