/**
 * Judges a history of a stream at the API. It must have what the table has in the end, no row may go back to
 * an older one, and no request may be needless.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Outcome } from '@sluice/contracts/state'
import { makeApi, type Api, type ApiAnswer } from '../apis.ts'
import { EVERY_KEY, folded, type ApiKind, type Row } from '../plan.ts'
import { isMuted, type Command } from './decide-key.ts'
import type { SentChange } from './delivery.ts'
import type { TableRead } from './source.ts'
import { lastPosition, type Partition, type States, type StreamChange } from './topics.ts'

export interface JudgeOptions {
  readonly api: ApiKind
  readonly foldsKeys: boolean
  /** Rows are given up after so many failures, too. */
  readonly givesUp: boolean
  readonly onBroken: (what: string) => never
}

export class StreamJudge {
  readonly #options: JudgeOptions
  readonly #api: Api
  requests = 0
  /** The row that the API surely has of a key; null: none. */
  readonly #certain = new Map<string, Row | null>(EVERY_KEY.map(key => [key, null]))
  /** The version of the last change of each key that the API has taken. */
  readonly #arrived = new Map<string, number>()
  /** Versions up to which a key may go back, since a comparison had newer rows than it knows. */
  readonly #mayGoBack = new Map<string, number>()
  /** The ids of the objects that the API made last. */
  readonly #ids = new Map<string, string>()
  /** Keys that a resync has doubted. */
  readonly #doubted = new Set<string>()
  /** Failed changes that somebody saw when deciding about them. */
  #seen: ReadonlySet<string> = new Set()
  /** Objects that the API had when the sync forgot everything. */
  #orphans: ReadonlySet<string> = new Set()

  constructor(options: JudgeOptions) {
    this.#options = options
    this.#api = makeApi(options)
  }

