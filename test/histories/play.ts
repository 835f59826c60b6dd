/**
 * Plays a planned history on the model of the protocol, and checks it against the destination. No request may
 * be superfluous, the state has to follow from the topics, and counts have to add up. Once failures stop, the
 * destination has to come to the model's rows (R1 to R5, R14).
 */
import { isDeepStrictEqual } from 'node:util'
import type { Fault } from '@sluice/contracts/records'
import { OPS, type CountsByOp, type Op, type Outcome } from '@sluice/contracts/state'
import { addCounts, countsOf } from '@sluice/domain/counts'
import type { RetryPolicy } from '@sluice/domain/answers/retry-policy'
import { decide } from '@sluice/domain/key-state'
import { randomFrom, shuffled, type Random } from '@sluice/testkit/random'
import { makeApi, type Api } from './apis.ts'
import { Decisions, failedIn } from './decisions.ts'
import { deliver } from './delivery.ts'
import { detect, mutedText, settleReplayed, unguardedForms, type Detection } from './detector.ts'
import {
  editModel,
  FAULT_FREE,
  fatesOf,
  rowFatesOf,
  EVERY_KEY,
  folded,
  runsToConverge,
  tellsMissing,
  type HistoryPlan,
  type Row,
  type RunPlan,
  type SetAside,
} from './plan.ts'
import { emptyTopics, feed, inDoubt, rebuilt, type Change, type State, type Topics } from './topics.ts'

type Sent = Change & { readonly op: Op }

export interface Played {
  /** Requests that were sent. */
  readonly requests: number
  /** Objects, at an API that makes ids, whose id is lost. */
  readonly leftBehind: number
}

/** A promise that a history broke. The message tells how to play it again. */
export class BrokenPromise extends Error {}

/** Throws a `BrokenPromise`. */
export function playHistory(plan: HistoryPlan): Played {
  return new History(plan).play()
}

class History {
  #plan: HistoryPlan
  readonly #random: Random
  readonly #api: Api
  readonly #topics: readonly Topics[]
  readonly #model = new Map<string, Row>()
  /** The rows that the destination certainly has, by key: the last request for the key was delivered. */
  readonly #certain = new Map<string, Row | null>()
  /** Keys with a change that was taken as delivered but never sent. */
  readonly #taken = new Set<string>()
  /** Forms of twins that a removal may have taken away for good (detector.ts). */
  readonly #unguarded = new Set<string>()
  /** The ids that the API gave for the present objects of keys. */
  readonly #ids = new Map<string, string>()
  readonly #recorded: Sent[][] = []
  readonly #decisions: Decisions
  #live: State = new Map()
  #fed: number[] = []
  /** Changes of unknown fate, until a complete run has taken them into account. */
  #faults: readonly Fault[] = []
  /** The requests that set-aside stages have left, for when they work again. */
  #left: { readonly partition: number; readonly rows: readonly Sent[]; readonly rest: SetAside['rest'] }[] =
    []
  #run = 0
  #first = true
  #requests = 0

  constructor(plan: HistoryPlan) {
    this.#plan = plan
    this.#decisions = new Decisions(plan.atMostOnce, what => this.#broken(what))
    this.#random = randomFrom(plan.seed ^ 0x5f3759df)
    this.#api = makeApi(plan)
    this.#topics = Array.from({ length: plan.partitions }, emptyTopics)
  }

