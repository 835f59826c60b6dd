/**
 * Puts the model's states and rules before the code that decides about a slice, which the histories judge.
 */
import {
  decideSlice,
  type DecidedSlice,
  type DecideRules,
  type KnownKey,
} from '@sluice/change-detector/stream/decide-slice'
import { isSameRow, mutedText } from '@sluice/change-detector/stream/compared-rows'
import { decide, transition } from '@sluice/domain/key-state'
import type { Row as DecidedRow } from '@sluice/contracts/values'
import { folded, type Row } from '../plan.ts'
import type { Mistake } from './mistakes.ts'
import type { KeyState, Partition, States, StreamChange, Wanted } from './topics.ts'

/** A command of a person. It is about the changes that were there then. */
export interface Command {
  readonly kind: 'resync' | 'retry' | 'discard'
  /** A resync is about rows whose last change is of a run up to this one. */
  readonly run: number
  /** A decision is about failed rows of earlier runs, or of the run up to these slices, by partition. */
  readonly slices: readonly number[]
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

/** A change without its place. Its partition is null if it may go to any. */
export type Found = Omit<StreamChange, 'run' | 'slice' | 'seq'> & {
  readonly partition: number | null
  readonly isDoubt: boolean
}

/** True if the command is about the row, and has not been carried out for it. */
export function isMeant(
  command: Command | null,
  known: Pick<KeyState, 'run' | 'slice' | 'partition'>,
  mistake: Mistake | null,
): boolean {
  if (command === null || known.run > command.run) return false
  if (command.kind === 'resync' || known.run < command.run || mistake === 'decides-by-run') return true
  return known.slice <= (command.slices[known.partition] ?? 0)
}

export interface ToDecide {
  readonly newest: ReadonlyMap<string, Wanted>
  readonly states: States
  readonly partitions: readonly Partition[]
  readonly inFlight: ReadonlyMap<string, unknown>
  readonly foldsKeys: boolean
  readonly isStrict: boolean
  readonly rules: Rules
}

/** Decides a slice by the detector's own code. */
export function decideAll(
  slice: ToDecide,
): Omit<DecidedSlice<Wanted>, 'changes'> & { readonly changes: readonly Found[] } {
  const { newest, states, partitions, inFlight, foldsKeys, isStrict, rules } = slice
  const { mistake, needsId } = rules
  const formOf = (key: string): string => (foldsKeys && mistake !== 'ignores-twins' ? folded(key) : key)
  const knownOf = (key: string): KnownKey | undefined => {
    const known = states.get(key)
    if (known === undefined) return undefined
    const { kind, row, wanted, partition, run, slice: of, seq, muted } = known
    const own = partitions[partition]
    const entry = own?.retry.get(key)
    const told = mistake === 'leaves-wanted' ? newest.get(key)?.row : wanted.row
    return {
      ...{ key, state: kind, row, wanted: told ?? null, partition, run, slice: of, seq, muted },
      failed: entry === undefined ? null : { incarnation: '', owner: 0, ...entry },
      captured: own?.captured.get(key) ?? null,
    }
  }
  const twinsOf = (key: string) =>
    [...states].flatMap(([other, { wanted }]) => {
      const known = other !== key && foldsKeys && folded(other) === folded(key) ? knownOf(other) : undefined
      return known === undefined || inFlight.has(other) || mistake === 'trusts-twins'
        ? []
        : [{ known, wanted }]
    })
  const isInFlight = (form: string): boolean =>
    mistake !== 'sends-in-flight' && [...inFlight.keys()].some(key => formOf(key) === form)
  const of = { newest, stateOf: knownOf, twinsOf, formOf, isInFlight, rules: rulesFor(rules, isStrict) }
  const decided = decideSlice(of)
  const changes = decided.changes.map(change => {
    const { op, beforeState, captured } = change
    const own = { ...change, before: rowOf(change.before), after: rowOf(change.after) }
    // Delivery takes such a row as gone: nobody can name its object.
    if (op !== 'removed' || !needsId || captured !== null) return own
    const { state } = transition(beforeState, op, 'delivered')
    return { ...own, op: 'settled', after: null, settledState: state, retried: null } as const
  })
  return { ...decided, changes }
}

function rowOf(row: DecidedRow | null): Row | null {
  const { v, w } = row ?? {}
  return typeof v === 'number' && typeof w === 'number' ? { v, w } : null
}

function rulesFor(
  { compare, command, giveUpAfter, resyncAs, mistake }: Rules,
  isStrict: boolean,
): DecideRules {
  const sent = new Set(['added', 'changed', 'removed'] as const)
  return {
    ...{ compare, needed: ['v', 'w'], giveUpAfter, tellsExists: isStrict, sent },
    command: command && {
      kind: command.kind,
      as: resyncAs,
      isMeant: known => isMeant(command, known, mistake),
    },
  }
}

/** True if the row of now is the one that was given up. */
export function isMuted({ kind, row, muted }: KeyState, now: Row | null, compare: Rules['compare']): boolean {
  if (muted === null) return false
  const op = decide(kind, now !== null, !isSameRow(row, now, compare))
  return op !== null && muted === mutedText(op, now ?? row, compare)
}
