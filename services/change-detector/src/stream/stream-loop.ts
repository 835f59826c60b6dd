/**
 * The loop of a run over a stream: it hears what delivery has finished, reads the source, decides, and
 * publishes, one after the other (PROTOCOL.md §15).
 *
 * A comparison with the whole table only happens before the run has published anything. If a comparison is
 * needed later, the run ends, and the next one begins with it. So nothing is in flight, and the removal guard
 * can hold the run.
 */
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { HeldRemovals, StreamPosition } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import type { Column } from '@sluice/contracts/values'
import type { ExtractRows } from '@sluice/delivered-state/extract-port'
import type { StreamedKey, StreamState } from '@sluice/delivered-state/stream-port'
import { formOf } from '@sluice/domain/key-form'
import { ROW_CEILING_BYTES } from '@sluice/domain/record-sizes'
import type { Notifier } from '@sluice/flow/notifier'
import { doublingPause } from '@sluice/flow/retry'
import { sleep } from '@sluice/flow/sleep'
import type { Encoder } from '@sluice/schema-codec/port'
import type {
  ComparedStream,
  StreamBreak,
  StreamReader,
  StreamSlice,
  StreamSource,
} from '@sluice/sources/stream-port'
import { bytesOf } from './compared-rows.ts'
import { comparedKeys, removalsOf, type ComparedKey } from './compare-table.ts'
import { decideSlice, type DecideRules, type FoundChange } from './decide-slice.ts'
import type { Hearing } from './hearing.ts'
import { InFlight } from './in-flight.ts'
import type { LastPosition } from './last-position.ts'
import { noneMeantNotice } from '../run/notices.ts'
import { Owing } from './owing.ts'
import type { PlacedChange, SlicePublisher } from './publish-slice.ts'
import type { RemovalWindow } from './removal-window.ts'
import type { AskedCommand } from './stream-command.ts'
import type { StreamCounts } from './stream-counts.ts'
import { isNewer, toldOf, wholeOf, type StreamedRow } from './streamed-row.ts'

/** Rows that are held back or in flight take about this many bytes at most. Beyond it nothing is read. */
const MAX_WAITING_BYTES = 16_000_000
/**
 * A key that waits takes so much beside its rows, roughly. Without it, small rows would wait by the hundred
 * thousand. Nothing gets faster by that, and V8 copies what lives long.
 */
const KEY_BYTES = 400
const MAX_SLICE_BYTES = 4_000_000
/** At most this many slices owe something. Beyond it nothing is read. */
const MAX_OWING = 4_096
/** Due rows, and rows of a command, take at most this share of a slice. */
const SHARE_OF_SLICE = 4
/** A position that has moved is told after this time. */
const TELL_AFTER_MS = 5_000
/**
 * One that has not moved is told again after this time, so that a successor knows when somebody was there.
 */
const TELL_AGAIN_MS = 1_800_000
/**
 * A run ends after this time, at the first moment with nothing in flight, and after twice this time in any
 * case.
 */
const RUN_MS = 3_600_000
/** A run whose approval is not used up ends once nothing has come for this time. */
const NOTHING_CAME_MS = 5_000
/** Due rows that are all in flight are looked at again after this time. */
const LOOK_AGAIN_MS = 1_000
const REOPEN = { firstMs: 200, maxMs: 10_000 }
/** If the source is away for this time, the run ends. The next ones fail, and so tell people why. */
const AWAY_MS = 30_000
/** To count the removals that somebody has to approve, the loop reads up to this many more entries. */
const MAX_COUNTED = 1_000_000
/** It counts for this time at most, since a log may have ever more entries. */
const MAX_COUNTING_MS = 30_000
const MAX_SAMPLES = 10

/** The position if nothing was read, or if the log breaks off. A successor compares. */
export const NOWHERE: StreamPosition = { epoch: 0, history: '', model: '', partitions: [] }