  play(): Played {
    for (const run of this.#plan.runs) {
      editModel(this.#model, run)
      this.#playRun(run)
    }
    this.#converge()
    const before = this.#requests
    this.#playRun(FAULT_FREE)
    if (this.#requests > before) this.#broken('a run with nothing to say sent a request')
    return { requests: this.#requests, leftBehind: this.#leftBehind() }
  }

  #broken(what: string): never {
    throw new BrokenPromise(
      `${what} (run ${this.#run}; npm run histories -- --seed ${this.#plan.seed} --runs 1)`,
    )
  }

  /** Plays one run. If it was cut, it is sealed, and a new one does its work. */
  #playRun(run: RunPlan): void {
    this.#decisions.ask(run, this.#run, this.#failed)
    this.#feed(run.losesCache)
    if (this.#carryOut(run)) return
    this.#feed(false)
    const { diesAgain } = run
    const again = { ...run, interrupted: false, cancelled: null }
    if (diesAgain !== null) {
      if (this.#carryOut({ ...again, detectorDies: diesAgain })) return
      this.#feed(false)
    }
    this.#carryOut({ ...again, detectorDies: null })
  }

  get #failed(): ReturnType<typeof failedIn> {
    return failedIn(
      this.#topics,
      this.#left.flatMap(({ rows }) => rows),
    )
  }

  #feed(fromTopics: boolean): void {
    const faults = this.#faults
    if (fromTopics) this.#live = rebuilt(this.#topics, this.#random, faults)
    else feed(this.#live, this.#topics, { from: this.#fed, faults })
    this.#fed = this.#topics.map(({ changes }) => changes.length)
    const expected = rebuilt(this.#topics, this.#random, faults)
    if (!isDeepStrictEqual(expected, sorted(this.#live, expected)))
      this.#broken('the state rebuilt from the topics differs from the one that lived on')
    this.#faults = inDoubt(faults, this.#topics)
  }

  /** False for a run that was cut. */
  #carryOut(run: RunPlan): boolean {
    this.#run += 1
    this.#decisions.runBegins(this.#failed)
    const detection = this.#detection(run)
    if (run.command === 'replay') return this.#replay(detection)
    const { changes, writes, removalsFirst } = detect(detection)
    for (const form of unguardedForms(detection, changes)) this.#unguarded.add(form)
    const dies = run.detectorDies !== null && changes.length > 0
    const written = dies ? Math.floor((run.detectorDies ?? 0) * writes.length) : writes.length
    for (const write of writes.slice(0, written)) write()
    const isCut = dies || (run.interrupted && changes.length > 0)
    this.#takeNotice(detection)
    const faults = this.#deliver(run, removalsFirst)
    // A run that does not look at every row leaves the others to the next run.
    const isWhole =
      !dies && run.command !== 'discard' && run.invalid.length === 0 && !this.#leavesUndecided(run)
    this.#faults = [...(isWhole ? [] : this.#faults), ...faults]
    if (!dies) this.#first = false
    return !isCut
  }

  #detection(run: RunPlan): Detection {
    return {
      plan: this.#plan,
      run,
      number: this.#run,
      first: this.#first,
      model: this.#model,
      state: this.#live,
      topics: this.#topics,
      random: this.#random,
      upTo: this.#decisions.upTo,
    }
  }

  #leavesUndecided({ command }: RunPlan): boolean {
    if (!this.#plan.atMostOnce) return false
    const upTo = command === 'retry' ? this.#decisions.upTo : -1
    return [...this.#live.values()].some(({ isUndecided, run }) => isUndecided && run > upTo)
  }

  /** A published change may not be superfluous. A settled key is no longer certain. */
  #takeNotice({ run, state }: Detection): void {
    for (const { changes } of this.#topics) {
      for (const change of changes) {
        if (change.run !== this.#run) continue
        this.#assertOwnId(change, state)
        if (change.op === 'settled') {
          this.#takeSettled(change, state)
          const isGivenUp = change.muted !== null && state.get(change.key)?.muted !== change.muted
          if (run.command === 'discard' && isGivenUp) this.#decisions.assertGivenUp(change.key)
          if (run.command === 'run' || run.command.startsWith('resync'))
            this.#decisions.assertKnown(change.key)
          this.#decisions.known(change.key)
        } else this.#assertNeeded({ ...change, op: change.op }, run)
      }
    }
  }

  /** A row that has come back does not see the id of an object that was there before it. */
  #assertOwnId({ key, captured }: Change, state: State): void {
    const kind = state.get(key)?.kind ?? 'absent'
    if (kind === 'absent') this.#ids.delete(key)
    if (captured !== null && captured !== this.#ids.get(key))
      this.#broken(`${key} was given the id ${captured}, not ${String(this.#ids.get(key))}`)
  }

  #takeSettled(change: Change, state: State): void {
    const before = state.get(change.key)
    const isAsBefore =
      change.settledState === (before?.kind ?? 'absent') && change.after === (before?.row ?? null)
    if (isAsBefore) return
    this.#certain.delete(change.key)
    // It is sent again.
    if (change.settledState?.endsWith('-uncertain') === true) return
    this.#taken.add(change.key)
  }

  #assertNeeded(change: Sent, run: RunPlan): void {
    const { key, op, after } = change
    // A resync doubts each row once. The doubt stays until the row is delivered.
    if (run.command.startsWith('resync') && this.#decisions.isFirstFor(key)) this.#certain.delete(key)
    if (this.#mayBeTakenAway(key)) this.#certain.delete(key)
    const certain = this.#certain.get(key)
    if (certain === undefined) return
    const differs = run.compare.some(column => certain?.[column] !== after?.[column])
    const needed = decide(certain === null ? 'absent' : 'present', after !== null, differs)
    if (needed !== op) this.#broken(`${op} of ${key} was sent, and ${String(needed)} was needed`)
  }

  /** True if the run removes a twin of the key. */
  #mayBeTakenAway(key: string): boolean {
    const isTwin = (change: Change): boolean =>
      change.run === this.#run &&
      change.op === 'removed' &&
      change.key !== key &&
      folded(change.key) === folded(key)
    return this.#topics.some(({ changes }) => changes.some(isTwin))
  }

  /** Handles what stages had left, once they work again. Its run has ended long ago. */
  #passOver(): void {
    for (const { partition, rows, rest } of this.#left) {
      const topics = this.#topics[partition]
      if (rest === 'passed-over' || topics === undefined) continue
      const { api: kind, batchSize } = this.#plan
      const rules = { tellsMissing: tellsMissing(this.#plan), removalsFirst: false }
      const onBroken = (what: string): never => this.#broken(what)
      const of = {
        ...IDLE,
        ...rules,
        api: this.#api,
        kind,
        batchSize,
        retryPolicy: this.#retryPolicy,
        onBroken,
      }
      deliver({ ...of, topics, changes: rows, atMostOnce: false, isCancelled: () => true }).next()
    }
    this.#left = []
  }

  get #retryPolicy(): RetryPolicy {
    const repeatsUnknown = !this.#plan.atMostOnce
    return { extra: this.#plan.extraTries, firstMs: 1, maxMs: 1, repeatsUnknown }
  }

  #deliver(run: RunPlan, removalsFirst: boolean): readonly Fault[] {
    this.#passOver()
    const faults: Fault[] = []
    const nextFate = fatesOf(run)
    const nextRowFate = this.#plan.tellsRows ? rowFatesOf(run) : null
    const published = this.#topics.map(({ changes }) => changes.filter(change => change.run === this.#run))
    const all = published.flat().filter(({ op }) => op !== 'settled').length
    const limit = run.cancelled === null ? Infinity : Math.floor(run.cancelled * all)
    let finished = 0
    let counts: CountsByOp = {}
    const working = shuffled([...this.#topics.entries()], this.#random).map(([partition, topics]) => {
      const death = run.deliveryDies[partition] ?? null
      const setAside = run.setAside[partition] ?? null
      const delivery = deliver({
        api: this.#api,
        kind: this.#plan.api,
        tellsMissing: tellsMissing(this.#plan),
        removalsFirst,
        topics,
        changes: published[partition] ?? [],
        batchSize: this.#plan.batchSize,
        nextFate,
        nextRowFate,
        splitsBatches: this.#plan.splitsBatches,
        death,
        handsOver: run.handsOver[partition] ?? null,
        deadly: run.deadly,
        retryPolicy: this.#retryPolicy,
        stopsAt: setAside?.at ?? 1,
        isCancelled: () => finished >= limit,
        atMostOnce: this.#plan.atMostOnce,
        hasTokens: this.#plan.hasTokens,
        onSend: rows => this.#sent(rows),
        onKnown: rows => rows.forEach(({ key }) => this.#decisions.known(key)),
        onFinished: (row, outcome) => {
          finished += 1
          this.#finished(row, outcome)
        },
        onBroken: what => this.#broken(what),
      })
      // Up to where it waits for the removals of the other partitions.
      return { partition, setAside, delivery, until: delivery.next() }
    })
    for (const { partition, setAside, delivery, until } of working) {
      const ended = until.done === true ? until : delivery.next()
      if (ended.done !== true) return this.#broken('a partition waits twice for removals')
      const { counts: delivered, left } = ended.value
      counts = addCounts(counts, addCounts(delivered, lostCounts(left)))
      const [first] = left
      if (setAside === null || first === undefined) continue
      faults.push({ partition, run: this.#run, from: first.seq })
      this.#left.push({ partition, rows: left, rest: setAside.rest })
      for (const { key } of left) this.#certain.delete(key)
    }
    this.#assertCounts(published.flat(), counts)
    return faults
  }

  #sent(rows: readonly Sent[]): void {
    this.#requests += 1
    this.#recorded.push([...rows])
    for (const { key } of rows) {
      this.#certain.delete(key)
      this.#decisions.sent(key)
    }
  }

  #finished({ key, op, after }: Sent, outcome: Outcome): void {
    // A request that may have been sent before a death counts as sent.
    if (outcome === 'unknown') this.#certain.delete(key)
    if (outcome !== 'delivered') return
    const id = this.#topics.map(({ captured }) => captured.get(key)).findLast(found => found !== undefined)
    if (op === 'added' && id !== undefined) this.#ids.set(key, id)
    this.#certain.set(key, op === 'removed' ? null : after)
    this.#taken.delete(key)
  }

  #assertCounts(published: readonly Change[], counts: CountsByOp): void {
    for (const op of OPS) {
      const { delivered, rejected, unknown, unsent } = countsOf(counts, op)
      const detected = published.filter(change => change.op === op).length
      if (delivered + rejected + unknown + unsent !== detected)
        this.#broken(`${detected} rows were ${op}, and ${JSON.stringify(counts)} came of them`)
    }
  }

  /**
   * Recorded requests go out again, in their order, once all of their rows are uncertain. A process that dies
   * may send one twice, or not at all. False for a run that was cut before: it sends none.
   */
  #replay(detection: Detection): boolean {
    const from = this.#random.below(this.#recorded.length + 1)
    const requests = this.#recorded.slice(from, from + 1 + this.#random.below(MAX_REPLAYED))
    const rows = requests.flat()
    const writes = settleReplayed(detection, rows)
    for (const form of unguardedForms(detection, rows)) this.#unguarded.add(form)
    const { detectorDies } = detection.run
    const isCut = detectorDies !== null && writes.length > 0
    const written = isCut ? Math.floor((detectorDies ?? 0) * writes.length) : writes.length
    for (const write of writes.slice(0, written)) write()
    // A row that is settled as uncertain may be sent again, and so may the change that a settled key waited
    // with.
    const settled = this.#topics.flatMap(({ changes }) => changes.filter(({ run }) => run === this.#run))
    for (const { key } of [...rows, ...settled]) {
      this.#certain.delete(key)
      this.#decisions.known(key)
    }
    if (isCut) return false
    for (const request of requests) {
      const sent = request.map(({ op, key, after, captured }) => ({ op, key, row: after, id: captured }))
      for (let times = this.#random.below(3); times > 0; times -= 1) this.#api.take(sent)
    }
    return true
  }

  #converge(): void {
    this.#plan = { ...this.#plan, giveUpAfter: null }
    const most = runsToConverge(this.#plan)
    // Somebody decides about all that is in doubt.
    for (let runs = 1; runs <= most; runs += 1) this.#playRun({ ...FAULT_FREE, command: 'retry' })
    const difference = this.#difference()
    if (difference !== null) this.#broken(`after ${most} runs without failures ${difference}`)
  }

  /** The first difference between the destination and the model, or null. */
  #difference(): string | null {
    this.#feed(false)
    const objects = this.#api.objects()
    const formOf = (key: string): string => (this.#plan.foldsKeys ? folded(key) : key)
    for (const [form, keys] of Map.groupBy(EVERY_KEY, formOf)) {
      if (this.#unguarded.has(form) || keys.some(key => this.#isExcused(key))) continue
      const rows = keys.flatMap(key => this.#model.get(key) ?? [])
      const id = this.#idOf(keys.find(key => this.#model.has(key)) ?? form)
      const there = objects.find(object => formOf(object.key) === form && object.id === id)?.row ?? null
      // If the model has both spellings, the API has the row that came last.
      const isRight = there === null ? rows.length === 0 : rows.some(row => isDeepStrictEqual(there, row))
      if (!isRight) return `${form} is ${JSON.stringify(there)}, not ${JSON.stringify(rows)}`
    }
    return null
  }

  /** Keys that were given up or discarded, and those whose state was taken as delivered without a request. */
  #isExcused(key: string): boolean {
    const known = this.#live.get(key)
    if (this.#taken.has(key)) return true
    if (known === undefined || known.muted === null) return false
    const row = this.#model.get(key) ?? null
    const differs = !isDeepStrictEqual(known.row, row)
    const op = decide(known.kind, row !== null, differs)
    return op !== null && known.muted === mutedText(op, row ?? known.row)
  }

  #idOf(key: string): string | null {
    const known = this.#live.get(key)
    return known === undefined ? null : (this.#topics[known.partition]?.captured.get(key) ?? null)
  }

  #leftBehind(): number {
    if (this.#plan.api !== 'makes-ids') return 0
    return this.#api.objects().filter(({ key, id }) => id !== this.#idOf(key)).length
  }
}

/** Requests that one replay sends again. */
const MAX_REPLAYED = 4

/** A delivery of requests that no stage sends any more. */
const IDLE = {
  nextFate: () => ({ kind: 'answered' }) as const,
  nextRowFate: null,
  splitsBatches: false,
  hasTokens: false,
  death: null,
  handsOver: null,
  deadly: null,
  stopsAt: 1,
  onSend: () => undefined,
  onKnown: () => undefined,
  onFinished: () => undefined,
}

/** The fate of the rows that were left is unknown. */
function lostCounts(rows: readonly Sent[]): CountsByOp {
  const none = { detected: 0, delivered: 0, rejected: 0, unknown: 0, unsent: 0, requests: 0, attempts: 0 }
  return rows.reduce<CountsByOp>((sum, { op }) => addCounts(sum, { [op]: { ...none, unknown: 1 } }), {})
}

/** A map in the order of another, for a comparison that takes order as part of it. */
function sorted(state: State, like: State): State {
  const known = [...like.keys()].flatMap(key => {
    const found = state.get(key)
    return found === undefined ? [] : [[key, found] as const]
  })
  return new Map([...known, ...[...state].filter(([key]) => !like.has(key))])
}
