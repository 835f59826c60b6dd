/** Derives the state, the rows and the place of a key from its last change. */
import type { KeyStateKind, Outcome } from '@sluice/contracts/state'
import type { Row } from '@sluice/contracts/values'
import { decide, transition } from '@sluice/domain/key-state'
import type { StreamedChange } from '../../stream-port.ts'

/** The place of a change among all of its key. */
export interface Place {
  readonly run: number
  readonly slice: number
  readonly seq: number
}

export interface NextKey extends Place {
  readonly state: KeyStateKind
  readonly row: Row | null
  readonly wanted: Row | null
  /** Null for a settled change, which has no request. */
  readonly outcome: Outcome | null
  readonly epoch: number
  readonly order: string
  readonly muted: string | null
  /** True if the row is uncertain, and not muted for the op that it needs. */
  readonly isOpen: boolean
}

/** True for a change that another one of the key follows. */
export function isBefore(a: Place, b: Place): boolean {
  if (a.run !== b.run) return a.run < b.run
  return a.slice === b.slice ? a.seq < b.seq : a.slice < b.slice
}

/**
 * Returns what the change leaves, by its outcome. Runs that compare tables tell no order, and no wanted row.
 */
export function nextKey(change: StreamedChange['change'], outcome: Outcome): NextKey {
  const { run, seq, streamed, muted } = change
  const { slice = 0, epoch = 0, order = '' } = streamed ?? {}
  const common = { run, slice, seq, epoch, order, muted }
  if (change.op === 'settled') return { ...common, ...settledKey(change) }
  const { beforeState, op, before, after } = change
  const next = transition(beforeState, op, outcome)
  const row = next.row === null ? null : next.row === 'after' ? after : before
  return { ...common, state: next.state, row, wanted: after, outcome, isOpen: isUncertain(next.state) }
}

function settledKey(
  change: StreamedChange['change'],
): Pick<NextKey, 'state' | 'row' | 'wanted' | 'outcome' | 'isOpen'> {
  const { beforeState, settledState, after, muted, streamed } = change
  const state = settledState ?? 'absent'
  const isOfStream = streamed !== null && streamed !== undefined
  const wanted = change.wanted ?? (isOfStream ? null : after)
  const need = (of: KeyStateKind) => decide(of, wanted !== null, true)
  // A twin that is removed makes a muted row uncertain. It may then need another op than the muted one.
  const isMuted = muted !== null && need(state) === need(beforeState)
  const row = state === 'absent' ? null : after
  return { state, row, wanted, outcome: null, isOpen: isUncertain(state) && !isMuted }
}

function isUncertain(state: KeyStateKind): boolean {
  return state === 'content-uncertain' || state === 'existence-uncertain'
}
