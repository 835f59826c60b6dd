/**
 * Takes records of the topics into the tables. The state of a key follows from its last change alone, and
 * from the outcome in the entry that names its partition, run and seq. Entries and captured values come no
 * later than the changes that they are of, so a range may be fed in any pieces.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { Captured, RetryEntry } from '@sluice/contracts/records'
import { reasonHash } from '@sluice/domain/answers/failed-group'
import type { EndedKey } from '../../port.ts'
import type { StreamedChange, StreamFeed } from '../../stream-port.ts'
import { ABSENT, CONTENT_UNCERTAIN, EXISTENCE_UNCERTAIN, KINDS, OUTCOMES } from '../state/shapes.ts'
import { bytesOf, storedForm } from './known-keys.ts'
import { isBefore, nextKey, type NextKey, type Place } from './next-key.ts'
import type { RowShapes } from './row-shapes.ts'
import type { StreamFile } from './stream-file.ts'
import { ENTERED, SAME_ROW, UNCERTAIN } from './tables.ts'

/** The small columns of a key. */
interface Stored {
  readonly kind: number
  readonly partition: number
  /** Null if only an entry or captured values tell of the key. */
  readonly place: Place | null
  readonly outcome: number | null
  readonly uncertainSince: number | null
  readonly open: number
  readonly due: number | null
  readonly hasCaptured: number
}

/** The columns that follow from entries and captured values. */
type Open = Pick<Stored, 'open' | 'due' | 'hasCaptured'>

const STORED = `SELECT kind, partition, run, slice, seq, outcome, uncertain_since, open, due, has_captured
  FROM keys WHERE key = ?`
const WRITTEN =
  'kind partition run slice seq outcome uncertain_since open due has_captured epoch log_order muted shape wanted_shape content wanted'.split(
    ' ',
  )
/** A key keeps its place in the file, so that rows are read in the order of their keys without many seeks. */
const WRITE = `INSERT INTO keys (key, ${WRITTEN.join(', ')}) VALUES (?, ${WRITTEN.map(() => '?').join(', ')})
  ON CONFLICT (key) DO UPDATE SET ${WRITTEN.map(name => `${name} = excluded.${name}`).join(', ')}`
const ENTRY =
  'SELECT run, seq, outcome, at FROM entries WHERE key = ? AND partition = ? ORDER BY lost DESC LIMIT 1'
