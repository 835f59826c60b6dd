/**
 * The entries of a followed table, made of the messages of its log, and the position behind them.
 *
 * States: between transactions, or within one; broken off at a message that only a comparison goes on from.
 * Entries that were decoded wait until they are taken. So a caller that gives up, or a connection that is
 * lost, loses none: entries up to the highest order are left out when the log is read again.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { JsonText, Value } from '@sluice/contracts/values'
import { setMember } from '@sluice/domain/value-reader'
import type { SliceBounds, StreamBreak, StreamEntry, StreamSlice } from '../../stream-port.ts'
import { escaped } from '../server/row-text.ts'
import type { FollowedColumn, FollowedTable } from './followed-table.ts'
import { keyText } from './log-values.ts'
import {
  type LoggedRelation,
  lsnText,
  type OldTuple,
  readLogMessage,
  type Tuple,
  UNCHANGED,
} from './pgoutput.ts'
import type { Received } from './replication-stream.ts'

const MAX_SHOWN = 100
/** The digits of a position and of a place within its transaction, of 64 and 40 bits. */
const LSN_DIGITS = 16
const PLACE_DIGITS = 10

interface Transaction {
  /** The position of its commit. */
  readonly lsn: bigint
  readonly committedAt: number
  /** The messages about the table so far. */
  messages: number
}

/** A composite value, whose JSON the server has to make. */
export interface Composite {
  readonly column: FollowedColumn
  readonly text: string
  readonly fill: (json: JsonText) => void
}

interface Decoded {
  readonly order: string
  /** Where the log is read again for what follows it. */
  readonly restart: bigint
  readonly bytes: number
  readonly entry: StreamEntry | null
  readonly why: string | null
  readonly place: string
  readonly composites: readonly Composite[]
  /** The values as texts, for the model's SQL; null if there is none, or no row. */
  readonly texts: readonly (string | null)[] | null
}

export interface TakenEntries extends Pick<StreamSlice, 'entries' | 'unreadable'> {
  readonly offset: bigint
  readonly highest: string | null
}

export class DecodedLog {
  #table: FollowedTable | null = null
  #offset: bigint
  #highest: string | null
  #transaction: Transaction | null = null
  #decoded: Decoded[] = []
  #bytes = 0
  #broken: StreamBreak | null = null
  /** The last message was of a partitioned table. The one of the partition follows, if a row does. */
  #awaitsPartition = false

  constructor({ offset, highest }: { readonly offset: bigint; readonly highest: string | null }) {
    this.#offset = offset
    this.#highest = highest
  }

  /** All transactions whose commits stand before it are decoded. */
  get restart(): bigint {
    return this.#offset
  }

  /** The break that stands behind the decoded entries. */
  get broken(): StreamBreak | null {
    return this.#broken
  }

  get hasEntries(): boolean {
    return this.#decoded.length > 0
  }

  get isBetween(): boolean {
    return this.#transaction === null
  }

  /** The commit of the oldest entry that was not taken. */
  get oldestCommittedAt(): number | null {
    return this.#decoded.find(({ entry }) => entry !== null)?.entry?.committedAt ?? null
  }

  /** The log is read from `restart` on, again if it was read before. */
  follow(table: FollowedTable): void {
    this.#table = table
    this.#transaction = null
  }

  isFull({ rows, bytes }: SliceBounds): boolean {
    return this.#decoded.length >= rows || this.#bytes >= bytes
  }

