/**
 * The tables of PROTOCOL.md §2 as functions, for tests and for what people see of a key. Runs use SQL
 * instead: `feed/merge-feed.ts` and `diff/find-changes.ts` of libs/delivered-state. There
 * `test/key-states.ts` compares the two in every entry of the tables, and `test/history.ts` in random
 * histories.
 */
import type { KeyStateKind, Op, Outcome } from '@sluice/contracts/state'

/**
 * Returns the change that brings the destination to the model; null if there is nothing to do. `hasRow`: the
 * model has a row for the key; `differs`: that row differs, in the compared columns, from the row of the
 * state. `differs` has no meaning if one of the two rows is missing.
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
 * The state after a change. `row` is the row that the destination is believed to have: `before` (the row of
 * the state before), `after` (the row of the change), or none.
 */
export interface NextState {
  readonly state: KeyStateKind
  readonly row: 'before' | 'after' | null
}

/**
 * Returns the state after a change with this outcome. Outcomes without an entry in the table (`exists` for
 * anything but an added row, `missing` for an added one) say nothing about the key: its state stays the same.
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
 * Returns the state with which a resync sends a row again, as if it were new or had changed. A row that may
 * not be there at all cannot be sent as changed.
 */
export function resynced(state: KeyStateKind, as: 'added' | 'changed'): KeyStateKind {
  if (state === 'absent') return state
  return as === 'added' || state === 'existence-uncertain' ? 'existence-uncertain' : 'content-uncertain'
}

/**
 * Returns the state of a key once a recorded request with its row is sent again. The request may change the
 * row, or nothing. The row comes from the state, or from the request if the state had none.
 */
export function replayed(state: KeyStateKind, op: Op): KeyStateKind {
  if (op === 'removed') return state === 'absent' ? 'absent' : 'existence-uncertain'
  return state === 'present' || state === 'content-uncertain' ? 'content-uncertain' : 'existence-uncertain'
}

/** Returns the state after a request that may or may not have been applied. */
function afterUnknown(op: Op, unchanged: NextState): NextState {
  switch (op) {
    case 'added':
      return { state: 'existence-uncertain', row: 'after' }
    case 'changed':
      return { state: 'content-uncertain', row: 'after' }
    case 'removed':
      // A diff never removes an absent row. Such a state has no row that could be uncertain.
      return unchanged.row === null ? unchanged : { state: 'existence-uncertain', row: 'before' }
    default:
      return op satisfies never
  }
}
