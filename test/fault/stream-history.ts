/**
 * One random history of a stream whose processes are killed or told to end, whose Kafka stops for a while,
 * and whose source ends its connections and forgets where it was read, while its rows change. The API judges:
 * no row comes after a newer one of its key, what it has in the end equals the rows, and no more comes twice
 * than a kill may repeat.
 *
 * A seed chooses the history. The moments of kills and answers depend on the machine, so a seed that failed
 * once may pass the next time.
 */
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomFrom, type Random } from '@sluice/testkit/random'
import { startDistributed, type Distributed } from '../e2e/distributed.ts'
import { projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'
import type { StreamWorld } from './stream-world.ts'
import { CONCURRENCY, LateApi, lateProject, TAKEN, type Arrived, type Fate } from './late-api.ts'
import { followedTable, repeatsOf, WantedRows, writtenTopic, type StreamedRows } from './streamed-rows.ts'

const TIMEOUT_MS = 4_000
const LATEST_MS = 500
const HANGS_AFTER_MS = 120_000
const KEYS = 40
/** So many of the events that a failure tells may be of requests. */
const MAX_TOLD = 400
const ODD_KEYS = ['a=', '["a","b"]', 'x\ny', '', '%2F', '🙂', "it's", '"', '\\', 'null', '1', '01', 'a,b']
const TRIES = 'errors: { retryAfter: 1s, retry: now, attempts: 2, backoff: { first: 50ms, max: 200ms } }'
/** The most requests that a kill repeats (R7): in flight, and answered without an acknowledgement. */
const REPEATED_BY_A_KILL = 2 * CONCURRENCY
/** Requests of a partition that are answered, or in flight, while their attempts cannot be written. */
const REPEATED_BY_AN_OUTAGE = 64

/** The figures of one history. */
export interface StreamFigures {
  readonly kills: number
  readonly requests: number
  readonly repeats: number
  readonly edits: number
}

interface Plan {
  readonly source: 'table' | 'topic'
  readonly sync: string
  readonly counts: {
    readonly 'change-detector': number
    readonly renderer: number
    readonly delivery: number
  }
  readonly isSick: boolean
  readonly pauseMs: number
  readonly steps: number
  readonly partitions: number
}

function planOf(random: Random): Plan {
  const count = (): number => 1 + random.below(2)
  const partitions = random.pick([1, 2, 4])
  const slices = random.pick(['', 'slice: { rows: 3 }', 'slice: { rows: 100, wait: 50ms }'])
  const errors = random.chance(0.5) ? TRIES : 'errors: { retryAfter: 1s }'
  return {
    source: random.chance(0.7) ? 'table' : 'topic',
    sync: ['schedule: continuous', `partitions: ${partitions}`, slices, errors].join('\n'),
    counts: { 'change-detector': count(), renderer: count(), delivery: count() },
    isSick: random.chance(0.6),
    pauseMs: random.pick([10, 30, 100]),
    steps: 4 + random.below(6),
    partitions,
  }
}

/** Plays a history. Throws, with the seed and the events, if a promise is broken. */
export async function playStreamHistory(seed: number, world: StreamWorld): Promise<StreamFigures> {
  const plan = planOf(randomFrom(seed))
  await using api = await LateApi.open()
  await using source = await (plan.source === 'table'
    ? followedTable(world.postgres)
    : writtenTopic(world, 2))
  const env = { API_URL: api.url, ...source.env }
  const { services } = world
  await using distributed =
    world.profile === 'embedded' ? null : await startDistributed({ services, env, counts: plan.counts })
  await using project = await projectFolder({
    files: { 'project.yaml': yamlOf(plan, source, TIMEOUT_MS) },
    env: { ...env, ...distributed?.env, SLUICE_PORT: '0', SLUICE_LOG_LEVEL: 'info' },
  })
  if (world.program !== undefined) project.program = world.program
  const processes = distributed === null ? new OneProcess(project, api) : new Services(distributed, project)
  try {
    return await new StreamHistory({ seed, plan, world, api, source, project, processes }).play()
  } finally {
    await processes.stop()
  }
}

const yamlOf = (plan: Plan, source: StreamedRows, timeoutMs: number): string =>
  lateProject({ timeout: `${timeoutMs}ms`, sync: plan.sync, rows: source.yaml })

/** The processes that carry a stream out. */
interface Processes {
  start(): Promise<void>
  /** Has the stream read its project again. */
  applied(): Promise<void>
  /** Ends one of them with SIGKILL, or with SIGTERM, and starts it or another one again. Returns its name. */
  end(random: Random, how: 'SIGKILL' | 'SIGTERM'): Promise<string>
  /** SIGTERM for all of them. Resolves once they have ended. */
  stop(): Promise<void>
  logs(): string
}

class OneProcess implements Processes {
  readonly #project: ProjectFolder
  readonly #api: LateApi
  #child: ReturnType<ProjectFolder['start']> | null = null
  #closed: Promise<unknown> = Promise.resolve()
  #printed = ''

  constructor(project: ProjectFolder, api: LateApi) {
    this.#project = project
    this.#api = api
  }

  start(): Promise<void> {
    const child = this.#project.start('up', '--json')
    const take = (text: Buffer): void =>
      void (this.#printed = `${this.#printed}${text.toString()}`.slice(-50_000))
    child.stdout?.on('data', take)
    child.stderr?.on('data', take)
    this.#child = child
    this.#closed = once(child, 'close')
    return Promise.resolve()
  }

  async applied(): Promise<void> {
    await this.#end('SIGTERM')
    await this.start()
  }

  async end(random: Random, how: 'SIGKILL' | 'SIGTERM'): Promise<string> {
    await this.#end(how)
    if (random.chance(0.3)) {
      await rm(join(this.#project.dir, '.sluice/state'), { recursive: true, force: true })
      this.#api.stamp('the cache is lost')
    }
    await sleep(random.below(1_000))
    await this.start()
    return 'it'
  }

  async #end(how: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#child?.kill(how)
    await this.#closed
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM')
  }

  logs(): string {
    return this.#printed
  }
}

class Services implements Processes {
  readonly #distributed: Distributed
  readonly #project: ProjectFolder

  constructor(distributed: Distributed, project: ProjectFolder) {
    this.#distributed = distributed
    this.#project = project
  }

  start(): Promise<void> {
    return this.applied()
  }

  async applied(): Promise<void> {
    const { exitCode, stderr } = await this.#project.sluice('apply')
    if (exitCode !== 0) throw new Error(`sluice apply ended with ${String(exitCode)}: ${stderr}`)
  }

  async end(random: Random, how: 'SIGKILL' | 'SIGTERM'): Promise<string> {
    const { processes } = this.#distributed
    const victim = random.pick(processes.filter(({ running }) => running))
    const afterMs = random.chance(0.5) ? 0 : random.below(8_000)
    const isAnew = random.chance(0.2)
    await (how === 'SIGKILL' ? victim.kill() : victim.stop())
    await sleep(afterMs)
    if (isAnew) await this.#distributed.add(victim.name)
    else await victim.start()
    return victim.label
  }

  async stop(): Promise<void> {
    await Promise.all(this.#distributed.processes.map(process => process.stop()))
  }

  logs(): string {
    return this.#distributed.logs(60)
  }
}

class StreamHistory {
  readonly #seed: number
  readonly #plan: Plan
  readonly #world: StreamWorld
  readonly #api: LateApi
  readonly #source: StreamedRows
  readonly #project: ProjectFolder
  readonly #processes: Processes
  readonly #wanted: WantedRows
  readonly #random: Random
  readonly #edits: Random
  readonly #answers: Random
  readonly #outagesBefore: number
  readonly #over = new AbortController()
  #edited = 0
  #kills = 0
  #timeoutMs = TIMEOUT_MS
  #broken: string | null = null

  constructor(parts: {
    readonly seed: number
    readonly plan: Plan
    readonly world: StreamWorld
    readonly api: LateApi
    readonly source: StreamedRows
    readonly project: ProjectFolder
    readonly processes: Processes
  }) {
    this.#seed = parts.seed
    this.#plan = parts.plan
    this.#world = parts.world
    this.#api = parts.api
    this.#source = parts.source
    this.#project = parts.project
    this.#processes = parts.processes
    this.#random = randomFrom(parts.seed + 1)
    this.#edits = randomFrom(parts.seed + 2)
    this.#answers = randomFrom(parts.seed + 3)
    const rest = Array.from({ length: KEYS - ODD_KEYS.length }, (_, n) => `key ${n}`)
    this.#wanted = new WantedRows(parts.source, [...ODD_KEYS, ...rest])
    this.#outagesBefore = parts.world.outages()
  }

  async play(): Promise<StreamFigures> {
    const api = this.#api
    api.onArrived = request => this.#arrived(request)
    if (this.#plan.isSick) api.fate = url => this.#fate(url)
    for (let edit = 0; edit < 30; edit += 1) await this.#edit()
    await this.#processes.start()
    await this.#within(api.until(1), 'the stream does not begin')
    const editing = this.#editOn()
    try {
      for (let step = 0; step < this.#plan.steps; step += 1) {
        await sleep(300 + this.#random.below(2_500))
        await this.#step()
      }
    } finally {
      this.#over.abort()
      await editing
    }
    await this.#converge()
    const repeats = this.#assertRepeats()
    return { kills: this.#kills, requests: api.arrived, repeats, edits: this.#edited }
  }

  #arrived({ url, rows }: Arrived): void {
    for (const { key, v } of rows) {
      const wrong = this.#wanted.arrived(key, url === '/remove' ? null : v)
      if (wrong === null) continue
      this.#api.stamp(`WRONG: ${wrong}`)
      this.#broken ??= wrong
    }
  }

  #fate(url: string): Fate {
    const random = this.#answers
    const afterMs = random.chance(0.2) ? random.below(LATEST_MS) : 0
    if (random.chance(0.85)) return { ...TAKEN, afterMs }
    const missing = url === '/remove' ? 500 : 404
    const status = random.pick([500, 422, missing, null, null])
    return { status, applies: status !== 422 && status !== 404 && random.chance(0.5), afterMs }
  }

  async #editOn(): Promise<void> {
    while (!this.#over.signal.aborted) {
      await this.#edit()
      await sleep(this.#edits.below(2 * this.#plan.pauseMs))
    }
  }

  async #edit(): Promise<void> {
    await this.#wanted.edit(this.#edits)
    this.#edited += 1
  }

  async #step(): Promise<void> {
    const { cut, forget } = this.#source
    const kinds = ['kill', 'kill', 'kill', 'kill', 'end', 'edit']
    if (cut !== null) kinds.push('cut')
    if (forget !== null && this.#random.chance(0.5)) kinds.push('forget')
    if (this.#world.outage !== null && this.#world.outages() === this.#outagesBefore) kinds.push('outage')
    const kind = this.#random.pick(kinds)
    this.#api.stamp(`step: ${kind}`)
    if (kind === 'kill' || kind === 'end') await this.#end(kind === 'kill' ? 'SIGKILL' : 'SIGTERM')
    if (kind === 'edit') await this.#apply()
    if (kind === 'cut') await cut?.()
    if (kind === 'forget') await forget?.()
    if (kind === 'outage') await this.#world.outage?.(500 + this.#random.below(6_000))
    this.#api.stamp(`done: ${kind}`)
  }

  async #end(how: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (how === 'SIGKILL') this.#kills += 1
    const ended = this.#processes.end(this.#random, how)
    this.#api.stamp(`${how}: ${await this.#within(ended, 'a process does not end or start')}`)
  }

  async #apply(): Promise<void> {
    this.#timeoutMs += 1
    await this.#project.write('project.yaml', yamlOf(this.#plan, this.#source, this.#timeoutMs))
    const applied = this.#world.whileKafkaIsThere(() => this.#processes.applied())
    await this.#within(applied, 'the project cannot be applied')
  }

  /** The API works from now on, and nothing dies. */
  async #converge(): Promise<void> {
    const api = this.#api
    api.fate = () => TAKEN
    api.stamp('the API works')
    for (;;) {
      const seen = api.arrived
      await api.settled()
      if (this.#difference() === null) break
      await this.#within(api.until(seen + 1), () => `nothing more comes, and ${String(this.#difference())}`)
    }
    await this.#processes.stop()
    await api.settled()
    const difference = this.#difference()
    if (difference !== null) this.#fails(`it did not stay as it was: ${difference}`)
    if (this.#broken !== null) this.#fails(this.#broken)
  }

  #difference(): string | null {
    return this.#wanted.difference(this.#api.rows)
  }

  /** A request that the API has taken comes again only after a kill, or while Kafka is away (R7). */
  #assertRepeats(): number {
    const repeats = repeatsOf(this.#api.log)
    const outages = this.#world.outages() - this.#outagesBefore
    const allowed = this.#kills * REPEATED_BY_A_KILL + outages * REPEATED_BY_AN_OUTAGE * this.#plan.partitions
    if (repeats > allowed) this.#fails(`${repeats} requests came again, and at most ${allowed} may`)
    return repeats
  }

  async #within<T>(work: Promise<T>, what: string | (() => string)): Promise<T> {
    const over = new AbortController()
    const late = this.#tooLate(over.signal).then(
      async () => {
        const runs = await this.#project.runs().catch((error: unknown) => String(error))
        this.#api.stamp(`the runs: ${JSON.stringify(runs)}`)
        return this.#fails(typeof what === 'string' ? what : what())
      },
      () => work,
    )
    try {
      return await Promise.race([work, late])
    } finally {
      over.abort()
    }
  }

  /** Resolves once so much time has passed without an outage that another history may have caused. */
  async #tooLate(signal: AbortSignal): Promise<void> {
    for (let seen = -1; seen !== this.#world.outages();) {
      seen = this.#world.outages()
      await sleep(HANGS_AFTER_MS, null, { signal })
    }
  }

  /** All that happened, but only the newest requests. */
  #told(): readonly string[] {
    const isOfRequest = (stamp: string): boolean => /(arrived|applied|refused): /.test(stamp)
    const { stamps } = this.#api
    return stamps.filter((stamp, index) => !isOfRequest(stamp) || index > stamps.length - MAX_TOLD)
  }

  /** Throws, and shows what happened. */
  #fails(what: string): never {
    const { source, sync, counts } = this.#plan
    const told = `seed ${this.#seed}, ${this.#world.profile}, ${source}; ${sync.replaceAll('\n', '; ')}; ${JSON.stringify(counts)}`
    throw new Error(`${what} (${told})\n  ${this.#told().join('\n  ')}\n${this.#processes.logs()}`)
  }
}
