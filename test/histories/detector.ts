/**
 * The work of the detector in a run (PROTOCOL.md §2, §3, §6), as a list of writes that a death may cut
 * anywhere.
 */
import type { KeyStateKind, Op } from '@sluice/contracts/state'
import { decide, replayed, resynced, transition } from '@sluice/domain/key-state'
import type { Random } from '@sluice/testkit/random'
import { EVERY_KEY, folded, type HistoryPlan, type Row, type RunPlan } from './plan.ts'
import type { Change, Known, State, Topics } from './topics.ts'

/** A change without its place. */
type Found = Omit<Change, 'run' | 'seq'> & { readonly partition: number; readonly endsRetry: boolean }

export interface Detection {
  readonly plan: HistoryPlan
  readonly run: RunPlan
  readonly number: number
  readonly first: boolean
  readonly model: ReadonlyMap<string, Row>
  readonly state: State
  readonly topics: readonly Topics[]
  /** Chooses partitions for unknown keys. */
  readonly random: Random
  /** A decision is about rows whose last change is of a run up to this one. */
  readonly upTo: number
}

export interface Detected {
  readonly changes: readonly Found[]
  /** In this order. A detector may die between any two. */
  readonly writes: readonly (() => void)[]
  /** Rows are added and changed once all partitions have finished their removals. */
  readonly removalsFirst: boolean
}

const ORDER: readonly Change['op'][] = ['settled', 'removed', 'changed', 'added']

/** `writes` are the changes, in the order of R17, and the tombstones of entries that ended with them. */
export function detect(detection: Detection): Detected {
  const found = EVERY_KEY.flatMap(key => findChange(detection, key) ?? [])
  const changes = withDoubts(detection, found).toSorted((a, b) => ORDER.indexOf(a.op) - ORDER.indexOf(b.op))
  const seqs = detection.topics.map(() => 0)
  const settled = changes.filter(({ op }) => op === 'settled')
  const write = (found: Found): (() => void)[] => {
    const publishing = () =>
      publish(detection, { ...found, captured: hasAnothers(found) ? null : found.captured }, seqs)
    return hasAnothers(found) ? [() => endCaptured(detection, found), publishing] : [publishing]
  }
  const values = settled
    .filter(({ captured, settledState }) => captured !== null && settledState === 'absent')
    .map(found => () => endCaptured(detection, found))
  const entries = settled.filter(({ endsRetry }) => endsRetry).map(found => () => endRetry(detection, found))
  const sent = changes.filter(({ op }) => op !== 'settled')
  const removed = changes.filter(({ op }) => op === 'removed')
  const removalsFirst = removed.some(gone =>
    sent.some(({ op, key }) => op !== 'removed' && folded(key) === folded(gone.key)),
  )
  const writes = [...settled.flatMap(write), ...values, ...entries, ...sent.flatMap(write)]
  return { changes, writes, removalsFirst }
}

/** True if the values are of an object that is gone. */
function hasAnothers({ beforeState, captured }: Found): boolean {
  return beforeState === 'absent' && captured !== null
}

function publish({ topics, number }: Detection, found: Found, seqs: number[]): void {
  const { partition, endsRetry: _, ...change } = found
  const seq = seqs[partition] ?? 0
  seqs[partition] = seq + 1
  topics[partition]?.changes.push({ ...change, run: number, seq })
}

function endRetry({ topics }: Detection, { partition, key }: Found): void {
  topics[partition]?.retry.delete(key)
}

function endCaptured({ topics }: Detection, { partition, key }: Found): void {
  topics[partition]?.captured.delete(key)
}

