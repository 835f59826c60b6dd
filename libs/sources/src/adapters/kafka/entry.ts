/**
 * An entry of a topic: what one record says about one row, and where the record stands.
 */
import type { Carrier } from './carried-values.ts'

export interface Position {
  readonly partition: number
  readonly offset: number
}

/**
 * Values of some columns, as texts. With carriers, each text is read by the carrier at its place. Without,
 * the record had no schema, and each text begins with its kind (loose-values.ts).
 */
export interface Cells {
  readonly names: readonly string[]
  readonly carriers: readonly Carrier[] | null
  readonly texts: readonly (string | null)[]
}

export interface EntryKey {
  /** Equal for two records if and only if their keys are equal, however the keys are encoded. */
  readonly identity: string
  /** The columns of the key. None if the identity follows from the row. */
  readonly cells: Cells | null
  /** True if the key is one value, not several fields. */
  readonly isOneValue?: boolean
}

export type Said =
  /** `unknown` has the columns whose values the database did not tell, since they have not changed. */
  | {
      readonly kind: 'row'
      readonly key: EntryKey
      readonly cells: Cells
      readonly unknown: readonly string[]
    }
  | { readonly kind: 'removed'; readonly key: EntryKey }
  /** All rows before this entry are gone. */
  | { readonly kind: 'emptied' }
  /** The record is about no row: a heartbeat, the frame of a transaction, a message. */
  | { readonly kind: 'passed' }
  /** `key` is null if the record does not tell its row. */
  | {
      readonly kind: 'unreadable'
      readonly key: EntryKey | null
      readonly why: string
      /** True if the key is there and cannot be read, so that any row may be meant. */
      readonly hidesKey: boolean
    }

/** Where the change stands in the log of its database, as Debezium tells it. */
export interface SourcePlace {
  /** The connector, and what it names its database. Places of two servers cannot be compared. */
  readonly server: string
  /**
   * What within the server the places belong to, such as one of its replicas. Null if the entry does not tell
   * it.
   */
  readonly node: string | null
  /**
   * Sorts as the changes were committed, and always has `PLACE_DIGITS` digits. Null if the entry does not
   * tell it.
   */
  readonly place: string | null
  /** True if the entry does not tell the last commit before it: the first half of its place is zeros. */
  readonly lacksCommit?: boolean
}

export type SnapshotMark = 'first' | 'last' | 'within' | null

export type Entry = Said & {
  readonly at: Position
  /** The time at which the change was committed, else at which the record was written, in ms since 1970. */
  readonly committedAt: number
  /** The entry's place in a snapshot of Debezium. */
  readonly snapshot: SnapshotMark
  /** Absent for a record that is no change of Debezium. */
  readonly source?: SourcePlace
}
