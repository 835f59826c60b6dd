/**
 * The oracle of the tests, and what people see of a key; not the engine. It has the tables of PROTOCOL.md §2
 * as functions. The engine is SQL, in `feed/merge-feed.ts` and `diff/find-changes.ts` of
 * libs/delivered-state. `test/key-states.ts` there holds the two against each other in every entry of the
 * tables, and `test/history.ts` in random histories.
 */
import type { KeyStateKind, Op, Outcome } from '@sluice/contracts/state'

/**
 * The change that brings the destination to the model, or null where there is nothing to do. `hasRow`: the
 * model has a row for the key; `differs`: that row is unequal, in the compared columns, to the row of the
 * state. It means nothing if one of the two rows is missing.
 */
export function decide(state: KeyStateKind, hasRow: boolean, differs: boolean): Op | null {
  if (!hasRow) return state === 'absent' ? null : 'removed'
  switch (state) {
    case 'absent':
    case 'existence-uncertain':
      return 'added'
    case 'present':
      return differs ? 'changed' : null
    case 'content-uncertain':
      return 'changed'
    default:
      return state satisfies never
  }
}

/**
 * Which row the destination is believed to hold after a change: `before` (the row of the state before it),
 * `after` (the row that the change carries), or none.
 */
export interface NextState {
  readonly state: KeyStateKind
  readonly row: 'before' | 'after' | null
}

/**
 * The state that follows from a change and its outcome. Outcomes for which the table has no entry (`exists`
 * for anything but an added row, `missing` for an added one) tell nothing about the key: its state stays as
 * it was.
 */
export function transition(before: KeyStateKind, op: Op, outcome: Outcome): NextState {
  const unchanged: NextState = { state: before, row: before === 'absent' ? null : 'before' }
  switch (outcome) {
    case 'delivered':
      return op === 'removed' ? { state: 'absent', row: null } : { state: 'present', row: 'after' }
    case 'rejected':
    case 'unsent':
      return unchanged
    case 'unknown':
      return afterUnknown(op, unchanged)
    case 'exists':
      return op === 'added' ? { state: 'content-uncertain', row: 'after' } : unchanged
    case 'missing':
      return op === 'added' ? unchanged : { state: 'absent', row: null }
    default:
      return outcome satisfies never
  }
}

/**
 * How a resync makes rows uncertain, so that all are sent again, as if they were new or had changed. A row
 * that may not be there at all cannot be sent as changed.
 */
export function resynced(state: KeyStateKind, as: 'added' | 'changed'): KeyStateKind {
  if (state === 'absent') return state
  return as === 'added' || state === 'existence-uncertain' ? 'existence-uncertain' : 'content-uncertain'
}

/**
 * The state of a key once a recorded request with a row of it, of this op, is sent again. The request may
 * change the row, or nothing. The row is that of the state, or that of the request if the state had none.
 */
export function replayed(state: KeyStateKind, op: Op): KeyStateKind {
  if (op === 'removed') return state === 'absent' ? 'absent' : 'existence-uncertain'
  return state === 'present' || state === 'content-uncertain' ? 'content-uncertain' : 'existence-uncertain'
}

/** A request that may have been applied leaves open what it was meant to bring about. */
function afterUnknown(op: Op, unchanged: NextState): NextState {
  switch (op) {
    case 'added':
      return { state: 'existence-uncertain', row: 'after' }
    case 'changed':
      return { state: 'content-uncertain', row: 'after' }
    case 'removed':
      // Removing what is not there is no change that a diff finds; such a state has no row to be uncertain
      // of.
      return unchanged.row === null ? unchanged : { state: 'existence-uncertain', row: 'before' }
    default:
      return op satisfies never
  }
}
