/**
 * Decides which changes a slice of a stream publishes, by the states of its keys and their rows in the
 * source. It is pure: test/histories/streams plays it in random histories.
 */
import type { Change } from '@sluice/contracts/records'
import type { KeyStateKind, Op } from '@sluice/contracts/state'
import type { Row } from '@sluice/contracts/values'
import type { StreamedKey } from '@sluice/delivered-state/stream-port'
import { decide, resynced } from '@sluice/domain/key-state'
import { differsFrom, isSameRow, lacksColumns, mutedText } from './compared-rows.ts'

/** The row of a key in the source, as far as it is read. The caller adds the entry that it is of. */
export interface WantedRow {
  /** Null: the source has none. */
  readonly row: Row | null
  /** True for a first comparison that takes its rows as being at the destination already. */
  readonly isThere?: boolean
}

export type KnownKey = Omit<StreamedKey, 'epoch' | 'order'>

/** What somebody asks for. */
export interface AskedFor {
  readonly kind: 'resync' | 'retry' | 'discard'
  /** For a resync: how rows that may be at the destination are sent. */
  readonly as: 'added' | 'changed'
  /** True if the command is about the key, and has not been carried out for it. */
  readonly isMeant: (known: KnownKey) => boolean
}

export interface DecideRules {
  /** Columns whose differences count as a change. */
  readonly compare: readonly string[]
  /** Columns that are compared or rendered. The topics always tell their newest values. */
  readonly needed: readonly string[]
  /** Ops with a trigger. Changes of other ops are settled as if delivered. */
  readonly sent: ReadonlySet<Op>
  /** Rows that failed in this many runs are given up. */
  readonly giveUpAfter: number | null
  /** True if a rule for answers can say that a row is there already. */
  readonly tellsExists: boolean
  readonly command: AskedFor | null
}

type FromChange =
  'key' | 'op' | 'before' | 'beforeState' | 'after' | 'settledState' | 'muted' | 'captured' | 'retried'

/** A change without its place. */
export interface FoundChange<W extends WantedRow> extends Pick<Change, FromChange> {
  /** The partition that it has to go to. Null: any. */
  readonly partition: number | null
  /** What the source has. */
  readonly wanted: W
  /** True if its retry entry ends: it is settled. */
  readonly endsRetry: boolean
  /** True if its captured values end: their object is gone, or goes with it. */
  readonly endsCaptured: boolean
  /** True if it settles the key as uncertain, since a twin of it is removed. */
  readonly isDoubt: boolean
}

/** Returns the change that the key needs; null if it needs none. */
export function decideKey<W extends WantedRow>(
  key: string,
  { wanted, known }: { readonly wanted: W; readonly known: KnownKey | undefined },
  rules: DecideRules,
): FoundChange<W> | null {
  const { command, compare, needed } = rules
  const { row } = wanted
  const entry = known?.failed ?? null
  const isAsked = known !== undefined && command?.isMeant(known) === true
  const isResync = isAsked && command.kind === 'resync'
  const believed = known ?? ABSENT
  const kind = isResync ? resynced(believed.state, command.as) : believed.state
  const op = decide(kind, row !== null, differsFrom(believed.row, row, compare))
  const found = { key, wanted, partition: partitionOf(known), isDoubt: false }
  const captured = known?.captured ?? null
  const settle = (state: KeyStateKind, after: Row | null, muted: string | null): FoundChange<W> => ({
    ...{
      ...found,
      op: 'settled',
      before: believed.row,
      beforeState: believed.state,
      after,
      settledState: state,
    },
    ...{ muted, captured, retried: null, endsRetry: entry !== null },
    endsCaptured: captured !== null && state === 'absent',
  })
  const leave = (muted: string | null) => settle(believed.state, believed.row, muted)
  const muted = (): string | null => (op === null ? null : mutedText(op, row ?? believed.row, compare))
  const isMuted = believed.muted !== null && !isResync && believed.muted === muted()
  if (op === null && row !== null && lacksColumns(believed.row, compare)) return settle('present', row, null)
  if (op === null || isMuted) {
    const isTold = known === undefined ? row === null : isSameRow(known.wanted, row, needed)
    const leavesValues = believed.state === 'absent' && captured !== null
    return entry === null && !leavesValues && isTold ? null : leave(isMuted ? believed.muted : null)
  }
  const failed = isOfLastChange(known) ? entry : null
  if (failed !== null && isGivenUp(failed.runs, { isAsked, isResync }, rules)) return leave(muted())
  if (wanted.isThere === true || !rules.sent.has(op))
    return settle(row === null ? 'absent' : 'present', row, null)
  // Values that a dead process left behind are not of the row that comes now.
  const isAnothers = kind === 'absent'
  return {
    ...{ ...found, op, before: believed.row, beforeState: kind, after: row, settledState: null, muted: null },
    ...{ captured: isAnothers ? null : captured, endsCaptured: isAnothers && captured !== null },
    ...{ retried: failed, endsRetry: false },
  }
}