  #twinsOf(key: string): readonly string[] {
    return this.#options.foldsKeys ? EVERY_KEY.filter(other => folded(other) === folded(key)) : [key]
  }

  #forget(key: string): void {
    for (const each of this.#twinsOf(key)) this.#certain.delete(each)
  }

  asked({ kind }: Command, partitions: readonly Partition[]): void {
    this.#doubted.clear()
    if (kind === 'resync') return
    const seen = partitions.flatMap(({ retry, changes, finishedSlice, finishedRun }) =>
      changes.flatMap(item => {
        if (item.kind !== 'change') return []
        const { key, run, seq, slice } = item.change
        const entry = retry.get(key)
        const isOver = run <= finishedRun || slice <= finishedSlice
        return isOver && entry?.run === run && entry.seq === seq ? [`${key} ${run} ${seq}`] : []
      }),
    )
    this.#seen = new Set(seen)
  }

  tableRead({ isExact, versions }: TableRead): void {
    if (!isExact) for (const [key, version] of versions) this.#mayGoBack.set(key, version)
  }

  doubt(rows: readonly SentChange[]): void {
    for (const { key } of rows) this.#forget(key)
  }

  /** `known`: what the topics said of the key before. */
  published(change: StreamChange, { partitions, known, command, isRepeated }: Published): void {
    const { key, op, after, wanted, retried, muted, settledState } = change
    // The topics say that all entries up to this one were dealt with.
    const position = lastPosition(partitions)
    const highest = Math.min(...(position?.at.map(place => place.highest) ?? []))
    const isOld = position?.epoch === wanted.order.epoch && wanted.order.at <= highest
    if (!isRepeated && retried === null && isOld)
      this.#options.onBroken(`${key} was published for an entry that came twice`)
    this.#assertOwnId(change)
    if (op === 'settled') {
      if (settledState?.endsWith('-uncertain') === true) this.#forget(key)
      const before = known.get(key)
      const isGivenUp = muted !== null && before !== undefined && before.muted !== muted
      if (isGivenUp && command?.kind === 'discard' && !this.#options.givesUp)
        this.#assertSeen(key, partitions)
      return
    }
    const isResync = command?.kind === 'resync' && (known.get(key)?.run ?? Infinity) <= command.run
    if (isResync && !this.#doubted.has(key)) this.#forget(key)
    if (isResync) this.#doubted.add(key)
    const certain = this.#certain.get(key)
    if (certain !== undefined && isDeepStrictEqual(certain, op === 'removed' ? null : after))
      this.#options.onBroken(`${key} was published, and the API has ${JSON.stringify(certain)}`)
  }

  /** A row that has come back does not see the id of an object that was there before it. */
  #assertOwnId({ key, captured, beforeState, op }: StreamChange): void {
    if (beforeState === 'absent') this.#ids.delete(key)
    if (op !== 'settled' && captured !== null && captured !== this.#ids.get(key))
      this.#options.onBroken(`${key} was published with the id ${captured}`)
  }

  #assertSeen(key: string, partitions: readonly Partition[]): void {
    const isSeen = partitions.some(({ retry }) => {
      const entry = retry.get(key)
      return entry !== undefined && this.#seen.has(`${key} ${entry.run} ${entry.seq}`)
    })
    if (!isSeen) this.#options.onBroken(`${key} was given up, and failed after that was asked for`)
  }

  send(rows: readonly SentChange[]): ApiAnswer {
    this.requests += 1
    for (const { key, op, wanted, captured } of rows) {
      this.#forget(key)
      const before = this.#arrived.get(key) ?? 0
      const mayGoBack = before <= (this.#mayGoBack.get(key) ?? -1)
      if (wanted.version < before && !mayGoBack)
        this.#options.onBroken(`${key} went back from version ${before} to ${wanted.version}`)
      this.#arrived.set(key, wanted.version)
      const id = this.#ids.get(key)
      if (this.#options.api === 'makes-ids' && op !== 'added' && captured !== id)
        this.#options.onBroken(`${key} was ${op} by the id ${String(captured)}, and has ${String(id)}`)
    }
    return this.#api.take(rows.map(({ op, key, after, captured }) => ({ op, key, row: after, id: captured })))
  }

  finished({ op, key, after }: SentChange, outcome: Outcome, id: string | null): void {
    if (id !== null) this.#ids.set(key, id)
    if (outcome === 'delivered' && this.#twinsOf(key).length === 1)
      this.#certain.set(key, op === 'removed' ? null : after)
    // A request that may have been sent before a death counts as sent.
    else if (outcome !== 'rejected') this.#forget(key)
  }

  /** The sync forgets everything, and the API nothing. */
  reset(): void {
    this.#orphans = new Set(this.#api.objects().map(({ key }) => key))
    this.#certain.clear()
    this.#ids.clear()
  }

  /** Throws if the API does not have what the table has, but for rows that were given up. */
  assertEqual(table: ReadonlyMap<string, Row>, states: States, by: EndRules): void {
    for (const key of EVERY_KEY) {
      const [first] = this.#twinsOf(key)
      if (first === key) this.#assertKey(key, table, states, by)
    }
  }

  #assertKey(key: string, table: ReadonlyMap<string, Row>, states: States, by: EndRules): void {
    const twins = this.#twinsOf(key)
    const isGivenUp = (twin: string): boolean => {
      const known = states.get(twin)
      return known !== undefined && isMuted(known, table.get(twin) ?? null, by.compare)
    }
    if (twins.some(isGivenUp)) return
    const rows = twins.flatMap(twin => table.get(twin) ?? [])
    const id = by.idOf(key)
    const there = this.#api
      .objects()
      .find(object => twins.includes(object.key) && (this.#options.api !== 'makes-ids' || object.id === id))
    const isRight =
      there === undefined ? rows.length === 0 : rows.some(row => isEqual(there.row, row, by.compare))
    const isOrphan = rows.length === 0 && twins.some(twin => this.#orphans.has(twin))
    if (!isRight && !isOrphan)
      this.#options.onBroken(`${key} is ${JSON.stringify(there?.row)}, not ${JSON.stringify(rows)}`)
    for (const twin of twins) {
      const row = table.get(twin) ?? null
      const believed = states.get(twin)?.row ?? null
      if (!isEqual(believed, row, by.compare))
        this.#options.onBroken(`the state has ${JSON.stringify(believed)} of ${twin}`)
    }
  }
}

interface EndRules {
  readonly compare: readonly (keyof Row)[]
  readonly idOf: (key: string) => string | null
}

interface Published {
  readonly partitions: readonly Partition[]
  readonly known: States
  readonly command: Command | null
  readonly isRepeated: boolean
}

function isEqual(a: Row | null, b: Row | null, columns: readonly (keyof Row)[]): boolean {
  return a === b || (a !== null && b !== null && columns.every(column => a[column] === b[column]))
}