  /** Decodes a message. Throws `corrupt` for one that cannot be read. */
  take(received: Received): void {
    if (received.kind === 'alive') {
      if (this.#transaction === null && received.lsn > this.#offset) this.#offset = received.lsn
      return
    }
    const table = this.#table
    if (table === null) throw new SluiceError('internal', 'the log is read, and no table is followed')
    const { data, isWhole } = received
    if (!isWhole) return this.#passOver(data, table)
    const message = readLogMessage(data, table.id)
    const isOfPartition = this.#awaitsPartition
    this.#awaitsPartition = false
    switch (message.kind) {
      case 'begin':
        this.#transaction = { lsn: message.lsn, committedAt: message.committedAt, messages: 0 }
        if (message.lsn > this.#offset) this.#offset = message.lsn
        return
      case 'commit':
        this.#transaction = null
        if (message.end > this.#offset) this.#offset = message.end
        return
      case 'relation':
        if (isOfPartition) return this.#checkIdentity(message.relation, table)
        return this.#checkRelation(message.relation, table)
      case 'row':
        return this.#decodeRow(message, { table, bytes: data.length })
      case 'truncate': {
        const { lsn, messages } = this.#nextMessage()
        if (!this.#isNew(orderOf(lsn, messages, 1))) return
        const detail = `the table ${table.name} was truncated`
        this.#broken = { kind: 'break', why: 'truncated', detail }
        return
      }
      case 'other':
        return
      default:
        message satisfies never
    }
  }

  /** What `takeEntries` takes next. */
  peek(bounds: SliceBounds): readonly Pick<Decoded, 'entry' | 'composites' | 'texts'>[] {
    return this.#decoded.slice(0, this.#fitting(bounds))
  }

  /** Takes the next entries within the bounds, at least one if there is one. */
  takeEntries(bounds: SliceBounds): TakenEntries {
    const taken = this.#decoded.splice(0, this.#fitting(bounds))
    for (const { bytes } of taken) this.#bytes -= bytes
    const last = taken.at(-1)
    const isAll = this.#decoded.length === 0
    return {
      entries: taken.flatMap(({ entry }) => entry ?? []),
      unreadable: taken.flatMap(({ place, why }) => (why === null ? [] : { place, why })),
      offset: isAll || last === undefined ? this.#offset : last.restart,
      highest: isAll || last === undefined ? this.#highest : last.order,
    }
  }

  #fitting({ rows, bytes }: SliceBounds): number {
    let count = 0
    let sum = 0
    for (const each of this.#decoded) {
      sum += each.bytes
      if (count > 0 && (count >= rows || sum > bytes)) break
      count += 1
    }
    return count
  }

  /** Returns the transaction, in which one more message about the table stands. */
  #nextMessage(): Transaction {
    const transaction = this.#transaction
    if (transaction === null)
      throw new SluiceError('corrupt', 'The log of PostgreSQL has a row outside of a transaction.')
    transaction.messages += 1
    return transaction
  }

  /**
   * Keeps an entry, or why there is none, unless it is known already. A key that changes has half 0 for the
   * old key.
   */
  #keep(
    { lsn, committedAt, messages }: Transaction,
    half: 0 | 1,
    made: {
      readonly bytes: number
      readonly why?: string
      readonly entry?: Pick<StreamEntry, 'key' | 'row' | 'lacks'>
      readonly composites?: readonly Composite[]
      readonly texts?: readonly (string | null)[] | null
    },
  ): void {
    const order = orderOf(lsn, messages, half)
    if (!this.#isNew(order)) return
    const { bytes, why = null, entry, composites = [], texts = null } = made
    this.#decoded.push({
      order,
      restart: lsn,
      bytes,
      entry: entry === undefined ? null : { ...entry, order, committedAt, partition: 0 },
      why,
      place: `commit ${lsnText(lsn)}, change ${messages}`,
      composites,
      texts,
    })
    this.#bytes += bytes
    this.#highest = order
  }

  #isNew(order: string): boolean {
    return this.#highest === null || order > this.#highest
  }

  #passOver(data: Buffer, table: FollowedTable): void {
    // A letter, and the table. No other message is so long.
    if (data.length < 5 || data.readUInt32BE(1) !== table.id) return
    this.#keep(this.#nextMessage(), 1, { bytes: 0, why: 'the row is too long to be read' })
  }

  #checkRelation(relation: LoggedRelation, table: FollowedTable): void {
    const { id, schema, name, columns } = relation
    if (id !== table.id) {
      if (schema === table.schema && name === table.table)
        this.#broken = { kind: 'break', why: 'lost', detail: `the table ${table.name} was made anew` }
      return
    }
    const isSame =
      columns.length === table.columns.length &&
      columns.every((column, index) => {
        const described = table.columns[index]?.described
        return (
          column.name === described?.name &&
          column.typeId === described.typeId &&
          column.modifier === described.modifier
        )
      })
    if (isSame && table.isPartitioned) this.#awaitsPartition = true
    else if (isSame) this.#checkIdentity(relation, table)
    if (isSame) return
    const listed = columns.map(column => column.name).join(', ')
    const detail = `the columns of the table ${table.name} changed: the log has ${listed}`
    this.#broken = { kind: 'break', why: 'columns', detail }
  }

  #checkIdentity({ name, columns }: LoggedRelation, table: FollowedTable): void {
    const told = columns.filter(column => column.inIdentity).map(column => column.name)
    const untold = table.identity.filter(column => !told.includes(column))
    if (untold.length === 0) return
    const detail = `the REPLICA IDENTITY of ${name} changed: the log tells no more what ${untold.join(', ')} was`
    this.#broken = { kind: 'break', why: 'columns', detail }
  }

  #decodeRow(
    { old, row }: { readonly old: OldTuple | null; readonly row: Tuple | null },
    { table, bytes }: { readonly table: FollowedTable; readonly bytes: number },
  ): void {
    const transaction = this.#nextMessage()
    const oldKey = old === null ? null : keyOf(table, old.values)
    if (row === null) {
      // A row without a key is invalid, and was never sent.
      if (oldKey !== null) this.#keep(transaction, 1, { bytes, entry: { key: oldKey, row: null, lacks: [] } })
      return
    }
    const made = madeRow(table, row, old)
    const hasMoved = oldKey !== null && (typeof made === 'string' ? keyOf(table, row) : made.key) !== oldKey
    if (hasMoved && typeof made !== 'string' && made.lacks.length > 0) {
      // Nobody has an earlier row of the new key, in which the values would be.
      if (!this.#isNew(orderOf(transaction.lsn, transaction.messages, 0))) return
      const detail = `a key of the table ${table.name} changed, and the log leaves out unchanged values (${made.lacks.join(', ')}) of its row. With REPLICA IDENTITY FULL it has them`
      this.#broken = { kind: 'break', why: 'lost', detail }
      return
    }
    if (hasMoved) this.#keep(transaction, 0, { bytes: 0, entry: { key: oldKey, row: null, lacks: [] } })
    if (typeof made === 'string') this.#keep(transaction, 1, { bytes, why: made })
    else {
      const { key, composites, texts, row: values, lacks } = made
      this.#keep(transaction, 1, { bytes, entry: { key, row: values, lacks }, composites, texts })
    }
  }
}