const PUT_ENTRY = `INSERT OR REPLACE INTO entries (key, partition, lost, run, seq, outcome, at, status, since, reason, entry)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const DELETE_ENTRY = 'DELETE FROM entries WHERE key = ? AND partition = ?'
const DELETE_CAPTURED = 'DELETE FROM captured WHERE key = ? AND partition = ?'
const DELETE_GONE = 'DELETE FROM gone WHERE key = ? AND partition = ?'

interface Failure {
  readonly run: number
  readonly seq: number
  readonly outcome: number
  readonly at: number
}

export interface Totals {
  readonly believed: number
  readonly failed: number
  readonly epoch: number
}

export interface TakeOptions {
  readonly file: StreamFile
  readonly shapes: RowShapes
  readonly incarnation: string
  readonly totals: Totals
}

/** One transaction. To be used within `StreamFile.transaction`, and not again. */
export class Taking {
  readonly #file: StreamFile
  readonly #shapes: RowShapes
  readonly #incarnation: string
  readonly #totals: { believed: number; failed: number; epoch: number }
  /** False if the table is empty, which saves a look-up for each key. */
  #hasEntries: boolean
  #hasCaptured: boolean
  #hasGone: boolean

  constructor({ file, shapes, incarnation, totals }: TakeOptions) {
    this.#file = file
    this.#shapes = shapes
    this.#incarnation = incarnation
    this.#totals = { ...totals }
    this.#hasEntries = this.#has('entries')
    this.#hasCaptured = this.#has('captured')
    this.#hasGone = this.#has('gone')
  }

  get totals(): Totals {
    return this.#totals
  }

  /** Takes in a feed, but no changes before `from`. */
  take({ partition, changes, retry, lost, captured }: StreamFeed, from: number): void {
    const touched = new Set<string>()
    for (const { key, value, timestamp } of retry?.records ?? []) {
      touched.add(key)
      this.#takeEntry({ key, partition }, value, timestamp)
    }
    for (const { key, value } of captured?.records ?? []) {
      touched.add(key)
      this.#takeCaptured({ key, partition }, value)
    }
    const lostNow = new Map((lost ?? []).map(({ key, value }) => [key, value]))
    for (const record of changes?.records ?? []) {
      if (record.offset < from) continue
      const key = record.change === null ? record.key : record.change.key
      touched.add(key)
      if (record.change === null) this.#end({ key, partition })
      else if (this.#takeChange(partition, record, lostNow.get(key))) touched.delete(key)
    }
    for (const key of touched) this.#refresh(key)
    this.#saveTotals()
  }

  /** Forgets keys whose tombstones are written. */
  forget(keys: readonly EndedKey[]): void {
    for (const ended of keys) {
      this.#end(ended)
      this.#refresh(ended.key)
    }
    this.#saveTotals()
  }

  #takeEntry({ key, partition }: EndedKey, entry: RetryEntry | null, at: number): void {
    if (entry === null) {
      if (this.#hasEntries) this.#file.run(`${DELETE_ENTRY} AND lost = 0`, bytesOf(key), partition)
      return
    }
    this.#refuseLate({ key, partition }, entry)
    this.#putEntry({ key, partition }, entry, { at, isLost: false })
  }

  #putEntry(
    { key, partition }: EndedKey,
    entry: RetryEntry,
    of: { readonly at: number; readonly isLost: boolean },
  ): void {
    const { run, seq, outcome, status, since } = entry
    this.#file.run(
      PUT_ENTRY,
      ...[
        bytesOf(key),
        partition,
        Number(of.isLost),
        run,
        seq,
        OUTCOMES.indexOf(outcome),
        of.at,
        status,
        since,
      ],
      ...[reasonHash(entry, this.#incarnation), JSON.stringify(entry)],
    )
    this.#hasEntries = true
  }

  /** Refuses an outcome that comes after its change was taken in with another one. */
  #refuseLate({ key, partition }: EndedKey, { run, seq, outcome }: RetryEntry): void {
    const bytes = bytesOf(key)
    const stored = this.#stored(bytes)
    if (stored?.partition !== partition || stored.place?.run !== run || stored.place.seq !== seq) return
    if (stored.outcome === null || stored.outcome === OUTCOMES.indexOf(outcome)) return
    const lost = 'SELECT 1 FROM entries WHERE key = ? AND partition = ? AND lost = 1'
    if (this.#file.get(lost, bytes, partition) !== undefined) return
    throw new SluiceError('corrupt', `the outcome of "${key}" in run ${run} came after its change`)
  }

  #takeCaptured({ key, partition }: EndedKey, captured: Captured | null): void {
    const bytes = bytesOf(key)
    if (captured !== null) {
      const { run, seq, values } = captured
      this.#file.run(
        'INSERT OR REPLACE INTO captured VALUES (?, ?, ?, ?, ?)',
        bytes,
        partition,
        run,
        seq,
        values,
      )
      this.#hasCaptured = true
    } else if (this.#hasCaptured) this.#file.run(DELETE_CAPTURED, bytes, partition)
  }

  /** Returns true if it wrote the key. */
  #takeChange(
    partition: number,
    { change, timestamp }: StreamedChange,
    lost: RetryEntry | undefined,
  ): boolean {
    const { key, op, settledState, run, seq } = change
    const bytes = bytesOf(key)
    const isOfChange = (of: { readonly run: number; readonly seq: number }): boolean =>
      of.run === run && of.seq === seq
    if (this.#hasEntries) this.#file.run(`${DELETE_ENTRY} AND lost = 1`, bytes, partition)
    if (lost !== undefined && isOfChange(lost))
      this.#putEntry({ key, partition }, lost, { at: timestamp, isLost: true })
    this.#noteGone([bytes, partition], op === 'removed' || settledState === 'absent' ? timestamp : null)
    this.#totals.epoch = Math.max(this.#totals.epoch, change.streamed?.epoch ?? 0)

    const failure = this.#failure(bytes, partition)
    const next = nextKey(
      change,
      (failure !== null && isOfChange(failure) ? OUTCOMES[failure.outcome] : null) ?? 'delivered',
    )
    const stored = this.#stored(bytes)
    const last = stored?.place ?? null
    if (last !== null && isBefore(next, last)) return false
    const { state, outcome, isOpen } = next
    const written = {
      kind: KINDS.indexOf(state),
      partition,
      place: next,
      outcome: outcome === null ? null : OUTCOMES.indexOf(outcome),
      uncertainSince: isOpen ? timestamp : null,
    }
    const opened = this.#openOf(written, bytes, failure)
    this.#write(bytes, { ...written, ...opened }, next)
    this.#count(stored, { ...written, ...opened })
    if (stored === null) this.#addForm(key, bytes)
    return true
  }

  #noteGone([bytes, partition]: readonly [Uint8Array, number], since: number | null): void {
    if (since !== null) {
      this.#file.run('INSERT OR REPLACE INTO gone VALUES (?, ?, ?)', bytes, partition, since)
      this.#hasGone = true
    } else if (this.#hasGone) this.#file.run(DELETE_GONE, bytes, partition)
  }

  /**
   * Takes in a tombstone. Entries and values of a later change, which stands behind it, have come early.
   */
  #end({ key, partition }: EndedKey): void {
    const bytes = bytesOf(key)
    if (this.#hasGone) this.#file.run(DELETE_GONE, bytes, partition)
    if (this.#hasEntries) this.#file.run(`${DELETE_ENTRY} AND lost = 1`, bytes, partition)
    const stored = this.#stored(bytes)
    if (stored === null || stored.place === null || stored.partition !== partition) return
    const { run, seq } = stored.place
    const upTo = 'AND (run, seq) <= (?, ?)'
    if (this.#hasEntries) this.#file.run(`${DELETE_ENTRY} ${upTo}`, bytes, partition, run, seq)
    if (this.#hasCaptured) this.#file.run(`${DELETE_CAPTURED} ${upTo}`, bytes, partition, run, seq)
    this.#delete(key, bytes, stored)
  }

  /** Brings a key up to date with its entries and values. */
  #refresh(key: string): void {
    const bytes = bytesOf(key)
    const stored = this.#stored(bytes)
    if (stored !== null && stored.place !== null) {
      const opened = this.#openOf(stored, bytes, this.#failure(bytes, stored.partition))
      const { open, due, hasCaptured } = opened
      if (open === stored.open && due === stored.due && hasCaptured === stored.hasCaptured) return
      this.#file.run(
        'UPDATE keys SET open = ?, due = ?, has_captured = ? WHERE key = ?',
        open,
        due,
        hasCaptured,
        bytes,
      )
      this.#count(stored, { ...stored, ...opened })
      return
    }
    const partition = this.#partitionWithoutChange(bytes)
    if (partition === null) {
      if (stored !== null) this.#delete(key, bytes, stored)
      return
    }
    const written = { kind: ABSENT, partition, place: null, outcome: null, uncertainSince: null }
    const opened = this.#openOf(written, bytes, this.#failure(bytes, partition))
    this.#write(bytes, { ...written, ...opened }, null)
    this.#count(stored, { ...written, ...opened })
    if (stored === null) this.#addForm(key, bytes)
  }

  /** The partition of a key of which only an entry or captured values tell. */
  #partitionWithoutChange(bytes: Uint8Array): number | null {
    const entry = this.#file.get(
      'SELECT partition FROM entries WHERE key = ? ORDER BY run DESC, partition DESC LIMIT 1',
      bytes,
    )
    const found = entry ?? this.#file.get('SELECT max(partition) FROM captured WHERE key = ?', bytes)
    const partition = found?.[0] ?? null
    return partition === null ? null : Number(partition)
  }

  #openOf(
    { kind, partition, uncertainSince }: Pick<Stored, 'kind' | 'partition' | 'uncertainSince'>,
    bytes: Uint8Array,
    failure: Failure | null,
  ): Open {
    const isUncertain = kind === CONTENT_UNCERTAIN || kind === EXISTENCE_UNCERTAIN
    const hasCaptured =
      this.#hasCaptured &&
      this.#file.get('SELECT 1 FROM captured WHERE key = ? AND partition = ?', bytes, partition) !== undefined
    return {
      open: failure !== null ? ENTERED : isUncertain ? UNCERTAIN : 0,
      due: failure?.at ?? uncertainSince,
      hasCaptured: Number(hasCaptured),
    }
  }

  #stored(bytes: Uint8Array): Stored | null {
    const found = this.#file.get(STORED, bytes)
    if (found === undefined) return null
    const [kind, partition, run, slice, seq, ...rest] = found
    const [outcome, uncertainSince, open, due, hasCaptured] = rest.map(value =>
      value === null ? null : Number(value),
    )
    return {
      kind: Number(kind),
      partition: Number(partition),
      place: run === null ? null : { run: Number(run), slice: Number(slice), seq: Number(seq) },
      outcome: outcome ?? null,
      uncertainSince: uncertainSince ?? null,
      open: open ?? 0,
      due: due ?? null,
      hasCaptured: hasCaptured ?? 0,
    }
  }

  #failure(bytes: Uint8Array, partition: number): Failure | null {
    const found = this.#hasEntries ? this.#file.get(ENTRY, bytes, partition) : undefined
    if (found === undefined) return null
    const [run = 0, seq = 0, outcome = 0, at = 0] = found.map(Number)
    return { run, seq, outcome, at }
  }

  #write(bytes: Uint8Array, stored: Stored, next: NextKey | null): void {
    const { kind, partition, place, outcome, uncertainSince, open, due, hasCaptured } = stored
    const { epoch = 0, order = '', muted = null, row = null, wanted = null } = next ?? {}
    const content = row === null ? null : this.#shapes.store(row)
    const own = wanted === null || wanted === row ? null : this.#shapes.store(wanted)
    const isSame =
      wanted !== null &&
      content !== null &&
      (own === null || (own.shape === content.shape && own.content === content.content))
    // This runs for each change. Lists that are spread would cost more than all else here.
    this.#file.run(
      WRITE,
      bytes,
      kind,
      partition,
      place?.run ?? null,
      place?.slice ?? null,
      place?.seq ?? null,
      outcome,
      uncertainSince,
      open,
      due,
      hasCaptured,
      epoch,
      order,
      muted,
      content?.shape ?? null,
      isSame ? SAME_ROW : (own?.shape ?? null),
      content?.content ?? null,
      isSame ? null : (own?.content ?? null),
    )
  }

  #delete(key: string, bytes: Uint8Array, stored: Stored): void {
    this.#file.run('DELETE FROM keys WHERE key = ?', bytes)
    const form = storedForm(key)
    if (form !== null) this.#file.run('DELETE FROM forms WHERE form = ? AND key = ?', form, bytes)
    this.#count(stored, null)
  }

  #addForm(key: string, bytes: Uint8Array): void {
    const form = storedForm(key)
    if (form !== null) this.#file.run('INSERT INTO forms VALUES (?, ?)', form, bytes)
  }

  #count(before: Pick<Stored, 'kind' | 'open'> | null, after: Pick<Stored, 'kind' | 'open'> | null): void {
    const isBelieved = (of: typeof before): number => Number(of !== null && of.kind !== ABSENT)
    const isFailed = (of: typeof before): number => Number(of?.open === ENTERED)
    this.#totals.believed += isBelieved(after) - isBelieved(before)
    this.#totals.failed += isFailed(after) - isFailed(before)
  }

  #saveTotals(): void {
    const { believed, failed, epoch } = this.#totals
    this.#file.run('UPDATE totals SET believed = ?, failed = ?, epoch = ?', believed, failed, epoch)
  }

  #has(table: 'entries' | 'captured' | 'gone'): boolean {
    return this.#file.get(`SELECT 1 FROM ${table} LIMIT 1`) !== undefined
  }
}