function findChange(detection: Detection, key: string): Found | null {
  const { plan, run, first, model, state, topics, random, upTo } = detection
  // The model has a key in one spelling at a time, and may have that one twice.
  if (run.invalid.some(invalid => invalid === key || (plan.foldsKeys && folded(invalid) === folded(key))))
    return null
  const known = state.get(key)
  const partition = known?.partition ?? random.below(plan.partitions)
  const believed: Pick<Known, 'kind' | 'row' | 'muted'> = known ?? { kind: 'absent', row: null, muted: null }
  const row = model.get(key) ?? null
  const entry = topics[partition]?.retry.get(key) ?? null
  const captured = known === undefined ? null : (topics[partition]?.captured.get(key) ?? null)
  const isBefore = (known?.run ?? 0) <= upTo
  const isResync = isBefore && (run.command === 'resync' || run.command === 'resync-changed')
  const kind = isResync ? believedKind(believed.kind, run) : believed.kind
  const differs = run.compare.some(column => believed.row?.[column] !== row?.[column])
  const op = decide(kind, row !== null, differs)
  // Nobody knows what became of the last request, and nobody has said that it is to be sent again.
  const isUndecided = known?.isUndecided ?? false
  const isDecided = isBefore && (run.command === 'retry' || run.command === 'discard')
  if (plan.atMostOnce && isUndecided && !isDecided) return null
  const common = {
    key,
    partition,
    before: believed.row,
    beforeState: kind,
    captured,
    endsRetry: entry !== null,
  }
  const settle = (of: Pick<Known, 'kind' | 'row' | 'muted'>): Found => {
    const settled = {
      op: 'settled',
      after: of.row,
      settledState: of.kind,
      muted: of.muted,
      retried: null,
    } as const
    return { ...common, ...settled }
  }
  if (first && plan.skipExisting) return row === null ? null : settle({ kind: 'present', row, muted: null })
  const mute = op === null ? null : mutedText(op, row ?? believed.row)
  const isMuted = !isResync && mute !== null && mute === believed.muted
  if (run.command === 'discard')
    return entry === null || mute === null || entry.run > upTo ? null : settle({ ...believed, muted: mute })
  const leavesValues = op === null && kind === 'absent' && captured !== null
  if (op === null || isMuted)
    return entry === null && !leavesValues ? null : settle({ ...believed, muted: isMuted ? mute : null })
  if (entry !== null && !isResync && plan.giveUpAfter !== null && entry.runs >= plan.giveUpAfter)
    return settle({ ...believed, muted: mute })
  if (!run.triggers.includes(op) || (op === 'removed' && plan.api === 'makes-ids' && captured === null)) {
    const { state: next } = transition(kind, op, 'delivered')
    return settle({ kind: next, row: next === 'absent' ? null : row, muted: null })
  }
  return { ...common, op, after: row, settledState: null, muted: null, retried: entry }
}

/** As what a row is settled, so that the next run sends it; null if no trigger does. */
function doubtOf(
  { run, plan }: Detection,
  removed: Pick<Change, 'beforeState'> = { beforeState: 'present' },
): KeyStateKind | null {
  if (plan.atMostOnce) return null
  const triggers = new Set(run.triggers)
  // A strict API says by a rule what is there already, so that `added` does no harm.
  const isAdded =
    plan.api === 'strict' || removed.beforeState === 'existence-uncertain' || !triggers.has('changed')
  if (isAdded && triggers.has('added')) return 'existence-uncertain'
  return triggers.has('changed') ? 'content-uncertain' : null
}

/** A removal may take away the row of a twin: of a key that is removed, too, that is sent, or that is not. */
function withDoubts(detection: Detection, found: readonly Found[]): readonly Found[] {
  const { state } = detection
  const removed = found.filter(({ op }) => op === 'removed')
  const twinOf = (key: string): Found | undefined =>
    removed
      .filter(other => other.key !== key && folded(other.key) === folded(key))
      .toSorted((a, b) => KINDS.indexOf(b.beforeState) - KINDS.indexOf(a.beforeState))[0]
  const doubted = found.map((change): Found => {
    const twin = twinOf(change.key)
    const as = twin === undefined ? null : doubtOf(detection, twin)
    if (twin === undefined) return change
    if (change.op === 'removed') return { ...change, beforeState: 'existence-uncertain' }
    if (as === null) return change
    if (change.op === 'changed' && as === 'existence-uncertain')
      return { ...change, op: 'added', beforeState: as }
    if (change.op === 'changed') return { ...change, beforeState: as }
    const known = state.get(change.key)?.kind ?? 'absent'
    if (change.settledState === null || change.settledState === 'absent' || known === 'absent') return change
    return { ...change, settledState: lessCertain(lessCertain(known, as), change.settledState) }
  })
  return [
    ...doubted,
    ...presentInDoubt(detection, key => (found.some(other => other.key === key) ? undefined : twinOf(key))),
  ]
}