function orderOf(lsn: bigint, message: number, half: 0 | 1): string {
  const place = message * 2 + half
  return `${hex(lsn, LSN_DIGITS)}${hex(place, PLACE_DIGITS)}`
}

function hex(number: bigint | number, digits: number): string {
  return number.toString(16).padStart(digits, '0')
}

interface MadeRow extends Pick<StreamEntry, 'key' | 'row' | 'lacks'> {
  readonly composites: readonly Composite[]
  readonly texts: readonly (string | null)[] | null
}

/** Makes a row of its texts. Returns the reason if the row is invalid. */
function madeRow(table: FollowedTable, tuple: Tuple, old: OldTuple | null): MadeRow | string {
  const { columns } = table
  if (tuple.length !== columns.length)
    throw new SluiceError('corrupt', 'The log of PostgreSQL has a row with another number of columns.')
  const row: { [name: string]: Value } = {}
  const lacks: string[] = []
  const composites: Composite[] = []
  const texts: (string | null)[] | null = table.query === null ? null : []
  const whole = tuple.map((text, index) => {
    if (text !== UNCHANGED) return text
    // The row of before has it, if the log has that row.
    const before = old?.values[index]
    return typeof before === 'string' ? before : UNCHANGED
  })
  for (const [index, column] of columns.entries()) {
    const { name, fromLog } = column
    const text = whole[index] ?? null
    let value: Value = null
    if (text === UNCHANGED) lacks.push(name)
    else if (text !== null && fromLog === null)
      composites.push(compositeOf({ row, texts, index, column, text }))
    else if (text !== null && fromLog !== null) {
      value = fromLog(text)
      if (value === null) return cannotHold(column, text)
      if (texts !== null) texts[index] = escaped(column.asSelected(text))
    }
    setMember(row, name, value)
  }
  const key = keyOf(table, whole)
  if (key === null) return 'a column of its key is null, or not in the log'
  return { key, row, lacks, composites, texts }
}

function compositeOf({
  row,
  texts,
  index,
  column,
  text,
}: {
  readonly row: { [name: string]: Value }
  readonly texts: (string | null)[] | null
  readonly index: number
  readonly column: FollowedColumn
  readonly text: string
}): Composite {
  const fill = (json: JsonText): void => {
    setMember(row, column.name, json)
    if (texts !== null) texts[index] = escaped(json.text)
  }
  return { column, text, fill }
}

/** As a comparison says it of the same row. */
function cannotHold({ name, type }: FollowedColumn, text: string): string {
  return `column "${name}" has ${text.slice(0, MAX_SHOWN)}, which no ${type.kind} of Sluice can hold`
}

/** Returns the key of a row; null if a column of it is null, or is not told. */
function keyOf({ columns, primaryKey }: FollowedTable, tuple: Tuple): string | null {
  const values: Value[] = []
  for (const name of primaryKey) {
    const index = columns.findIndex(column => column.name === name)
    const text = tuple[index]
    const value = typeof text === 'string' ? (columns[index]?.fromLog?.(text) ?? null) : null
    if (value === null) return null
    values.push(value)
  }
  return keyText(values)
}
