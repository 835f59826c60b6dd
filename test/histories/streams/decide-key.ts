/**
 * Decides which change the detector of a stream publishes for a key, by its state and its row in the source.
 */
import type { KeyStateKind } from '@sluice/contracts/state'
import { decide, resynced, transition } from '@sluice/domain/key-state'
import { mutedText } from '../detector.ts'
import type { Row } from '../plan.ts'
import type { Known } from '../topics.ts'
import type { Mistake } from './mistakes.ts'
import type { KeyState, Partition, StreamChange, Wanted } from './topics.ts'

/** A command of a person. It is about the changes that were there then. */
export interface Command {
  readonly kind: 'resync' | 'retry' | 'discard'
  /** A resync is about rows whose last change is of a run up to this one. */
  readonly run: number
  /** A decision is about failed rows of earlier runs, or of the run up to these slices, by partition. */
  readonly slices: readonly number[]
}

export interface Decided {
  readonly key: string
  readonly wanted: Wanted
  readonly known: KeyState | undefined
  readonly partition: number
}

export interface Rules {
  readonly compare: readonly (keyof Row)[]
  readonly command: Command | null
  readonly giveUpAfter: number | null
  /** A row can be removed by the id alone that the API made. */
  readonly needsId: boolean
  readonly resyncAs: 'added' | 'changed'
  readonly mistake: Mistake | null
}

/** A change without its place. */
export type Found = Omit<StreamChange, 'run' | 'slice' | 'seq'>

/** True if the command is about the row, and has not been carried out for it. */
export function isMeant(command: Command | null, known: KeyState, mistake: Mistake | null): boolean {
  if (command === null || known.run > command.run) return false
  if (command.kind === 'resync' || known.run < command.run || mistake === 'decides-by-run') return true
  return known.slice <= (command.slices[known.partition] ?? 0)
}

/** The change that the key needs; null if it needs none. */
export function decideKey(of: Decided, { retry, captured: values }: Partition, rules: Rules): Found | null {
  const { key, wanted, known } = of
  const { command, mistake } = rules
  const { row } = wanted
  const entry = retry.get(key) ?? null
  const captured = values.get(key) ?? null
  const isOfCommand = known !== undefined && isMeant(command, known, mistake)
  const isResync = isOfCommand && command?.kind === 'resync'
  const believed: Pick<Known, 'kind' | 'row' | 'muted'> = known ?? ABSENT
  const kind = isResync ? resynced(believed.kind, rules.resyncAs) : believed.kind
  const differs = rules.compare.some(column => believed.row?.[column] !== row?.[column])
  const op = decide(kind, row !== null, differs)
  const mute = op === null ? null : mutedText(op, row ?? believed.row)
  const isMuted = !isResync && mute !== null && mute === believed.muted
  const common = { key, wanted, before: believed.row, beforeState: kind, captured }
  const settle = (as: Pick<Known, 'kind' | 'row' | 'muted'>): Found => {
    const settled = { op: 'settled', after: as.row, settledState: as.kind, muted: as.muted } as const
    return { ...common, ...settled, retried: null }
  }
  if (isOfCommand && command?.kind === 'discard' && entry !== null && mute !== null)
    return settle({ ...believed, muted: mute })
  if (op === null || isMuted) {
    const isTold = known === undefined ? row === null : isSame(known.wanted.row, row, rules.compare)
    const leavesValues = kind === 'absent' && captured !== null
    const isDone = entry === null && !leavesValues && (isTold || mistake === 'leaves-wanted')
    return isDone ? null : settle({ ...believed, muted: isMuted ? mute : null })
  }
  const isAsked = isOfCommand && command?.kind !== 'discard'
  if (entry !== null && !isAsked && rules.giveUpAfter !== null && entry.runs >= rules.giveUpAfter)
    return settle({ ...believed, muted: mute })
  if (op === 'removed' && rules.needsId && captured === null) {
    const { state } = transition(kind, op, 'delivered')
    return settle({ kind: state, row: null, muted: null })
  }
  return { ...common, op, after: row, settledState: null, muted: null, retried: entry }
}

/** True if the row of now is the one that was given up. */
export function isMuted({ kind, row, muted }: KeyState, now: Row | null, compare: Rules['compare']): boolean {
  if (muted === null) return false
  const op = decide(kind, now !== null, !isSame(row, now, compare))
  return op !== null && muted === mutedText(op, now ?? row)
}

const ABSENT = { kind: 'absent', row: null, muted: null } as const

function isSame(a: Row | null, b: Row | null, columns: readonly (keyof Row)[]): boolean {
  return a === b || (a !== null && b !== null && columns.every(column => a[column] === b[column]))
}

/**
 * The row of a key whose twin is about to be removed, settled as uncertain: the removal may take away the
 * object of both.
 */
export function doubted(
  key: string,
  known: KeyState,
  { removed, isStrict }: { readonly removed: KeyStateKind; readonly isStrict: boolean },
): Found | null {
  const { kind, row, muted, wanted } = known
  if (kind === 'absent') return null
  const isAdded = isStrict || removed === 'existence-uncertain' || kind === 'existence-uncertain'
  const as = isAdded ? 'existence-uncertain' : 'content-uncertain'
  const common = { key, wanted, before: row, beforeState: kind, captured: null, retried: null }
  return { ...common, op: 'settled', after: row, settledState: as, muted }
}