export interface StreamLoopOptions {
  readonly definition: Definition
  readonly source: StreamSource
  readonly state: StreamState
  readonly publisher: SlicePublisher
  readonly hearing: Hearing
  readonly removals: RemovalWindow
  readonly counts: StreamCounts
  readonly changes: Notifier
  /** The position of the last marker; null if there is none. */
  readonly last: LastPosition | null
  /** Why the table has to be compared first; null if it need not be. */
  readonly why: StreamBreak | null
  /** Hash of the model and of the columns that are compared or rendered. */
  readonly modelHash: string
  readonly primaryKey: readonly string[]
  readonly rules: DecideRules
  readonly command: AskedCommand | null
  /** True for the run of a command, and for one that somebody approved: it ends once that is done. */
  readonly isAskedFor: boolean
  /** How many removals are approved; null: none. */
  readonly approved: number | null
  /** True for a first comparison that takes its rows as being there. */
  readonly isBaseline: boolean
  readonly partitions: number
  readonly retryAfterMs: number
  readonly compared: (extract: ComparedStream, signal: AbortSignal) => Promise<ExtractRows>
  /** The path of a file that does not exist. */
  readonly extractFile: () => Promise<string>
  /** Waits until this process may compare one more table. */
  readonly turn: (signal: AbortSignal) => Promise<Disposable | undefined>
  /** Throws if somebody has to say first how the sync begins, and the table has rows. */
  readonly assertFirstRunChosen: (rows: number) => void
  /** To be called before the first slice. Resolves once the run may be published. */
  readonly begin: (columns: readonly Column[]) => Promise<Encoder>
  /** Columns of the source as they are known before a comparison. */
  readonly columns: readonly Column[]
  /** Aborts when the run has to stop where it is. */
  readonly stopping: AbortSignal
  /** Aborts when the run has to end for another one, once its comparison and its command are done. */
  readonly asked: AbortSignal
  /** Aborts when the run has to end at once for another one. */
  readonly edited: AbortSignal
  readonly now: () => number
  /** Milliseconds of a monotonic clock. */
  readonly steadyNow: () => number
  readonly warn: (error: unknown, what: string) => void
}

export type LoopEnd =
  /** `isWhole`: its comparison and its command are done. */
  | { readonly kind: 'ended'; readonly isWhole: boolean }
  | { readonly kind: 'held'; readonly toApprove: HeldRemovals }

/** The rows that are still to be compared, and the position behind them. */
interface Comparison {
  readonly pages: AsyncGenerator<readonly ComparedKey[]>
  readonly behind: StreamPosition
  readonly isBaseline: boolean
  readonly files: AsyncDisposableStack
}

/** The keys of a slice that is to be decided, and the positions at both of its ends. */
interface ToDecide {
  readonly newest: Map<string, StreamedRow>
  readonly start: StreamPosition
  readonly behind: StreamPosition
  readonly known: ReadonlyMap<string, StreamedKey>
}

export class StreamLoop {
  readonly #options: StreamLoopOptions
  readonly #inFlight: InFlight<StreamedRow>
  /** The newest entries of keys that wait. */
  readonly #held = new Map<string, StreamedRow>()
  #heldBytes = 0
  /** True if a key that is held back may have become free. */
  #mayFree = false
  readonly #owing = new Owing<StreamPosition>()
  #position: StreamPosition
  #break: StreamBreak | null
  #comparison: Comparison | null = null
  #reader: StreamReader | null = null
  #reading: Promise<void> | null = null
  #read: StreamSlice | StreamBreak | null = null
  #failure: { readonly error: unknown } | null = null
  #encoder: Encoder | null = null
  #columns: readonly Column[]
  #slice = 0
  /** The last slice whose position the source was told of. */
  #toldToSource = 0
  readonly #heardSlices: number[]
  #told: StreamPosition
  #toldAt: number
  #allowed: number
  /** Where the search for rows of the command goes on; undefined once it is done. */
  #commandFrom: string | null | undefined
  #commandLeft = false
  #isAnyMeant = false
  /** True once it has met more removals than the guard lets through. */
  #isGuarded = false
  /** Keys whose rows are too large for a record. */
  readonly #refused = new Set<string>()
  /** Slices that are not paid yet. */
  readonly #paying = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  /** Aborts when the run has to end at once. */
  readonly #signal: AbortSignal
  readonly #since: number
  /** When it had something to do last. */
  #busyAt: number

  constructor(options: StreamLoopOptions) {
    const { last, why, partitions, now, steadyNow, approved, command, columns, stopping, edited } = options
    this.#options = options
    this.#signal = AbortSignal.any([stopping, edited, this.#stop.signal])
    this.#position = { ...(last?.position ?? NOWHERE), guarded: null }
    this.#told = this.#position
    this.#break = why
    this.#columns = columns
    this.#inFlight = new InFlight(partitions)
    this.#heardSlices = new Array<number>(partitions).fill(0)
    this.#since = steadyNow()
    this.#busyAt = this.#since
    this.#toldAt = this.#since - (last === null ? 0 : Math.max(0, now() - last.toldAt))
    this.#allowed = approved ?? 0
    this.#commandFrom = command === null ? undefined : null
  }

  /** By partition, the last slice that was heard of. */
  get heard(): readonly number[] {
    return this.#heardSlices
  }

