/**
 * Random histories of one sync: edits of the model, outcomes of requests, lost tombstones, reopened and
 * rebuilt files. A plain oracle made of domain/key-state.ts says, for each run, which changes the diff has to
 * find.
 */
import { expect } from 'vitest'
import { partitionOf } from '@sluice/domain/partition'
import { decide, transition } from '@sluice/domain/key-state'
import type { Captured, Retried, RetryEntry } from '@sluice/contracts/records'
import type { KeyStateKind, Op, Outcome } from '@sluice/contracts/state'
import type { Row } from '@sluice/contracts/values'
import type { DeliveredState, DetectedChange, Keyed, PlacedChange } from '../port.ts'
import { changesOf, type DeliveredStateHarness, requestFor } from './harness.ts'

const PARTITIONS = 2
const RUNS = 8
const KEYS = ['a', 'b', 'c"', 'd', 'é', 'f', '10', '9']
const OUTCOMES: { readonly [op in Op]: readonly Outcome[] } = {
  added: ['delivered', 'rejected', 'unknown', 'unsent', 'exists'],
  changed: ['delivered', 'rejected', 'unknown', 'unsent', 'missing'],
  removed: ['delivered', 'rejected', 'unknown', 'unsent', 'missing'],
}

/** mulberry32: a small generator whose whole state is the seed. */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

interface Believed {
  readonly kind: KeyStateKind
  readonly row: Row | null
  readonly run: number
  readonly seq: number
}

interface Topic<T> {
  readonly records: { readonly offset: number; readonly key: string; readonly value: T }[]
  end: number
}

interface Topics {
  readonly changes: Topic<PlacedChange['change']>
  readonly retry: Topic<RetryEntry | null>
  readonly captured: Topic<Captured | null>
}

function append<T>(topic: Topic<T>, key: string, value: T): void {
  topic.records.push({ offset: topic.end++, key, value })
}

/** What compaction may leave of a topic: the last record of each key, and some older ones. */
function compacted<T>(topic: Topic<T>, random: () => number): Topic<T> {
  const last = new Map(topic.records.map(record => [record.key, record.offset]))
  const records = topic.records.filter(record => last.get(record.key) === record.offset || random() < 0.3)
  return { records, end: topic.end }
}

export class History {
  readonly #harness: DeliveredStateHarness
  readonly #random: () => number
  readonly #believed = new Map<string, Believed>()
  readonly #entries = new Map<string, RetryEntry>()
  readonly #captured = new Map<string, string>()
  readonly #topics: readonly Topics[]
  #model = new Map<string, Row>()
  #files = 0

