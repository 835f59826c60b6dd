/**
 * Reads the messages of `pgoutput`, PostgreSQL's own plugin for logical replication, in version 1 of its
 * protocol: whole transactions, in the order of their commits.
 *
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { DescribedColumn } from './types.ts'

/** A value that is not in the log, since it has not changed and is stored apart from its row. */
export const UNCHANGED = Symbol('unchanged')
/** The values of a row, in the order of the columns. */
export type Tuple = readonly (string | null | typeof UNCHANGED)[]

export interface LoggedRelation {
  readonly id: number
  readonly schema: string
  readonly name: string
  readonly columns: readonly LoggedColumn[]
}

export interface LoggedColumn extends DescribedColumn {
  /** The log tells its value of before, for a row that is removed or gets another identity. */
  readonly inIdentity: boolean
}

export type LogMessage =
  | { readonly kind: 'begin'; readonly lsn: bigint; readonly committedAt: number }
  /** `end` is behind the transaction. */
  | { readonly kind: 'commit'; readonly end: bigint }
  | { readonly kind: 'relation'; readonly relation: LoggedRelation }
  /**
   * `old` has the values of before; null if the log does not tell them. Those of an `isKey` row are of its
   * key alone.
   */
  | { readonly kind: 'row'; readonly old: OldTuple | null; readonly row: Tuple | null }
  | { readonly kind: 'truncate' }
  /** About other tables, or of no meaning for rows. */
  | { readonly kind: 'other' }

export interface OldTuple {
  readonly isKey: boolean
  readonly values: Tuple
}

const OTHER = { kind: 'other' } as const
/** PostgreSQL counts microseconds from the year 2000 on. */
const EPOCH_MS = Date.UTC(2000, 0, 1)

/**
 * Reads a message. Rows of other tables than `table` are `other`. Throws `corrupt` for what is no message.
 */
export function readLogMessage(data: Buffer, table: number): LogMessage {
  const reader = new Reader(data)
  try {
    return read(reader, table)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw corrupt('a message of pgoutput is too short', error)
  }
}

function corrupt(what: string, cause?: unknown): SluiceError {
  return new SluiceError('corrupt', `The log of PostgreSQL cannot be read: ${what}.`, { cause })
}

function read(reader: Reader, table: number): LogMessage {
  switch (reader.letter()) {
    case 'B': {
      const lsn = reader.long()
      return { kind: 'begin', lsn, committedAt: EPOCH_MS + Number(reader.long() / 1000n) }
    }
    case 'C':
      reader.skip(1 + 8)
      return { kind: 'commit', end: reader.long() }
    case 'R':
      return { kind: 'relation', relation: relation(reader) }
    case 'I':
      if (reader.id() !== table) return OTHER
      reader.skip(1)
      return { kind: 'row', old: null, row: tuple(reader) }
    case 'U': {
      if (reader.id() !== table) return OTHER
      let old: OldTuple | null = null
      let letter = reader.letter()
      if (letter !== 'N') {
        old = { isKey: letter === 'K', values: tuple(reader) }
        letter = reader.letter()
      }
      return { kind: 'row', old, row: tuple(reader) }
    }
    case 'D':
      if (reader.id() !== table) return OTHER
      return { kind: 'row', old: { isKey: reader.letter() === 'K', values: tuple(reader) }, row: null }
    case 'T': {
      const count = reader.id()
      reader.skip(1)
      for (let left = count; left > 0; left -= 1) if (reader.id() === table) return { kind: 'truncate' }
      return OTHER
    }
    default:
      return OTHER
  }
}

function relation(reader: Reader): LoggedRelation {
  const id = reader.id()
  const schema = reader.text() || 'pg_catalog'
  const name = reader.text()
  reader.skip(1)
  const columns = Array.from({ length: reader.short() }, () => {
    const inIdentity = reader.letter() === '\u0001'
    return { name: reader.text(), typeId: reader.id(), modifier: reader.int(), inIdentity }
  })
  return { id, schema, name, columns }
}

function tuple(reader: Reader): Tuple {
  const values: Tuple[number][] = []
  for (let left = reader.short(); left > 0; left -= 1) values.push(valueOf(reader))
  return values
}

function valueOf(reader: Reader): Tuple[number] {
  switch (reader.letter()) {
    case 'n':
      return null
    case 'u':
      return UNCHANGED
    case 't':
      return reader.textOf(reader.int())
    default:
      throw corrupt('a value has an unknown form')
  }
}

/** Takes the fields of a message in turn. Throws `RangeError` at its end. */
class Reader {
  readonly #data: Buffer
  #at = 0

  constructor(data: Buffer) {
    this.#data = data
  }

  letter(): string {
    return String.fromCharCode(this.#data.readUInt8(this.skip(1)))
  }

  short(): number {
    return this.#data.readUInt16BE(this.skip(2))
  }

  int(): number {
    return this.#data.readInt32BE(this.skip(4))
  }

  id(): number {
    return this.#data.readUInt32BE(this.skip(4))
  }

  long(): bigint {
    return this.#data.readBigInt64BE(this.skip(8))
  }

  /** A text that a zero byte ends. */
  text(): string {
    const end = this.#data.indexOf(0, this.#at)
    if (end < 0) throw new RangeError('a text has no end')
    const text = this.textOf(end - this.#at)
    this.skip(1)
    return text
  }

  textOf(length: number): string {
    const from = this.skip(length)
    if (length < 0 || this.#at > this.#data.length) throw new RangeError('a text is too short')
    return this.#data.toString('utf8', from, this.#at)
  }

  /** Returns where the skipped bytes begin. */
  skip(length: number): number {
    const from = this.#at
    this.#at += length
    return from
  }
}

/** Reads a position of the log, such as `16/B374D848`. Throws `corrupt` for any other text. */
export function lsnOf(text: string): bigint {
  const [, high, low] = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text) ?? []
  if (high === undefined || low === undefined) throw corrupt(`${text} is no position`)
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}

/** Returns a position as PostgreSQL writes it. */
export function lsnText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase()
}
