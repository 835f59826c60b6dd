/**
 * One random history of real processes that are killed, asked for other things meanwhile, and told to end,
 * with an API that reads and applies late, fails, and drops connections. The API judges: what it received and
 * what it has in the end is all that counts.
 *
 * A seed chooses the history: the rows, the edits, the sync's settings, the commands and the kills. The
 * moments of kills and answers depend on the machine, so a seed that failed once may pass the next time.
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isEnded } from '@sluice/domain/run-status'
import { randomFrom, type Random } from '@sluice/testkit/random'
import { startDistributed, type Distributed } from '../e2e/distributed.ts'
import { finished, projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'
import { CONCURRENCY, LateApi, lateProject, rowsJson, TAKEN, type Arrived, type Fate } from './late-api.ts'

const SYNC = 'rows'
const TIMEOUT_MS = 4_000
/** An answer comes within this share of the time-out, so that a busy machine makes none of them late. */
const LATEST_MS = 0.6 * TIMEOUT_MS
const KILLED_WITHIN_MS = 4_000
const ASKED_WITHIN_MS = 2_500
/** The most requests that a kill repeats (R7): in flight, and answered without an acknowledgement. */
const REPEATED_BY_A_KILL = 2 * CONCURRENCY
const CLEAN_RUNS = 3
const HANGS_AFTER_MS = 180_000
const ROWS = 50

const ODD_KEYS = [
  'a=',
  '["a","b"]',
  'x\ny',
  '',
  ' ',
  '%2F',
  '🙂',
  "it's",
  '"',
  '\\',
  'null',
  '1',
  '01',
  'a,b',
]
/** Each is another spelling of the one before it, for an API that takes both for one. */
const SPELLINGS = [
  ['Ann', 'ann'],
  ['BOB', 'bob'],
  ['Élan', 'elan'],
  ['o k', 'ok'],
] as const
const SAME_TO_A_FOLDING_API = (key: string): string =>
  key.normalize('NFD').replaceAll(/\p{M}/gu, '').replaceAll(/\s/gu, '').toLowerCase()

const TRIES = 'errors: { retry: now, attempts: 2, backoff: { first: 50ms, max: 200ms } }'

export type FaultProfile = 'embedded' | 'distributed'

/** The figures of one history. */
export interface FaultFigures {
  readonly runs: number
  readonly kills: number
  readonly requests: number
  /** Requests that the API still had to read or apply when their process was dead. */
  readonly late: number
}

interface Plan {
  readonly profile: FaultProfile
  readonly atMostOnce: boolean
  readonly folds: boolean
  readonly sync: string
  readonly keys: readonly string[]
}

function planOf(random: Random, profile: FaultProfile): Plan {
  const atMostOnce = random.chance(0.35)
  const folds = !atMostOnce && random.chance(0.3)
  const lines = [
    `partitions: ${random.pick([1, 2, 4])}`,
    ...(atMostOnce ? ['delivery: at-most-once'] : []),
    ...(random.chance(0.5) ? [TRIES] : []),
  ]
  const odd = folds ? SPELLINGS.flat() : ODD_KEYS
  const rest = Array.from({ length: ROWS - odd.length }, (_, n) => `key ${n}`)
  return { profile, atMostOnce, folds, sync: lines.join('\n'), keys: [...odd, ...rest] }
}

/**
 * Plays a history. Throws, with the seed and the events, if a promise is broken. `program` is the file of the
 * command. Default: the one that project folders have.
 */
export async function playFaultHistory(
  seed: number,
  profile: FaultProfile,
  {
    services,
    program,
  }: { readonly services?: { readonly [variable: string]: string }; readonly program?: string } = {},
): Promise<FaultFigures> {
  const plan = planOf(randomFrom(seed), profile)
  await using api = await LateApi.open()
  const env = { API_URL: api.url }
  await using distributed =
    profile === 'embedded' ? null : await startDistributed({ ...(services && { services }), env })
  await using project = await projectFolder({
    files: { 'project.yaml': lateProject({ timeout: `${TIMEOUT_MS}ms`, sync: plan.sync }) },
    env: { ...env, ...distributed?.env },
    here: true,
  })
  if (program !== undefined) project.program = program
  return await new FaultHistory({ seed, plan, api, project, distributed }).play()
}