  constructor(harness: DeliveredStateHarness, seed: number) {
    this.#harness = harness
    this.#random = randomFrom(seed)
    const topic = () => ({ records: [], end: 0 })
    this.#topics = Array.from({ length: PARTITIONS }, () => ({
      changes: topic(),
      retry: topic(),
      captured: topic(),
    }))
  }

  async play(): Promise<void> {
    let file = this.#nextFile()
    let state = await this.#open(file)
    try {
      for (let run = 1; run <= RUNS; run++) {
        await this.#run(state, run)
        if (this.#random() < 0.8) await this.#feed(state, this.#topics)
        const fate = this.#random()
        if (fate < 0.5) {
          await state[Symbol.asyncDispose]()
          if (fate < 0.2) file = this.#nextFile()
          state = await this.#open(file)
          if (fate < 0.2)
            await this.#feed(
              state,
              this.#topics.map(t => this.#compactAll(t)),
            )
        }
        await this.#feed(state, this.#topics)
      }
    } finally {
      await state[Symbol.asyncDispose]()
    }
  }

  #open(file: string): Promise<DeliveredState> {
    return this.#harness.open({ name: file, partitions: PARTITIONS })
  }

  #nextFile(): string {
    return `history-${this.#files++}`
  }

  #pick<T>(of: readonly T[]): T {
    const picked = of[Math.floor(this.#random() * of.length)]
    if (picked === undefined) throw new Error('nothing to pick from')
    return picked
  }

  #compactAll(topics: Topics): Topics {
    return {
      changes: compacted(topics.changes, this.#random),
      retry: compacted(topics.retry, this.#random),
      captured: compacted(topics.captured, this.#random),
    }
  }

  /**
   * One run: edit the model, diff, compare with the oracle, give outcomes, and write what detector and
   * delivery would.
   */
  async #run(state: DeliveredState, run: number): Promise<void> {
    this.#edit()
    const invalid = new Set(KEYS.filter(key => this.#model.has(key) && this.#random() < 0.1))
    const rows = [...this.#model.entries()].flatMap(([key, row]) => (invalid.has(key) ? [row, row] : [row]))
    const nulls = this.#random() < 0.2 ? [{ id: null, v: 1, w: 1 }] : []
    const compare = this.#random() < 0.7 ? ['v', 'w'] : ['v']
    const ops = new Set((['added', 'changed', 'removed'] as const).filter(() => this.#random() < 0.85))
    const baseline = run === 1 && this.#random() < 0.2
    const request = await requestFor(this.#harness, valuesSql([...rows, ...nulls]), {
      compare,
      triggers: ops,
      baseline,
    })
    const expected = this.#expected(invalid, compare, baseline ? new Set() : ops)
    const diff = await state.diff(request)
    const found = await changesOf(diff)
    expect(found.changes).toEqual(expected.map(e => e.change))
    expect(found.endsRetry).toEqual(expected.filter(e => e.endsRetry).map(e => e.change.key))
    expect(diff.rowsInvalid).toBe(invalid.size * 2 + nulls.length)
    expect(diff.keysBefore).toBe([...this.#believed.values()].filter(b => b.kind !== 'absent').length)
    expect(diff.settled).toBe(expected.filter(e => e.change.op === 'settled').length)
    for (const op of ops)
      expect(diff.counts[op]?.detected ?? 0).toBe(expected.filter(e => e.change.op === op).length)
    this.#write(run, expected)
  }

  #edit(): void {
    for (const key of KEYS) {
      const dice = this.#random()
      if (dice < 0.2) this.#model.delete(key)
      else if (dice < 0.6)
        this.#model.set(key, {
          id: key,
          v: Math.floor(this.#random() * 3),
          w: this.#random() < 0.3 ? null : 1,
        })
    }
  }

  #expected(
    invalid: ReadonlySet<string>,
    compare: readonly string[],
    sent: ReadonlySet<Op>,
  ): readonly { readonly change: DetectedChange; readonly endsRetry: boolean }[] {
    const found: { readonly change: DetectedChange; readonly endsRetry: boolean }[] = []
    for (const key of KEYS) {
      if (invalid.has(key)) continue
      const believed = this.#believed.get(key) ?? { kind: 'absent', row: null, run: -1, seq: -1 }
      const row = this.#model.get(key) ?? null
      const differs = compare.some(column => (believed.row?.[column] ?? null) !== (row?.[column] ?? null))
      const op = decide(believed.kind, row !== null, differs)
      const entry = this.#entries.get(key)
      const common = {
        key,
        before: believed.kind === 'absent' ? null : believed.row,
        beforeState: believed.kind,
        captured: this.#captured.get(key) ?? null,
      }
      const settled = (settledState: KeyStateKind, after: Row | null) => {
        const change: DetectedChange = {
          ...common,
          op: 'settled',
          after,
          settledState,
          muted: null,
          retried: null,
        }
        found.push({ change, endsRetry: entry !== undefined })
      }
      if (op === null) {
        if (entry !== undefined) settled(believed.kind, common.before)
      } else if (sent.has(op)) {
        const isCurrent = entry?.run === believed.run && entry.seq === believed.seq
        const retried = isCurrent && entry !== undefined ? retriedOf(entry) : null
        found.push({
          change: { ...common, op, after: row, settledState: null, muted: null, retried },
          endsRetry: false,
        })
      } else settled(transition(believed.kind, op, 'delivered').state, row)
    }
    const order = ['settled', 'removed', 'changed', 'added']
    return found.sort(
      (a, b) =>
        order.indexOf(a.change.op) - order.indexOf(b.change.op) ||
        Buffer.compare(Buffer.from(a.change.key), Buffer.from(b.change.key)),
    )
  }

  /** Writes the changes, then what became of them: retry entries, tombstones, captured values. */
  #write(
    run: number,
    expected: readonly { readonly change: DetectedChange; readonly endsRetry: boolean }[],
  ): void {
    const seqs = new Array<number>(PARTITIONS).fill(0)
    for (const topics of this.#topics) topics.changes.end++ // run-begin
    for (const { change, endsRetry } of expected) {
      const p = partitionOf(Buffer.from(change.key), PARTITIONS)
      const topics = this.#topics[p]
      if (topics === undefined) throw new Error('no such partition')
      const seq = seqs[p] ?? 0
      seqs[p] = seq + 1
      append(topics.changes, change.key, { ...change, run, seq, replayed: null })
      if (change.op === 'settled') {
        const kind = change.settledState ?? 'absent'
        this.#believed.set(change.key, { kind, row: change.after, run, seq })
        // A detector that dies here leaves the entry: the next run has to end it.
        if (endsRetry && this.#random() < 0.8) this.#setEntry(topics, change.key, null)
      } else this.#deliver(topics, { ...change, op: change.op }, run, seq)
    }
    for (const topics of this.#topics) topics.changes.end++ // run-end
  }

  #deliver(topics: Topics, change: DetectedChange & { readonly op: Op }, run: number, seq: number): void {
    const { key, op } = change
    const outcome = this.#random() < 0.4 ? 'delivered' : this.#pick(OUTCOMES[op])
    const next = transition(change.beforeState, op, outcome)
    const row = next.row === null ? null : next.row === 'after' ? change.after : change.before
    this.#believed.set(key, { kind: next.state, row, run, seq })
    if (outcome === 'delivered') {
      if (this.#entries.has(key) || this.#random() < 0.1) this.#setEntry(topics, key, null)
    } else this.#setEntry(topics, key, this.#entryFor(change, outcome, run, seq))
    if (op === 'added' && next.state === 'present' && this.#random() < 0.5) {
      const values = JSON.stringify({ id: `${run}/${seq}` })
      this.#captured.set(key, values)
      append(topics.captured, key, { incarnation: 'i', owner: 0, run, seq, values })
    } else if (op === 'removed' && next.state === 'absent' && this.#captured.delete(key))
      append(topics.captured, key, null)
  }

  #entryFor(
    change: DetectedChange & { readonly op: Op },
    outcome: Outcome,
    run: number,
    seq: number,
  ): RetryEntry {
    return {
      incarnation: 'i',
      owner: 0,
      run,
      seq,
      op: change.op,
      status: 422,
      error: 'no\tgood\n',
      idempotencyKey: this.#random() < 0.5 ? 'key "1"' : null,
      outcome,
      answered: this.#random() < 0.5,
      requestHash: null,
      requestRows: 1 + Math.floor(this.#random() * 3),
      attempts: 1 + (change.retried?.attempts ?? 0),
      runs: 1 + (change.retried?.runs ?? 0),
      since: change.retried?.since ?? 1_700_000_000_000 + run,
    }
  }

  #setEntry(topics: Topics, key: string, entry: RetryEntry | null): void {
    if (entry === null) this.#entries.delete(key)
    else this.#entries.set(key, entry)
    append(topics.retry, key, entry)
  }

  /** Feeds what the state has not yet, in stretches of random length, and commits. */
  async #feed(state: DeliveredState, all: readonly Topics[]): Promise<void> {
    const positions = await state.positions()
    for (const [partition, topics] of all.entries()) {
      for (const { records, nextOffset } of this.#stretches(
        topics.changes,
        positions.changes[partition] ?? 0,
      ))
        await state.feed({
          partition,
          changes: { records: records.map(({ offset, value }) => ({ offset, change: value })), nextOffset },
        })
      for (const { records, nextOffset } of this.#stretches(
        topics.captured,
        positions.captured[partition] ?? 0,
      ))
        await state.feed({ partition, captured: { records: keyed(records), nextOffset } })
      for (const { records, nextOffset } of this.#stretches(topics.retry, positions.retry[partition] ?? 0))
        await state.feed({ partition, retry: { records: keyed(records), nextOffset } })
    }
    await state.commit()
    const after = await state.positions()
    for (const [partition, topics] of all.entries()) {
      expect(after.changes[partition]).toBe(topics.changes.end)
      const last = topics.changes.records.at(-1)
      const place =
        last === undefined ? null : { offset: last.offset, run: last.value.run, seq: last.value.seq }
      expect(after.lastChange[partition]).toEqual(place)
    }
  }

  *#stretches<T>(
    topic: Topic<T>,
    from: number,
  ): Generator<{ records: Topic<T>['records']; nextOffset: number }> {
    let at = from
    while (at < topic.end) {
      const end = Math.min(topic.end, at + 1 + Math.floor(this.#random() * 6))
      const start = at
      yield { records: topic.records.filter(r => r.offset >= start && r.offset < end), nextOffset: end }
      at = end
    }
  }
}

function keyed<T>(records: readonly { readonly key: string; readonly value: T | null }[]): Keyed<T>[] {
  return records.map(({ key, value }) => ({ key, value }))
}

function retriedOf(entry: RetryEntry): Retried {
  const { idempotencyKey, outcome, answered, requestHash, requestRows, attempts, runs, since } = entry
  return { idempotencyKey, outcome, answered, requestHash, requestRows, attempts, runs, since }
}

function valuesSql(rows: readonly Row[]): string {
  const literal = (value: unknown) => (typeof value === 'string' ? `'${value}'` : JSON.stringify(value))
  const values = rows.map(row => `(${literal(row['id'])}, ${literal(row['v'])}, ${literal(row['w'])})`)
  const from =
    values.length === 0
      ? "(VALUES ('x', 0, 0)) t(id, v, w) WHERE false"
      : `(VALUES ${values.join(', ')}) t(id, v, w)`
  return `SELECT id::VARCHAR AS id, v::INTEGER AS v, w::INTEGER AS w FROM ${from}`
}