function isGivenUp(
  runs: number,
  { isAsked, isResync }: { readonly isAsked: boolean; readonly isResync: boolean },
  { command, giveUpAfter }: DecideRules,
): boolean {
  if (isAsked) return !isResync && command?.kind === 'discard'
  return giveUpAfter !== null && runs >= giveUpAfter
}

const ABSENT = { state: 'absent', row: null, muted: null } as const

function isOfLastChange(known: KnownKey | undefined): boolean {
  return known?.failed?.run === known?.run && known?.failed?.seq === known?.seq
}

/** Returns the partition of a key. A key that is gone, and owes nothing, may come back in another one. */
function partitionOf(known: KnownKey | undefined): number | null {
  if (known === undefined) return null
  const { state, muted, failed, captured, partition } = known
  const isGone = state === 'absent' && muted === null && failed === null && captured === null
  return isGone ? null : partition
}

/**
 * Returns the change that settles a key as uncertain, since its twin is about to be removed: the removal may
 * take away the object of both. Null if that changes nothing.
 */
export function doubted<W extends WantedRow>(
  known: KnownKey,
  { wanted, removed }: { readonly wanted: W; readonly removed: KeyStateKind },
  { compare, sent, tellsExists }: DecideRules,
): FoundChange<W> | null {
  const { key, state, row } = known
  const isGone = removed === 'existence-uncertain'
  const asAdded = sent.has('added') && (isGone || tellsExists || !sent.has('changed'))
  const doubt = asAdded ? 'existence-uncertain' : sent.has('changed') ? 'content-uncertain' : null
  if (doubt === null || CERTAINTY.indexOf(state) >= CERTAINTY.indexOf(doubt) || state === 'absent')
    return null
  // A row that was given up stays so as long as it would be sent in the same way.
  const op = decide(doubt, wanted.row !== null, true)
  const isMuted = op !== null && known.muted === mutedText(op, wanted.row ?? row, compare)
  return {
    ...{
      key,
      wanted,
      partition: partitionOf(known),
      isDoubt: true,
      endsRetry: known.failed !== null,
      endsCaptured: false,
    },
    ...{ op: 'settled', before: row, beforeState: state, after: row, settledState: doubt },
    ...{ muted: isMuted ? known.muted : null, captured: known.captured, retried: null },
  }
}

const CERTAINTY: readonly KeyStateKind[] = ['absent', 'present', 'content-uncertain', 'existence-uncertain']

export interface SliceOf<W extends WantedRow> {
  /** What the source has of each key that is to be decided. */
  readonly newest: ReadonlyMap<string, W>
  readonly stateOf: (key: string) => KnownKey | undefined
  /** Keys of the same form, apart from the key itself, and what the source has of them. */
  readonly twinsOf: (key: string) => readonly { readonly known: KnownKey; readonly wanted: W }[]
  /** Keys of the same form wait for each other (domain/key-form.ts). */
  readonly formOf: (key: string) => string
  /** True while a change of a key of this form is on its way. */
  readonly isInFlight: (form: string) => boolean
  readonly rules: DecideRules
}

export interface DecidedSlice<W extends WantedRow> {
  readonly changes: readonly FoundChange<W>[]
  /** Keys that wait until the change of them, or of a twin, has arrived. */
  readonly held: ReadonlyMap<string, W>
  /** Keys that need no change. */
  readonly done: readonly string[]
}

/** Decides the keys of a slice. A key, and all of its twins, have at most one change on the way. */
export function decideSlice<W extends WantedRow>(slice: SliceOf<W>): DecidedSlice<W> {
  const { newest, stateOf, twinsOf, formOf, isInFlight, rules } = slice
  const changes: FoundChange<W>[] = []
  const held = new Map<string, W>()
  const done: string[] = []
  const taken = new Set<string>()
  // A removal goes before what is sent of its twin.
  const inOrder = [...newest].sort(([, a], [, b]) => Number(a.row !== null) - Number(b.row !== null))
  for (const [key, wanted] of inOrder) {
    const form = formOf(key)
    if (taken.has(form) || isInFlight(form)) {
      held.set(key, wanted)
      continue
    }
    const change = decideKey(key, { wanted, known: stateOf(key) }, rules)
    if (change === null) {
      done.push(key)
      continue
    }
    if (change.op === 'removed')
      for (const twin of twinsOf(key)) {
        const doubt = doubted(twin.known, { wanted: twin.wanted, removed: change.beforeState }, rules)
        if (doubt !== null) changes.push(doubt)
      }
    changes.push(change)
    taken.add(form)
  }
  return { changes, held, done }
}