class FaultHistory {
  readonly #seed: number
  readonly #plan: Plan
  readonly #api: LateApi
  readonly #project: ProjectFolder
  readonly #distributed: Distributed | null
  readonly #random: Random
  readonly #answers: Random
  readonly #model = new Map<string, number>()
  readonly #judge: OncePerDecision | null
  #runs = 0
  #kills = 0
  #late = 0

  constructor(parts: {
    readonly seed: number
    readonly plan: Plan
    readonly api: LateApi
    readonly project: ProjectFolder
    readonly distributed: Distributed | null
  }) {
    this.#seed = parts.seed
    this.#plan = parts.plan
    this.#api = parts.api
    this.#project = parts.project
    this.#distributed = parts.distributed
    this.#random = randomFrom(parts.seed + 1)
    this.#answers = randomFrom(parts.seed + 2)
    this.#judge = parts.plan.atMostOnce ? new OncePerDecision() : null
  }

  async play(): Promise<FaultFigures> {
    const [api, random] = [this.#api, this.#random]
    api.latestMs = TIMEOUT_MS
    if (this.#plan.folds) api.identity = SAME_TO_A_FOLDING_API
    api.onArrived = request => this.#judge?.arrived(request)
    await this.#edit()
    for (let run = 1 + random.below(4); run > 0; run -= 1) {
      api.holds = () => (this.#answers.chance(0.3) ? sleep(this.#answers.below(LATEST_MS)) : null)
      api.fate = url => this.#fate(url)
      if (random.chance(0.25)) await this.#loseCache()
      await this.#faultyRun()
      await this.#edit()
    }
    await this.#converge()
    return { runs: this.#runs, kills: this.#kills, requests: api.arrived, late: this.#late }
  }

  #fate(url: string): Fate {
    const random = this.#answers
    const applies = random.chance(0.5)
    const afterMs = random.chance(0.25) ? random.below(LATEST_MS) : 0
    if (random.chance(0.6)) return { ...TAKEN, afterMs }
    if (random.chance(0.1)) return { status: 503, applies: false, afterMs: 0 }
    // 404 to a removal counts as delivered.
    const missing = url === '/remove' ? 500 : 404
    const status = random.pick([500, 422, missing, null, null])
    return { status, applies: status !== 422 && status !== 404 && applies, afterMs }
  }

  /** Edits the rows. Of two spellings that the API takes for one, the model has one at most. */
  async #edit(): Promise<void> {
    const random = this.#random
    for (const key of this.#plan.keys) {
      if (random.chance(0.5)) this.#model.delete(key)
      else if (random.chance(0.5)) this.#model.set(key, random.below(100))
    }
    if (this.#plan.folds)
      for (const [one, other] of SPELLINGS)
        if (this.#model.has(one) && this.#model.has(other)) this.#model.delete(random.pick([one, other]))
    await this.#project.write('rows.json', rowsJson(this.#model))
    this.#api.stamp(`the model has ${JSON.stringify([...this.#model])}`)
  }

  async #loseCache(): Promise<void> {
    if (this.#distributed !== null) return
    await rm(join(this.#project.dir, '.sluice/state'), { recursive: true, force: true })
    this.#api.stamp('the cache is lost')
  }

  /**
   * A command in a process of its own. Perhaps another one asks for something meanwhile, perhaps it is
   * killed.
   */
  async #faultyRun(): Promise<void> {
    const [api, random] = [this.#api, this.#random]
    const before = api.arrived
    const command = random.pick([
      ['run'],
      ['run'],
      ['run'],
      ['retry'],
      ['resync'],
      ['resync', '--as', 'changed'],
    ])
    const child = this.#start(command)
    const ended = finished(child)
    const kind = random.pick(['request', 'request', 'time', 'time', 'end', 'none'])
    const afterMs = random.below(KILLED_WITHIN_MS)
    const afterRequests = before + 1 + random.below(8)
    const asks = random.chance(0.35)
      ? random.pick([['retry'], ['resync'], ['run'], this.#retryOfAKey()])
      : null
    const asksAfterMs = random.below(ASKED_WITHIN_MS)
    api.stamp(`to be killed: ${kind}`)
    const over = new AbortController()
    const wait = (ms: number, then: string): Promise<string> =>
      sleep(ms, then, { signal: over.signal }).catch(() => 'over')
    const asked = asks === null ? null : wait(asksAfterMs, 'ask').then(() => finished(this.#start(asks)))
    const causes: Promise<unknown>[] = [ended, wait(HANGS_AFTER_MS, 'hangs')]
    if (kind === 'time' || kind === 'end') causes.push(wait(afterMs, 'time'))
    if (kind === 'request') causes.push(api.until(afterRequests))
    if ((await Promise.race(causes)) === 'hangs') this.#fails('a run hangs')
    if (kind === 'end') child.kill('SIGTERM')
    else if (kind !== 'none') await this.#kill(child)
    await this.#within(HANGS_AFTER_MS, ended, 'a command does not end')
    over.abort()
    if (asked !== null) await this.#within(HANGS_AFTER_MS, asked, 'a command that asked does not end')
  }

  #retryOfAKey(): readonly string[] {
    return ['retry', '--key', this.#random.pick(this.#plan.keys.filter(key => key !== ''))]
  }

  #start(command: readonly string[]): ReturnType<ProjectFolder['start']> {
    const [verb = 'run', ...options] = command
    this.#runs += 1
    this.#api.stamp(`sluice ${command.join(' ')}`)
    const child = this.#project.start(verb, SYNC, ...options)
    const key = options[0] === '--key' ? (options[1] ?? null) : null
    if (verb === 'retry' || verb === 'resync') void this.#judge?.decides(verb, key, once(child, 'close'))
    return child
  }

  /** Embedded, all services are in the command's process. Else one service dies, and starts again. */
  async #kill(child: ReturnType<ProjectFolder['start']>): Promise<void> {
    const [api, distributed] = [this.#api, this.#distributed]
    const victim = distributed === null ? null : this.#random.pick(distributed.processes)
    if (victim === null && child.exitCode !== null) return
    this.#kills += 1
    if (victim === null) {
      const closed = once(child, 'close')
      child.kill('SIGKILL')
      await closed
    } else await victim.kill()
    const atMs = performance.now()
    api.stamp(`${victim?.label ?? 'it'} is killed`)
    void api.settled().then(() => {
      if (api.lastArrivedMs > atMs) this.#late += 1
    })
    await victim?.start()
  }

  async #within<T>(ms: number, work: Promise<T>, what: string): Promise<T> {
    const over = new AbortController()
    const late = sleep(ms, null, { signal: over.signal }).then(
      () => this.#fails(what),
      () => work,
    )
    try {
      return await Promise.race([work, late])
    } finally {
      over.abort()
    }
  }

  /**
   * The API works from now on. Three runs bring it to the rows of the model (R4), and then nothing is sent.
   */
  async #converge(): Promise<void> {
    const api = this.#api
    await api.settled()
    api.holds = () => null
    api.fate = () => TAKEN
    for (let run = 1; run <= CLEAN_RUNS; run += 1) {
      if (this.#plan.atMostOnce) await this.#clean('retry')
      await this.#clean('run')
    }
    await api.settled()
    this.#assertConverged()
    const before = api.arrived
    if ((await this.#clean('run')) !== 0) this.#fails('the last run did not succeed')
    if (api.arrived !== before) this.#fails('a run with nothing to say sent a request')
    this.#assertRepeats()
    if (this.#judge !== null && this.#judge.broken !== null) this.#fails(this.#judge.broken)
    await this.#assertRuns()
  }

  async #clean(command: string): Promise<number | null> {
    this.#runs += 1
    this.#api.stamp(`sluice ${command}, while the API works`)
    const asked = this.#project.sluice(command, SYNC)
    if (command === 'retry') void this.#judge?.decides('retry', null, asked)
    const { exitCode, stderr } = await this.#within(HANGS_AFTER_MS, asked, 'a run while the API works hangs')
    this.#api.stamp(`it ended with ${String(exitCode)}: ${stderr.slice(-300)}`)
    return exitCode
  }

  #assertConverged(): void {
    const { rows, tooLate, identity } = this.#api
    const wanted = new Map([...this.#model].map(([key, v]) => [identity(key), v]))
    const late = new Set([...tooLate].map(identity))
    for (const key of new Set([...wanted.keys(), ...rows.keys()])) {
      if (rows.get(key) === wanted.get(key) || late.has(key)) continue
      const what = `${JSON.stringify(key)} is ${String(rows.get(key))}, not ${String(wanted.get(key))}`
      this.#fails(what, this.#plan.folds ? '' : JSON.stringify(key))
    }
  }

  /** A request is repeated under its key if it had no answer, or by a kill (R7). */
  #assertRepeats(): void {
    const sent = this.#api.log.map(({ idempotencyKey }) => idempotencyKey)
    const repeats = sent.length - new Set(sent).size
    const unanswered = this.#api.log.filter(({ status }) => status === null).length
    const allowed = unanswered + this.#kills * REPEATED_BY_A_KILL
    if (repeats > allowed) this.#fails(`${repeats} requests were repeated, and at most ${allowed} may be`)
  }

  /** Each run has ended, and its counts add up (R14). */
  async #assertRuns(): Promise<void> {
    for (const { id, status, triggers } of await this.#project.runs()) {
      if (!isEnded(status)) this.#fails(`run ${id} is ${status} in the end`)
      for (const [op, counts] of Object.entries(triggers))
        if (
          counts !== undefined &&
          counts.detected !== counts.delivered + counts.rejected + counts.unknown + counts.unsent
        )
          this.#fails(`the counts of run ${id} do not add up for ${op}`)
    }
  }

  /** Throws, and shows what happened to one key, or everything. */
  #fails(what: string, key = ''): never {
    const shown = this.#api.stamps.filter(line => line.includes(key) || !/arrived|applied|refused/.test(line))
    const logs = this.#distributed?.logs(40) ?? ''
    throw new Error(
      `${what} (seed ${this.#seed}, ${this.#plan.profile}; ${this.#plan.sync.replaceAll('\n', '; ')}; ${this.#plan.folds ? 'folding API' : ''})\n  ${shown.join('\n  ')}\n${logs}`,
    )
  }
}

/**
 * With `delivery: at-most-once`, a row is sent again only after a person's decision, and once for each: after
 * a retry if its request had no answer or a server error, and after a retry or a resync if the API has taken
 * it as it is.
 */
class OncePerDecision {
  broken: string | null = null
  readonly #last = new Map<string, { readonly request: Arrived; readonly sent: string }>()
  readonly #decided = { retry: new Set<string>(), resync: new Set<string>() }
  /**
   * Commands that have not ended. Each has the keys that it has accounted for, and the key that it is about;
   * null: all. A process takes a while to write what it asks for. So a command may be about a row that was
   * sent after the process began. Until it has ended, nobody here knows which sends came before the decision.
   */
  readonly #asking = {
    retry: new Set<{ readonly about: string | null; readonly accounted: Set<string> }>(),
    resync: new Set<{ readonly about: string | null; readonly accounted: Set<string> }>(),
  }

  /** About all rows, or one key. Resolves with the command. */
  async decides(kind: 'retry' | 'resync', about: string | null, command: Promise<unknown>): Promise<void> {
    const known = about === null ? [...this.#last.keys()] : [about]
    for (const key of known) this.#decided[kind].add(key)
    const asked = { about, accounted: new Set(known) }
    this.#asking[kind].add(asked)
    await command
    this.#asking[kind].delete(asked)
  }

  /** True if a command decides about the key. It decides about each key once. */
  #takes(kind: 'retry' | 'resync', key: string): boolean {
    if (this.#decided[kind].delete(key)) return true
    const asked = [...this.#asking[kind]].find(
      ({ about, accounted }) => (about === null || about === key) && !accounted.has(key),
    )
    asked?.accounted.add(key)
    return asked !== undefined
  }

  arrived(request: Arrived): void {
    for (const { key, v } of request.rows) {
      const last = this.#last.get(key)
      const sent = `${request.url} ${String(v)}`
      this.#last.set(key, { request, sent })
      if (last === undefined) continue
      const { status } = last.request
      const isInDoubt = status === null || status >= 500
      const isTaken = status !== null && status < 300 && last.sent === sent
      const isDecided =
        (isInDoubt || isTaken) && (this.#takes('retry', key) || (isTaken && this.#takes('resync', key)))
      if ((isInDoubt || isTaken) && !isDecided)
        this.broken ??= `${JSON.stringify(key)} was sent as ${last.sent}, answered ${String(status)}, and sent as ${sent} without a decision`
      if (this.#asking.retry.size + this.#asking.resync.size > 0) continue
      this.#decided.retry.delete(key)
      this.#decided.resync.delete(key)
    }
  }
}
