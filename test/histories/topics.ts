/** The topics of one sync as far as its state follows from them (PROTOCOL.md §1, §3), in memory. */
import type { Fault, Retried } from '@sluice/contracts/records'
import type { KeyStateKind, Op, Outcome } from '@sluice/contracts/state'
import type { UnownedEntry } from '@sluice/delivery/outcome/effects'
import { transition } from '@sluice/domain/key-state'
import type { Random } from '@sluice/testkit/random'
import type { Row } from './plan.ts'

export interface Change {
  readonly run: number
  readonly seq: number
  readonly op: Op | 'settled'
  readonly key: string
  readonly before: Row | null
  readonly beforeState: KeyStateKind
  readonly after: Row | null
  readonly settledState: KeyStateKind | null
  readonly muted: string | null
  readonly captured: string | null
  readonly retried: Retried | null
}

export interface Topics {
  changes: Change[]
  readonly retry: Map<string, UnownedEntry>
  readonly captured: Map<string, string>
}

/** The state of a key, and the place of its last change. */
export interface Known {
  readonly kind: KeyStateKind
  readonly row: Row | null
  readonly muted: string | null
  readonly partition: number
  readonly run: number
  /** True if nobody knows what became of its last change. */
  readonly isUndecided: boolean
}

export type State = Map<string, Known>

export function emptyTopics(): Topics {
  return { changes: [], retry: new Map(), captured: new Map() }
}

/**
 * Takes changes from `from` on into a state. Every run among them has ended. The fate of changes that
 * `faults` name is unknown.
 */
export function feed(
  state: State,
  topics: readonly Topics[],
  { from, faults }: { readonly from: readonly number[]; readonly faults: readonly Fault[] },
): void {
  const isLost = ({ run, seq }: Change, partition: number): boolean =>
    faults.some(fault => fault.partition === partition && fault.run === run && seq >= fault.from)
  for (const [partition, { changes, retry }] of topics.entries()) {
    for (const change of changes.slice(from[partition])) {
      if ((state.get(change.key)?.run ?? -1) > change.run) continue
      const outcome = isLost(change, partition) ? 'unknown' : outcomeOf(change, retry.get(change.key))
      const isUndecided = change.op !== 'settled' && outcome === 'unknown'
      state.set(change.key, { ...stateAfter(change, outcome), partition, run: change.run, isUndecided })
    }
  }
  for (const [key, { kind, muted, partition }] of state) {
    const own = topics[partition]
    const isOwed = own !== undefined && (own.retry.has(key) || own.captured.has(key))
    if (kind === 'absent' && muted === null && !isOwed) state.delete(key)
  }
  for (const [partition, { captured }] of topics.entries()) {
    for (const key of captured.keys())
      if (!state.has(key))
        state.set(key, { kind: 'absent', row: null, muted: null, partition, run: -1, isUndecided: false })
  }
}

/** The outcome of a change, which the run's partition has reported. */
export function outcomeOf({ run, seq }: Change, entry: UnownedEntry | undefined): Outcome {
  return entry?.run === run && entry.seq === seq ? entry.outcome : 'delivered'
}

/** The state of its key after a change. */
export function stateAfter(change: Change, outcome: Outcome): Pick<Known, 'kind' | 'row' | 'muted'> {
  const { op, before, beforeState, after, settledState, muted } = change
  if (op === 'settled') {
    const kind = settledState ?? 'absent'
    return { kind, row: kind === 'absent' ? null : after, muted }
  }
  const next = transition(beforeState, op, outcome)
  const row = next.row === 'after' ? after : next.row === 'before' ? before : null
  return { kind: next.state, row, muted: null }
}

/** The faults that put the last change of a key in its partition in doubt. The others are over. */
export function inDoubt(faults: readonly Fault[], topics: readonly Topics[]): readonly Fault[] {
  return faults.filter(fault => {
    const last = new Map(topics[fault.partition]?.changes.map(change => [change.key, change]))
    const isOfFault = ({ op, run, seq }: Change): boolean =>
      op !== 'settled' && run === fault.run && seq >= fault.from
    return [...last.values()].some(isOfFault)
  })
}

/** The state rebuilt from the topics, from which the cleaner may have dropped superseded records. */
export function rebuilt(topics: readonly Topics[], random: Random, faults: readonly Fault[]): State {
  const compacted = topics.map(({ changes, ...others }) => {
    const last = new Map(changes.map(change => [change.key, change]))
    return { ...others, changes: changes.filter(c => last.get(c.key) === c || random.chance(0.5)) }
  })
  const state: State = new Map()
  feed(state, compacted, { from: [], faults })
  return state
}