/** From certain to uncertain. */
const KINDS: readonly KeyStateKind[] = ['present', 'content-uncertain', 'existence-uncertain']

function lessCertain(a: KeyStateKind, b: KeyStateKind): KeyStateKind {
  return KINDS.indexOf(a) > KINDS.indexOf(b) ? a : b
}

/** The rows that the destination has of keys with a twin, settled as uncertain. */
function presentInDoubt(
  detection: Detection,
  twinOf: (key: string) => Pick<Change, 'beforeState'> | undefined,
): readonly Found[] {
  const { state, topics } = detection
  return [...state].flatMap(([key, { kind, row, muted, partition }]) => {
    const twin = kind === 'absent' ? undefined : twinOf(key)
    const as = twin === undefined ? null : doubtOf(detection, twin)
    if (as === null || lessCertain(kind, as) === kind) return []
    const settled = { op: 'settled', after: row, settledState: as, muted } as const
    const before = { before: row, beforeState: kind, captured: null, retried: null } as const
    const endsRetry = topics[partition]?.retry.has(key) ?? false
    return [{ key, partition, ...before, ...settled, endsRetry }]
  })
}

function believedKind(kind: Known['kind'], { command }: RunPlan): Known['kind'] {
  if (command === 'resync') return resynced(kind, 'added')
  return command === 'resync-changed' ? resynced(kind, 'changed') : kind
}

/** The text that identifies the row and op of a muted key. Runs pass over the key until it differs. */
export function mutedText(op: Op, row: Row | null): string {
  return `${op}:${JSON.stringify(row)}`
}

type Sent = Change & { readonly op: Op }

/**
 * Makes the rows of recorded requests uncertain, as a list of writes, before any of the requests is sent
 * again. A key has one change, however many of the requests have a row of it.
 */
export function settleReplayed(detection: Detection, rows: readonly Sent[]): readonly (() => void)[] {
  const seqs = detection.topics.map(() => 0)
  const settled = [...Map.groupBy(rows, ({ key }) => key)].flatMap(
    ([key, sent]) => settledForReplay(detection, key, sent) ?? [],
  )
  settled.push(...twinsOfReplayed(detection, rows))
  const ended = settled.filter(({ endsRetry }) => endsRetry)
  return [
    ...settled.map(found => () => publish(detection, found, seqs)),
    ...ended.map(found => () => endRetry(detection, found)),
  ]
}

/** The settled change of a key that precedes the replay of requests with a row of it. */
function settledForReplay(
  { state, topics, plan, random }: Detection,
  key: string,
  sent: readonly Sent[],
): Found | null {
  const known = state.get(key)
  const partition = known?.partition ?? random.below(plan.partitions)
  const kind = sent.reduce((before, { op }) => replayed(before, op), known?.kind ?? 'absent')
  if (kind === 'absent') return null
  const row = known?.row ?? sent.findLast(({ op }) => op !== 'removed')?.after ?? null
  return {
    key,
    partition,
    op: 'settled',
    before: known?.row ?? null,
    beforeState: known?.kind ?? 'absent',
    after: row,
    settledState: kind,
    muted: null,
    captured: null,
    retried: null,
    endsRetry: topics[partition]?.retry.has(key) ?? false,
  }
}

/** Rows that a replayed removal of a twin may take away. */
function twinsOfReplayed(detection: Detection, rows: readonly Sent[]): readonly Found[] {
  const removed = new Set(rows.filter(({ op }) => op === 'removed').map(({ key }) => folded(key)))
  return presentInDoubt(detection, key =>
    rows.every(sent => sent.key !== key) && removed.has(folded(key)) ? { beforeState: 'present' } : undefined,
  )
}

/** Forms of removed keys whose twins may be lost, since nothing sends these again by itself. */
export function unguardedForms(
  detection: Detection,
  changes: readonly Pick<Change, 'op' | 'key'>[],
): readonly string[] {
  const removed = changes.filter(({ op }) => op === 'removed').map(({ key }) => folded(key))
  return doubtOf(detection) === null ? removed : []
}
