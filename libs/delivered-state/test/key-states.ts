/**
 * Holds the engine against the tables of PROTOCOL.md §2 (domain/key-state.ts), in all of their entries: every
 * state with every op and outcome, and with every row that the model may have. Random histories compare the
 * two over runs that follow one another.
 */
import { describe, expect, it } from 'vitest'
import { OPS, type KeyStateKind, type Op, type Outcome } from '@sluice/contracts/state'
import { decide, replayed, resynced, transition } from '@sluice/domain/key-state'
import type { DetectedChange, PlacedChange, RunPurpose } from '../src/port.ts'
import { type DeliveredStateHarness, TIMEOUT } from './harness.ts'
import { entryOf, Played } from './played.ts'

const KINDS: readonly KeyStateKind[] = ['absent', 'present', 'content-uncertain', 'existence-uncertain']
const OUTCOMES: readonly Outcome[] = ['delivered', 'rejected', 'unknown', 'unsent', 'exists', 'missing']
const NO_ROWS = "SELECT '' AS id, 0 AS v LIMIT 0"

type Fed = Pick<DetectedChange, 'op' | 'key' | 'beforeState' | 'before' | 'after' | 'settledState'>

/** A key with its state, and the `v` of its row. */
interface Known {
  readonly state: KeyStateKind
  readonly v: unknown
}

export function keyStatesSuite(name: string, harness: () => DeliveredStateHarness): void {
  describe(`${name}: the tables of states`, TIMEOUT, () => {
    it('say what follows from every state, op and outcome', async () => {
      const cases = KINDS.flatMap(state =>
        OPS.flatMap(op =>
          OUTCOMES.map(outcome => ({ state, op, outcome, key: [state, op, outcome].join('/') })),
        ),
      )
      const played = await Played.open(harness())
      await using state = played.state
      await state.feed(placed(cases.map(deliveredChange)))
      for (const [seq, { key, op, outcome }] of cases.entries())
        if (outcome !== 'delivered') await played.feedRetry(key, entryOf(op, outcome, { run: 1, seq }))
      await state.commit()

      const found = byKey((await played.diff(NO_ROWS)).changes)

      expect(Object.fromEntries(cases.map(({ key }) => [key, knownOf(found.get(key))]))).toEqual(
        Object.fromEntries(cases.map(({ key, state, op, outcome }) => [key, nextOf(state, op, outcome)])),
      )
    })

    it.each<[string, RunPurpose | null]>([
      ['an ordinary run', null],
      ['a resync as added', { kind: 'resync', as: 'added' }],
      ['a resync as changed', { kind: 'resync', as: 'changed' }],
    ])('say what is due for every state and row of the model: %s', async (_, purpose) => {
      const cases = KINDS.flatMap(state =>
        [null, 1, 2].map(v => ({ state, v, key: [state, v ?? 'no row'].join('/') })),
      )
      const played = await Played.open(harness())
      await using state = played.state
      await state.feed(placed(cases.map(({ key, state }) => settledChange(key, state))))
      await state.commit()

      const rows = cases.flatMap(({ key, v }) => (v === null ? [] : [`('${key}', ${v})`]))
      const model = `SELECT * FROM (VALUES ${rows.join(', ')}) t(id, v)`
      const found = byKey((await played.diff(model, purpose === null ? {} : { purpose })).changes)

      expect(Object.fromEntries(cases.map(({ key }) => [key, found.get(key)?.op ?? null]))).toEqual(
        Object.fromEntries(
          cases.map(({ key, state, v }) => {
            const known = purpose?.kind === 'resync' ? resynced(state, purpose.as) : state
            return [key, decide(known, v !== null, v !== 1)]
          }),
        ),
      )
    })

    it('say how uncertain each state is once recorded requests are to be sent again', async () => {
      const cases = KINDS.flatMap(state =>
        REPLAYED.map(ops => ({ state, ops, key: `${[state, ...ops].join('/')}\ta long key, with a tab` })),
      )
      const played = await Played.open(harness())
      await using state = played.state
      await state.feed(placed(cases.map(of => settledChange(of.key, of.state))))
      const waits = cases.filter(of => of.state !== 'absent')
      for (const { key } of waits)
        await played.feedRetry(key, entryOf('added', 'rejected', { run: 1, seq: 0 }))
      await state.commit()
      const keys = cases.map(({ key }) => key)
      expect([...(await state.believed(keys))].sort()).toEqual(waits.map(({ key }) => key).sort())

      await state.takeReplayed(
        cases.flatMap(({ key, ops }) =>
          ops.map(op => ({ key, op, row: op === 'removed' ? null : ROW_OF_3 })),
        ),
      )
      const found = await played.diff(NO_ROWS, { purpose: { kind: 'replay' } })
      const changes = byKey(found.changes)

      for (const { key, state: before, ops } of cases) {
        const wanted = ops.reduce(replayed, before)
        const change = changes.get(key)
        expect(change?.settledState ?? 'absent', key).toBe(wanted)
        if (change === undefined) continue
        expect(change.after?.['v'], key).toBe(before === 'absent' ? 3 : 1)
        expect(change, key).toMatchObject({ op: 'settled', beforeState: before, muted: null, retried: null })
        expect(change.partition, key).toBe(before === 'absent' ? null : 0)
      }
      expect(found.endsRetry.map(({ key }) => key).sort()).toEqual(waits.map(({ key }) => key).sort())
      expect(found.diff.settled).toBe(found.changes.length)
    })
  })
}

const ROW_OF_3 = { id: 'any', v: 3 }

/** Ops of the requests with a row of one key that are sent again. */
const REPLAYED: readonly (readonly Op[])[] = [
  ...OPS.map(op => [op]),
  ['added', 'changed'],
  ['added', 'removed'],
  ['removed', 'added'],
]

/** A change on which the destination's answer decides. Its row was 1 and becomes 2. */
function deliveredChange(of: { readonly key: string; readonly state: KeyStateKind; readonly op: Op }): Fed {
  const { key, state, op } = of
  const before = state === 'absent' ? null : { id: key, v: 1 }
  const after = op === 'removed' ? null : { id: key, v: 2 }
  return { op, key, beforeState: state, before, after, settledState: null }
}

/** Brings a key into a state, with a row of 1 where the state has one. */
function settledChange(key: string, settledState: KeyStateKind): Fed {
  const after = settledState === 'absent' ? null : { id: key, v: 1 }
  return { op: 'settled', key, beforeState: 'absent', before: null, after, settledState }
}

function placed(changes: readonly Fed[]) {
  const more = { run: 1, muted: null, retried: null, twin: null, captured: null, replayed: null }
  const records: readonly PlacedChange[] = changes.map((change, seq) => ({
    offset: seq,
    timestamp: 1,
    change: { ...change, ...more, seq },
  }))
  return { partition: 0, changes: { records, nextOffset: records.length } }
}

function byKey(changes: readonly DetectedChange[]): ReadonlyMap<string, DetectedChange> {
  return new Map(changes.map(change => [change.key, change]))
}

/** A run without rows shows the state: it removes each row that may be there. */
function knownOf(found: DetectedChange | undefined): Known {
  if (found === undefined || found.op === 'settled') return { state: 'absent', v: null }
  return { state: found.beforeState, v: found.before?.['v'] ?? null }
}

function nextOf(before: KeyStateKind, op: Op, outcome: Outcome): Known {
  const { state, row } = transition(before, op, outcome)
  return { state, v: row === null ? null : row === 'after' ? 2 : 1 }
}
