/**
 * Compares each change of a history with the tables of PROTOCOL.md §2, which are written down here once more.
 * The state of the key before the run follows from the topics. With the model's rows in the run, it decides
 * exactly what the run has to publish for the key.
 */
import type { KeyStateKind, Op, Outcome } from '@sluice/contracts/state'
import { EVERY_KEY, folded } from './plan.ts'
import { comparedIn, modelRow, type PlayedRun, type WholeRow } from './played-run.ts'
import { entryOf, type PlacedChange, type Topics } from './told-topics.ts'

/** The state of a key as its changes and their outcomes say. */
export interface Known {
  readonly kind: KeyStateKind
  readonly row: WholeRow | null
  /** Runs pass over this op with these compared values. */
  readonly muted: string | null
  /** The partition of the last change. Null for a key without changes. */
  readonly partition: number | null
  /** The number of runs in a row that did not deliver the row. 0 if the last change did not fail. */
  readonly failures: number
  /** The run of its last change; 0 if there is none. */
  readonly run: number
  /** Its last change was sent, and nobody knows what became of it. */
  readonly inDoubt: boolean
}

const UNKNOWN_KEY: Known = {
  kind: 'absent',
  row: null,
  muted: null,
  partition: null,
  failures: 0,
  run: 0,
  inDoubt: false,
}

/**
 * The change that a run makes for a key: for a row that differs, for one that does not, and without a row.
 */
const WANTED: { readonly [kind in KeyStateKind]: readonly [Op, Op | null, Op | null] } = {
  absent: ['added', 'added', null],
  present: ['changed', null, 'removed'],
  'content-uncertain': ['changed', 'changed', 'removed'],
  'existence-uncertain': ['added', 'added', 'removed'],
}

type Next = readonly [KeyStateKind, 'before' | 'after' | 'none']

/** The certainty after each outcome. An outcome that is not here leaves the state as it was. */
const AFTERWARDS: { readonly [op in Op]: { readonly [outcome in Outcome]?: Next } } = {
  added: {
    delivered: ['present', 'after'],
    unknown: ['existence-uncertain', 'after'],
    exists: ['content-uncertain', 'after'],
  },
  changed: {
    delivered: ['present', 'after'],
    unknown: ['content-uncertain', 'after'],
    missing: ['absent', 'none'],
  },
  removed: {
    delivered: ['absent', 'none'],
    unknown: ['existence-uncertain', 'before'],
    missing: ['absent', 'none'],
  },
}

const RESYNCED: { readonly [command: string]: { readonly [kind in KeyStateKind]?: KeyStateKind } } = {
  resync: { present: 'existence-uncertain', 'content-uncertain': 'existence-uncertain' },
  'resync-changed': { present: 'content-uncertain' },
}

export interface Told {
  readonly topics: Topics
  /** By number: all that have ended. */
  readonly runs: ReadonlyMap<number, PlayedRun>
  /** A row that may have arrived is not sent again until somebody says so. */
  readonly atMostOnce: boolean
  /** Called for a change that is wrong or missing. */
  readonly onBroken: (what: string) => never
}

/** The change that a run publishes for a key, as far as it is judged. */
interface Expected {
  readonly op: Op | 'settled'
  readonly beforeState: KeyStateKind
  readonly before: WholeRow | null
  readonly after: WholeRow | null
  readonly settledState: KeyStateKind | null
  readonly muted: string | null
}

interface Expectation {
  /** Null if the run need not publish anything for the key. */
  readonly needed: Expected | null
  /**
   * Repeats the state, if an entry or captured values have to end. It is never required. Null: not allowed.
   */
  readonly restated: Expected | null
}

/** Judges all runs, in order. Returns what is known of each key after the last one. */
export function judgeChanges(told: Told): ReadonlyMap<string, Known> {
  const { topics, runs, onBroken } = told
  const byRun = Map.groupBy(topics.changes, ({ run }) => run)
  const known = new Map<string, Known>()
  let seen = false
  for (const run of byRun.keys()) if (!runs.has(run)) onBroken(`nobody asked for run ${run}`)
  for (const [number, played] of [...runs].toSorted(([a], [b]) => a - b)) {
    const { event } = played
    if (event.first === seen) onBroken(`run ${number} says first: ${String(event.first)}`)
    if (event.faults.length > 0) onBroken(`run ${number} lost track of its changes`)
    judgeRun(told, { number, played, changes: byRun.get(number) ?? [], known })
    seen ||= event.complete && !isOfSomeRows(played)
  }
  return known
}