  get held(): number {
    return this.#held.size
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  lag(): { readonly records: number | null; readonly oldestCommittedAt: number | null } {
    const { records = null, oldestCommittedAt = null } = this.#reader?.lag() ?? {}
    let oldest = oldestCommittedAt
    const look = ({ committedAt }: StreamedRow): void => {
      if (committedAt !== null && committedAt < (oldest ?? Infinity)) oldest = committedAt
    }
    for (const held of this.#held.values()) look(held)
    for (const { wanted } of this.#inFlight.all()) look(wanted)
    return { records, oldestCommittedAt: oldest }
  }

  /** The marker of a slice is acknowledged in a partition, with `end` behind it in `changes`. */
  marked(slice: number, partition: number, end: number): void {
    this.#inFlight.acknowledged(slice, partition, end)
    this.#options.changes.notify()
  }

  /** Called when something outside has failed. */
  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#options.changes.notify()
  }

  /**
   * Works until the run has to end. All that it has published is acknowledged then, and the position is told.
   * Rejects with a failure of source, state or log.
   */
  async run(): Promise<LoopEnd> {
    const { changes, stopping, asked, edited, publisher } = this.#options
    const wake = (): void => changes.notify()
    const ends = [stopping, asked, edited]
    for (const each of ends) each.addEventListener('abort', wake)
    try {
      await this.#open()
      const held = await this.#countAhead()
      if (held !== null) return held
      for (;;) {
        const seen = changes.version
        const end = await this.#step(seen)
        if (end === null) continue
        if (end.kind === 'ended' && publisher.hasBegun) await this.#finish()
        return end
      }
    } finally {
      for (const each of ends) each.removeEventListener('abort', wake)
      await this.#close()
    }
  }

  async #step(seen: number): Promise<LoopEnd | null> {
    if (this.#failure !== null) throw this.#failure.error
    await this.#hear()
    const end = this.#whyEnd()
    if (end !== null) return end
    if (this.#comparison === null && this.#break !== null) return await this.#beginComparison(this.#break)
    this.#readOn()
    if (this.#options.publisher.hasRoom) {
      const worked = await this.#work()
      if (worked === true) {
        this.#busyAt = this.#options.steadyNow()
        return null
      }
      if (worked !== false) return worked
    }
    if (await this.#tell(TELL_AFTER_MS)) return null
    await this.#wait(seen)
    return null
  }

  /** Takes notice of what delivery has finished. */
  async #hear(): Promise<void> {
    const { hearing, state, partitions } = this.#options
    for (let partition = 0; partition < partitions; partition += 1) {
      const slice = hearing.sliceOf(partition)
      if (slice <= (this.#heardSlices[partition] ?? 0)) continue
      const last = this.#inFlight.endOf(slice, partition)
      if (last === null) continue
      await hearing.take(state, partition, last.end)
      this.#heardSlices[partition] = last.slice
      this.#inFlight.heard(last.slice, partition)
      this.#mayFree = true
    }
  }

  /**
   * True until the comparison and the command of the run are done. If it ended now, a successor would do the
   * rest.
   */
  get #isUnfinished(): boolean {
    // A run that has published something leaves a comparison to the next one.
    const mustCompare = this.#break !== null && !this.#options.publisher.hasBegun
    const isCompared = this.#comparison === null && this.#from.epoch === this.#position.epoch && !mustCompare
    return !isCompared || this.#commandFrom !== undefined
  }

  #whyEnd(): LoopEnd | null {
    const { stopping, asked, edited, steadyNow, publisher } = this.#options
    const isWhole = !this.#isUnfinished
    if (stopping.aborted || edited.aborted || this.#isAway) return { kind: 'ended', isWhole }
    // The next run begins with the comparison.
    if (this.#break !== null && publisher.hasBegun) {
      this.#options.counts.brokeOff(this.#break)
      return { kind: 'ended', isWhole }
    }
    if (!isWhole) return null
    if (asked.aborted || this.#hasDoneWhatWasAsked) return { kind: 'ended', isWhole }
    const lasts = steadyNow() - this.#since
    const isOver = (lasts >= RUN_MS && this.#inFlight.isEmpty && this.#held.size === 0) || lasts >= 2 * RUN_MS
    return isOver ? { kind: 'ended', isWhole } : null
  }

  /** The comparison and the command of the run are done. */
  get #hasDoneWhatWasAsked(): boolean {
    const { isAskedFor, steadyNow } = this.#options
    if (!isAskedFor) return false
    // The table may need fewer removals than are approved, and nothing tells that the last of them has come.
    return this.#allowed === 0 || steadyNow() - this.#busyAt >= NOTHING_CAME_MS
  }

  /** Waits for the appends under way, and tells the position. */
  async #finish(): Promise<void> {
    const { publisher } = this.#options
    await publisher.acknowledged()
    await Promise.all(this.#paying)
    // The comparison of the next run makes up for what is owed, so it must not read anything before.
    const { epoch } = this.#position
    const from = this.#isGuarded ? { ...this.#from, guarded: true } : this.#from
    const position = this.#break === null ? from : { ...NOWHERE, epoch }
    if (await this.#tell(0, position)) await publisher.acknowledged()
  }

  /** Leaves the reader away if the run has to end at once. */
  async #open(): Promise<void> {
    try {
      await this.#openLog()
    } catch (error) {
      if (!this.#signal.aborted) throw error
    }
  }

  async #openLog(): Promise<void> {
    const { source, definition, now, steadyNow } = this.#options
    const signal = this.#signal
    if (this.#break === null) {
      const toldAt = now() - (steadyNow() - this.#toldAt)
      const opened = await source.open(definition.model, this.#position, { signal, toldAt })
      if (opened.kind === 'reader') {
        this.#reader = opened.reader
        return
      }
      this.#break = opened
    }
    const opened = await source.open(definition.model, null, { signal })
    if (opened.kind === 'break')
      throw new SluiceError('internal', `a stream cannot be opened for a comparison: ${opened.detail}`)
    this.#reader = opened.reader
  }

  async #close(): Promise<void> {
    this.#stop.abort(new SluiceError('aborted', 'the run over the stream has ended'))
    await this.#reading
    await this.#comparison?.files.disposeAsync()
    await this.#reader?.[Symbol.asyncDispose]()
    this.#reader = null
  }

  /** Has the source read on, if there is room for what comes. */
  #readOn(): void {
    const isWaiting = this.#reading !== null || this.#read !== null
    if (isWaiting || this.#comparison !== null || this.#reader === null) return
    if (!this.#hasRoom) return
    const { changes } = this.#options
    this.#reading = this.#next(this.#reader)
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.#reading = null
        changes.notify()
      })
  }

  async #next(reader: StreamReader): Promise<void> {
    const { definition } = this.#options
    const { rows = 5_000, wait = 5 } = definition.sync.slice ?? {}
    const signal = this.#signal
    try {
      this.#read = await reader.next({ rows, bytes: MAX_SLICE_BYTES, waitMs: wait, signal })
      this.#failures = 0
    } catch (error) {
      if (signal.aborted) return
      if (!isSluiceError(error) || !error.retryable) throw error
      await this.#reopen(error)
    }
  }

  #failures = 0
  #isAway = false

  /**
   * Opens the log again after a transient failure. What was published and held back stays. Gives up after a
   * while.
   */
  async #reopen(error: unknown): Promise<void> {
    const { warn, source, definition, now, steadyNow, publisher, counts } = this.#options
    warn(error, 'the source is opened again')
    const signal = this.#signal
    const toldAt = now()
    const since = steadyNow()
    await this.#reader?.[Symbol.asyncDispose]()
    this.#reader = null
    for (;;) {
      this.#failures += 1
      await sleep(doublingPause(this.#failures, REOPEN), { signal }).catch(() => undefined)
      if (signal.aborted) return
      try {
        const opened = await source.open(definition.model, this.#position, { signal, toldAt })
        if (opened.kind === 'break') this.#read = opened
        else this.#reader = opened.reader
        return
      } catch (again) {
        if (signal.aborted) return
        if (!isSluiceError(again) || !again.retryable) throw again
        warn(again, 'the source is opened again')
        if (steadyNow() - since < AWAY_MS) continue
        if (!publisher.hasBegun) throw again
        counts.noticed(
          `the source was away for ${AWAY_MS / 1_000} s: ${again.message}. The next run tries again`,
        )
        this.#isAway = true
        return
      }
    }
  }

  /**
   * False if nothing more may be taken up. Keys that are held back, and are free again, are decided all the
   * same: what they owe and take up would never go otherwise.
   */
  get #hasRoom(): boolean {
    return this.#inFlight.bytes + this.#heldBytes < MAX_WAITING_BYTES && this.#owing.size < MAX_OWING
  }

  /** Decides one slice. Returns true if there was something to do. */
  async #work(): Promise<LoopEnd | boolean> {
    const slice = this.#comparison === null ? this.#sliceOfLog() : await this.#sliceOfTable(this.#comparison)
    return typeof slice === 'boolean' ? slice : await this.#decide(slice)
  }

  /** What was read, keys that are free again, rows that are due, and rows of the command. */
  #sliceOfLog(): ToDecide | boolean {
    const start = this.#position
    const read = this.#read
    const newest = new Map<string, StreamedRow>()
    let behind = start
    if (read?.kind === 'break') {
      this.#break = read
      this.#read = null
      return true
    }
    if (read !== null) {
      this.#read = null
      const lacking = this.#takeEntries(read, newest)
      if (lacking !== null) {
        this.#break = lacking
        return true
      }
      behind = { ...read.position, epoch: start.epoch, model: this.#options.modelHash }
    }
    this.#addFree(newest)
    const isCommandOpen = this.#commandFrom !== undefined
    if (this.#hasRoom) {
      this.#addDue(newest)
      this.#addOfCommand(newest)
    }
    if (newest.size === 0) {
      // The position moves, too, if all entries were seen before.
      this.#position = behind
      return read !== null || (isCommandOpen && this.#commandFrom === undefined)
    }
    return { newest, start, behind, known: this.#knownOf([...newest.keys()]) }
  }

  #knownOf(keys: readonly string[]): ReadonlyMap<string, StreamedKey> {
    const { state } = this.#options
    if (keys.length <= 5_000) return state.of(keys)
    const known = new Map<string, StreamedKey>()
    for (let from = 0; from < keys.length; from += 5_000)
      for (const [key, found] of state.of(keys.slice(from, from + 5_000))) known.set(key, found)
    return known
  }

  /** Takes the newest entry of each key. Returns a break if nobody knows the values that an entry lacks. */
  #takeEntries({ entries, unreadable }: StreamSlice, newest: Map<string, StreamedRow>): StreamBreak | null {
    const { counts } = this.#options
    const { epoch } = this.#position
    const told = this.#knownOf([...new Set(entries.map(({ key }) => key))])
    counts.took(entries.length, unreadable)
    for (const entry of entries) {
      const { key, order, committedAt } = entry
      const known = newest.get(key) ?? this.#wantedOf(key, told)
      if (known !== undefined && !isNewer({ epoch, order }, known)) {
        counts.repeated += 1
        continue
      }
      const whole = wholeOf(entry, known, this.#options.rules.needed)
      if (whole === null) {
        const detail = `the entry of ${key} lacks ${entry.lacks.join(', ')}, and no earlier row is known`
        return { kind: 'break', why: 'lost', detail }
      }
      if (bytesOf(whole.row) > ROW_CEILING_BYTES) this.#refuse(key)
      else {
        this.#refused.delete(key)
        newest.set(key, { ...whole, epoch, order, committedAt })
      }
    }
    return null
  }

  #refuse(key: string): void {
    this.#refused.add(key)
    this.#options.counts.invalid(key, `the row has more than ${ROW_CEILING_BYTES} bytes`)
  }

  #wantedOf(key: string, told: ReadonlyMap<string, StreamedKey>): StreamedRow | undefined {
    const known = told.get(key)
    return (
      this.#held.get(key) ?? this.#inFlight.wantedOf(key) ?? (known === undefined ? undefined : toldOf(known))
    )
  }

  #addFree(newest: Map<string, StreamedRow>): void {
    if (!this.#mayFree) return
    this.#mayFree = false
    for (const [key, wanted] of this.#held)
      if (!newest.has(key) && !this.#inFlight.hasForm(formOf(key))) newest.set(key, wanted)
  }

  get #share(): number {
    const { rows = 5_000 } = this.#options.definition.sync.slice ?? {}
    return Math.max(1, Math.floor(rows / SHARE_OF_SLICE))
  }

  #addDue(newest: Map<string, StreamedRow>): void {
    const { state, now, retryAfterMs } = this.#options
    const dueAt = this.#dueAt()
    if (dueAt === null || dueAt > now()) return
    for (const known of state.failedBefore(now() - retryAfterMs, this.#share)) this.#addTold(known, newest)
  }

  #dueAt(): number | null {
    const oldest = this.#options.state.oldestFailure()
    return oldest === null ? null : oldest + this.#options.retryAfterMs
  }

  #addTold(known: StreamedKey, newest: Map<string, StreamedRow>): boolean {
    const { key } = known
    if (this.#refused.has(key) || this.#held.has(key)) return false
    if (!newest.has(key) && this.#inFlight.hasForm(formOf(key))) return false
    if (!newest.has(key)) newest.set(key, toldOf(known))
    return true
  }

  #addOfCommand(newest: Map<string, StreamedRow>): void {
    const { command, state } = this.#options
    if (command === null || this.#commandFrom === undefined) return
    const meant = state.meant(command, this.#commandFrom, this.#share)
    for (const known of meant)
      if (!this.#addTold(known, newest) && !this.#inFlight.has(known.key) && !this.#refused.has(known.key))
        this.#commandLeft = true
    const last = meant.at(-1)
    if (last !== undefined) {
      this.#commandFrom = last.key
      this.#isAnyMeant = true
    }
    // It goes through all keys again until it finds none that had to wait.
    else if (this.#commandLeft) {
      this.#commandFrom = null
      this.#commandLeft = false
    } else {
      this.#commandFrom = undefined
      if (!this.#isAnyMeant) this.#noticeNone(command)
    }
  }

  #noticeNone(command: AskedCommand): void {
    const notice = noneMeantNotice(command)
    if (notice !== null) this.#options.counts.noticed(notice)
  }

  async #sliceOfTable(comparison: Comparison): Promise<ToDecide | boolean> {
    const { pages, behind, isBaseline, files } = comparison
    const start = this.#position
    const free = new Map<string, StreamedRow>()
    this.#addFree(free)
    if (free.size > 0) return { newest: free, start, behind: start, known: this.#knownOf([...free.keys()]) }
    if (!this.#hasRoom) return false
    const next = await pages.next().catch((error: unknown) => {
      if (this.#signal.aborted) return null
      throw error
    })
    if (next === null) return true
    if (next.done === true) {
      this.#comparison = null
      await files.disposeAsync()
      this.#position = behind
      this.#options.counts.comparedAll()
      // A marker of its own tells the position behind the comparison.
      this.#toldAt = -Infinity
      this.#mayFree = true
      return true
    }
    const { epoch } = behind
    const common = { epoch, order: '', committedAt: null, ...(isBaseline ? { isThere: true } : {}) }
    const newest = new Map(next.value.map(([key, row]) => [key, { ...common, row }] as const))
    return { newest, start, behind: start, known: this.#knownOf([...newest.keys()]) }
  }

  async #decide({ newest, start, behind, known }: ToDecide): Promise<LoopEnd | boolean> {
    const { rules } = this.#options
    const gone = [...newest].flatMap(([key, { row }]) => (row === null ? [key] : []))
    const twins = gone.length === 0 ? new Map<string, readonly StreamedKey[]>() : this.#twinsOf(gone)
    const decided = decideSlice<StreamedRow>({
      ...{ newest, formOf, rules },
      stateOf: key => known.get(key),
      twinsOf: key => (twins.get(key) ?? []).map(twin => ({ known: twin, wanted: toldOf(twin) })),
      isInFlight: form => this.#inFlight.hasForm(form),
    })
    const held = this.#guard(decided.changes, known)
    if (held !== null) return await held
    const encoder = decided.changes.length > 0 ? (this.#encoder ??= await this.#begin()) : null
    this.#position = behind
    for (const key of newest.keys()) if (!decided.held.has(key)) this.#release(key)
    for (const [key, wanted] of decided.held) {
      this.#hold(key, wanted)
      const its = known.get(key)
      // The log has no entry of it, so a successor would not know.
      if (its !== undefined && this.#commandFrom !== undefined && rules.command?.isMeant(its) === true)
        this.#commandLeft = true
    }
    for (const key of decided.done) if (!this.#held.has(key)) this.#owing.pay(key, this.#slice)
    this.#options.counts.nothing += decided.done.length
    const { changes } = decided
    if (changes.length === 0 && decided.held.size === 0) return true
    const slice = (this.#slice += 1)
    const keys = new Set([...decided.held.keys(), ...owedOf(changes)])
    this.#owing.add(slice, { start, keys })
    if (encoder !== null) await this.#publish(slice, changes, { encoder, position: this.#from })
    return true
  }

  #twinsOf(keys: readonly string[]): Map<string, readonly StreamedKey[]> {
    const found = new Map<string, readonly StreamedKey[]>()
    for (let from = 0; from < keys.length; from += 5_000)
      for (const [key, twins] of this.#options.state.twinsOf(keys.slice(from, from + 5_000)))
        found.set(key, twins)
    return found
  }

  async #begin(): Promise<Encoder> {
    return await this.#options.begin(this.#columns)
  }

  async #publish(
    slice: number,
    changes: readonly FoundChange<StreamedRow>[],
    { encoder, position }: { readonly encoder: Encoder; readonly position: StreamPosition },
  ): Promise<void> {
    const { publisher, counts } = this.#options
    const placed = changes.map(change => publisher.placed(change))
    for (const [partition, own] of Map.groupBy(placed, each => each.partition)) {
      const added = own.map(({ key, wanted, before }) => {
        return { key, wanted, bytes: KEY_BYTES + bytesOf(wanted.row) + bytesOf(before) }
      })
      this.#inFlight.add(slice, partition, added)
    }
    counts.published(changes)
    this.#told = position
    this.#toldAt = this.#options.steadyNow()
    const { done } = await publisher.publish({ slice, changes: placed, position, encoder })
    const paid = done
      .then(() => this.#acknowledged(slice, placed, position))
      .catch((error: unknown) => this.fail(error))
      .finally(() => this.#paying.delete(paid))
    this.#paying.add(paid)
  }

  /** All of a slice is acknowledged in `changes`. */
  #acknowledged(slice: number, changes: readonly PlacedChange[], position: StreamPosition): void {
    for (const key of owedOf(changes)) if (!this.#held.has(key)) this.#owing.pay(key, slice)
    // A position of before a comparison is of no use to the source, and may be of another log.
    const isOfLog =
      this.#comparison === null && this.#break === null && position.epoch === this.#position.epoch
    if (isOfLog && slice > this.#toldToSource) {
      this.#toldToSource = slice
      this.#reader?.acknowledged(position)
    }
    this.#options.changes.notify()
  }

  /** Where a successor has to read on. During a comparison it has to compare, too. */
  get #from(): StreamPosition {
    return this.#owing.from(this.#position)
  }

  #hold(key: string, wanted: StreamedRow): void {
    this.#release(key)
    this.#held.set(key, wanted)
    this.#heldBytes += KEY_BYTES + bytesOf(wanted.row)
  }

  #release(key: string): void {
    const held = this.#held.get(key)
    if (held === undefined) return
    this.#held.delete(key)
    this.#heldBytes -= KEY_BYTES + bytesOf(held.row)
  }

  /** Tells a position that has moved, or that is old, by a slice without changes. Returns true if it did. */
  async #tell(afterMs: number, position = this.#from): Promise<boolean> {
    const { steadyNow, publisher } = this.#options
    if (this.#comparison !== null || !publisher.hasRoom) return false
    const age = steadyNow() - this.#toldAt
    if (age < (position === this.#told ? TELL_AGAIN_MS : afterMs)) return false
    const encoder = (this.#encoder ??= await this.#begin())
    this.#inFlight.add((this.#slice += 1), 0, [])
    await this.#publish(this.#slice, [], { encoder, position })
    return true
  }

  /** Returns the end of the run if somebody has to approve the removals of a slice; else null. */
  #guard(
    changes: readonly FoundChange<StreamedRow>[],
    known: ReadonlyMap<string, StreamedKey>,
  ): Promise<LoopEnd> | null {
    const { state, publisher } = this.#options
    const removed = changes.filter(change => isNewRemoval(change, known.get(change.key)))
    if (removed.length === 0 || this.#mayRemove(removed.length)) return null
    // The next run counts them before it publishes anything.
    if (publisher.hasBegun) {
      this.#isGuarded = true
      return Promise.resolve({ kind: 'ended', isWhole: !this.#isUnfinished })
    }
    const { believed } = state.count()
    return this.#heldRemovals(new Set(removed.map(({ key }) => key)), believed)
  }

  /**
   * Counts the removals of the log, if the run before has met too many of them. Otherwise this one might
   * publish first what another partition has, and would end as that one did.
   */
  async #countAhead(): Promise<LoopEnd | null> {
    const { last, approved, removals, definition, state, now } = this.#options
    const reader = this.#reader
    if (last?.position.guarded !== true || approved !== null || reader === null || this.#break !== null)
      return null
    const { believed } = state.count()
    const held = await this.#heldRemovals(new Set(), believed)
    const { removed } = held.toApprove
    if (removals.exceeds(definition.sync, { removed, believed, usable: 1, at: now() })) return held
    await reader[Symbol.asyncDispose]()
    this.#reader = null
    await this.#open()
    return null
  }

  /** Counts so many more removals. Returns false, and counts nothing, if somebody has to approve them. */
  #mayRemove(removed: number, usable = 1): boolean {
    const { removals, definition, state, now } = this.#options
    if (removed <= this.#allowed) {
      this.#allowed -= removed
      return true
    }
    const { believed } = state.count()
    return removals.passes(definition.sync, { removed, believed, usable, at: now() })
  }

  /** Counts the removals that follow, so that one approval is enough. */
  async #heldRemovals(removed: Set<string>, rows: number): Promise<LoopEnd & { readonly kind: 'held' }> {
    const { steadyNow } = this.#options
    const least = removed.size
    const until = steadyNow() + MAX_COUNTING_MS
    const signal = this.#signal
    let counted = 0
    let slice = this.#read
    // A read that is under way may wait for long.
    const mayRead = this.#reading === null
    while (mayRead && this.#reader !== null && counted < MAX_COUNTED && slice?.kind !== 'break') {
      const entries = slice?.entries ?? []
      const known = this.#knownOf(entries.flatMap(({ key, row }) => (row === null ? [key] : [])))
      for (const { key, row } of entries)
        if (row !== null) removed.delete(key)
        else if ((known.get(key)?.state ?? 'absent') !== 'absent') removed.add(key)
      counted += entries.length
      const soon = AbortSignal.any([signal, AbortSignal.timeout(LOOK_AGAIN_MS)])
      const bounds = { rows: 5_000, bytes: MAX_SLICE_BYTES, waitMs: 5, signal: soon }
      slice = await this.#reader.next(bounds).catch((error: unknown) => {
        if (soon.aborted) return null
        throw error
      })
      if (slice === null || steadyNow() >= until) break
    }
    const samples = [...removed].slice(0, MAX_SAMPLES)
    return { kind: 'held', toApprove: { removed: Math.max(removed.size, least), rows, samples } }
  }

  /** Reads the whole table. Nothing is published yet, and nothing is in flight. */
  async #beginComparison(why: StreamBreak): Promise<LoopEnd | null> {
    const { publisher, turn, extractFile, compared, counts, state, definition } = this.#options
    if (publisher.hasBegun) throw new SluiceError('internal', 'a run compares, and has published before')
    const signal = this.#signal
    this.#read = null
    if (this.#reader === null) await this.#open()
    const reader = this.#reader
    if (reader === null || signal.aborted) return null
    counts.comparing(why)
    const files = new AsyncDisposableStack()
    try {
      const slot = await turn(signal)
      files.defer(() => slot?.[Symbol.dispose]())
      const file = await extractFile()
      const extract = await reader.compare({ file, signal })
      const rows = files.use(await compared(extract, signal))
      const { rowsRead, rowsInvalid } = rows
      counts.compared(rows)
      this.#columns = extract.columns
      state.setColumns(extract.columns)
      this.#options.assertFirstRunChosen(rowsRead - rowsInvalid)
      const { believed } = state.count()
      if (believed > 0 && this.#options.rules.sent.has('removed')) {
        const { removed, samples } = await removalsOf(rows, state)
        if (!this.#mayRemove(removed, rowsRead - rowsInvalid)) {
          await files.disposeAsync()
          return { kind: 'held', toApprove: { removed, rows: believed, samples } }
        }
      }
      const epoch = Math.max(this.#position.epoch, state.newestEpoch()) + 1
      const behind = { ...extract.position, epoch, model: this.#options.modelHash }
      const { rows: pageRows = 5_000 } = definition.sync.slice ?? {}
      const pages = comparedKeys(rows, state, pageRows)
      this.#comparison = { pages, behind, isBaseline: this.#options.isBaseline, files }
      this.#break = null
      return null
    } catch (error) {
      await files.disposeAsync()
      if (signal.aborted) return null
      throw error
    }
  }

  /** Waits until something has changed, or the next time has come. */
  async #wait(seen: number): Promise<void> {
    const { changes, now, steadyNow, publisher } = this.#options
    const dueAt = this.#dueAt()
    const steady = steadyNow()
    const ends = [this.#since + RUN_MS, this.#since + 2 * RUN_MS]
    if (this.#options.isAskedFor) ends.push(this.#busyAt + NOTHING_CAME_MS)
    // A run that is not whole goes on behind them.
    const waits = ends.map(end => end - steady).filter(ms => ms > 0)
    if (dueAt !== null) waits.push(dueAt > now() ? dueAt - now() : LOOK_AGAIN_MS)
    const tellAfter = this.#from === this.#told ? TELL_AGAIN_MS : TELL_AFTER_MS
    if (this.#comparison === null && publisher.hasRoom)
      waits.push(Math.max(0, this.#toldAt + tellAfter - steady))
    if (this.#commandFrom !== undefined) waits.push(LOOK_AGAIN_MS)
    const over = new AbortController()
    const signal = over.signal
    const changed = changes.after(seen, { signal }).catch(() => undefined)
    await Promise.race([sleep(Math.min(...waits, RUN_MS), { signal }).catch(() => undefined), changed])
    over.abort(new Error('it looks again'))
    await changed
  }
}

/**
 * False for a removal that was counted before: with all others of its comparison, or when it was sent first.
 */
function isNewRemoval({ op, wanted }: FoundChange<StreamedRow>, known: StreamedKey | undefined): boolean {
  return op === 'removed' && wanted.order !== '' && known?.failed?.op !== 'removed'
}

/** The keys of changes that entries of the log have caused. A doubt goes with the removal that raises it. */
function owedOf(changes: readonly Pick<PlacedChange, 'key' | 'isDoubt'>[]): readonly string[] {
  return changes.flatMap(({ key, isDoubt }) => (isDoubt ? [] : [key]))
}