/** True for a run that does not look at every row of the model. */
function isOfSomeRows({ plan: { command, named } }: PlayedRun): boolean {
  return command === 'discard' || named !== null
}

interface JudgedRun {
  readonly number: number
  readonly played: PlayedRun
  readonly changes: readonly PlacedChange[]
  readonly known: Map<string, Known>
}

function judgeRun(
  { topics, atMostOnce, onBroken }: Told,
  { number, played, changes, known }: JudgedRun,
): void {
  const byKey = Map.groupBy(changes, ({ key }) => key)
  for (const key of new Set<string>([...EVERY_KEY, ...byKey.keys()])) {
    const before = known.get(key) ?? UNKNOWN_KEY
    const [change, ...more] = byKey.get(key) ?? []
    if (more.length > 0) onBroken(`run ${number} has ${more.length + 1} changes of ${key}`)
    const { needed, restated } = expectationOf(key, before, { ...played, atMostOnce })
    if (change === undefined) {
      if (needed !== null && played.event.complete)
        onBroken(`run ${number} said nothing of ${key}, which was to be ${shown(needed)}`)
      continue
    }
    const expected = needed ?? restated
    const mayRestate = needed === null && restated !== null && topics.held.has(key) && fits(change, restated)
    // A run of some rows may remove a twin of another row, too.
    const settled = expected ?? unchanged(before)
    if (!atMostOnce && isDoubted(change, { known: before, expected: settled, changes })) {
      known.set(
        key,
        afterChange(change, before, { topics, muted: change.muted === null ? null : before.muted }),
      )
      continue
    }
    if (!mayRestate && (needed === null || !(fits(change, needed) || fitsInDoubt(change, needed, changes))))
      onBroken(`run ${number}: ${key} was ${shown(change)}, not ${needed === null ? 'left' : shown(needed)}`)
    if (before.partition !== null && !isForgotten(before) && change.partition !== before.partition)
      onBroken(`run ${number}: ${key} moved from partition ${before.partition} to ${change.partition}`)
    if (change.op !== 'settled' && (change.retried === null) !== (before.failures === 0))
      onBroken(`run ${number}: ${key} failed in ${before.failures} runs, and was published as if not so`)
    const muted = expected?.muted ?? null
    known.set(key, afterChange(change, before, { topics, muted }))
  }
}

function isTwinOfRemoved({ key }: PlacedChange, changes: readonly PlacedChange[]): boolean {
  return changes.some(
    ({ op, key: other }) => op === 'removed' && other !== key && folded(other) === folded(key),
  )
}

/** True for a change whose row counts as less certain, since the run removes a twin of it. */
function fitsInDoubt(change: PlacedChange, expected: Expected, changes: readonly PlacedChange[]): boolean {
  if (!isTwinOfRemoved(change, changes)) return false
  const { op, beforeState } = change
  const isMissing = beforeState === 'existence-uncertain' && expected.op !== 'settled'
  if (isMissing && op === (expected.op === 'removed' ? 'removed' : 'added'))
    return fits(change, { ...expected, op, beforeState })
  return op === 'changed' && beforeState === 'content-uncertain' && fits(change, { ...expected, beforeState })
}

/** True for a row that is settled as uncertain, since the run removes a twin of it. */
function isDoubted(
  change: PlacedChange,
  of: { readonly known: Known; readonly expected: Expected; readonly changes: readonly PlacedChange[] },
): boolean {
  const { known, expected, changes } = of
  const { settledState, muted } = change
  if (
    !isTwinOfRemoved(change, changes) ||
    known.kind === 'absent' ||
    settledState?.endsWith('-uncertain') !== true
  )
    return false
  return expected.op === 'settled' && fits(change, { ...expected, settledState, muted })
}

/** The row as it was, settled. */
function unchanged({ kind, row, muted }: Known): Expected {
  return { op: 'settled', beforeState: kind, before: row, after: row, settledState: kind, muted }
}

function shown({ op, beforeState, before, after, settledState, muted }: Expected): string {
  const to = settledState === null ? '' : ` as ${settledState}`
  const rows = `${JSON.stringify(before)} → ${JSON.stringify(after)}`
  return `${op}${to} from ${beforeState} (${rows}${muted === null ? '' : ', muted'})`
}

/** True for a key whose partition a state need not remember. */
function isForgotten({ kind, muted, failures }: Known): boolean {
  return kind === 'absent' && muted === null && failures === 0
}

function expectationOf(key: string, known: Known, played: PlayedRun & Pick<Told, 'atMostOnce'>): Expectation {
  const { plan, baseline, giveUpAfter, atMostOnce } = played
  const { command, named } = plan
  // A run in place of an interrupted one does not know what that one had sent.
  const isMeant = known.run <= played.askedAfter
  const isResync = isMeant && command in RESYNCED
  const isNamed = isMeant && (named === null || named === key)
  const isDecided = isNamed && (command === 'retry' || command === 'discard')
  if (atMostOnce && known.inDoubt && !isDecided) return NOTHING
  if (named !== null && !(isNamed && known.failures > 0)) return NOTHING
  const kind = (isResync ? RESYNCED[command]?.[known.kind] : undefined) ?? known.kind
  const row = modelRow(played, key)
  const columns = comparedIn(played)
  const op = wantedOp(kind, { row, believed: known.row, columns })
  const common = { beforeState: kind, before: known.row }
  const settle = (settledState: KeyStateKind, after: WholeRow | null, muted: string | null): Expected => ({
    ...common,
    op: 'settled',
    after,
    settledState,
    muted,
  })
  const mutes = op === null ? null : mutedText(op, row ?? known.row, columns)
  const wasMuted = !isResync && mutes !== null && mutes === known.muted
  const restated = settle(known.kind, known.row, wasMuted ? mutes : null)
  const nothing = { needed: null, restated }
  if (plan.invalid.includes(key) && row !== null) return nothing
  if (op === null) {
    const isAdopted =
      row !== null && command !== 'discard' && columns.some(name => !hasColumn(known.row, name))
    return isAdopted ? { needed: settle('present', row, null), restated } : nothing
  }
  if (wasMuted) return nothing
  const givesUp = giveUpAfter !== null && known.failures >= giveUpAfter && !isResync && named === null
  if (command === 'discard' && !isMeant) return nothing
  if (command === 'discard' || (givesUp && known.failures > 0))
    return known.failures === 0 ? nothing : { needed: settle(known.kind, known.row, mutes), restated }
  if (baseline || !plan.triggers.includes(op)) {
    const after = op === 'removed' ? null : row
    return { needed: settle(after === null ? 'absent' : 'present', after, null), restated }
  }
  return { needed: { ...common, op, after: row, settledState: null, muted: null }, restated }
}

/** Not a word is due about the key. */
const NOTHING: Expectation = { needed: null, restated: null }

function wantedOp(
  kind: KeyStateKind,
  of: {
    readonly row: WholeRow | null
    readonly believed: WholeRow | null
    readonly columns: readonly string[]
  },
): Op | null {
  const { row, believed, columns } = of
  const [different, same, none] = WANTED[kind]
  if (row === null) return none
  // A row is not sent for columns that it was delivered without.
  const differs = columns.some(name => hasColumn(believed, name) && believed?.[name] !== row[name])
  return differs ? different : same
}

function hasColumn(row: WholeRow | null, name: string): boolean {
  return row !== null && Object.hasOwn(row, name)
}

function mutedText(op: Op, row: WholeRow | null, columns: readonly string[]): string {
  return JSON.stringify([op, columns, columns.map(name => row?.[name] ?? null)])
}

function fits(change: PlacedChange, expected: Expected): boolean {
  return (
    change.op === expected.op &&
    change.beforeState === expected.beforeState &&
    change.settledState === expected.settledState &&
    (change.muted === null) === (expected.muted === null) &&
    isRow(change.before, expected.before) &&
    isRow(change.after, expected.after)
  )
}

/** A row before may have been stored with other columns than the run knows: null stands for what it lacks. */
function isRow(found: WholeRow | null, expected: WholeRow | null): boolean {
  if (found === null || expected === null) return found === expected
  return Object.entries(found).every(([name, value]) => value === (expected[name] ?? null))
}

function afterChange(
  change: PlacedChange,
  known: Known,
  of: { readonly topics: Topics; readonly muted: string | null },
): Known {
  const { op, before, beforeState, after, settledState, partition, run } = change
  if (op === 'settled') {
    const { muted } = of
    return { kind: settledState ?? 'absent', row: after, muted, partition, failures: 0, run, inDoubt: false }
  }
  const entry = entryOf(of.topics.entries, change)
  const asBefore: Next = [beforeState, beforeState === 'absent' ? 'none' : 'before']
  const [kind, takes] = AFTERWARDS[op][entry?.outcome ?? 'delivered'] ?? asBefore
  const row = takes === 'none' ? null : takes === 'after' ? after : before
  const failures = entry === undefined ? 0 : known.failures + 1
  return { kind, row, muted: null, partition, failures, run, inDoubt: entry?.outcome === 'unknown' }
}
