/**
 * Random histories of one sync: edits of the model, outcomes of requests, lost tombstones, keys that come
 * back in another partition, reopened and rebuilt files. A plain oracle made of domain/key-state.ts says, for
 * each run, which changes the diff has to find.
 */
import { expect } from 'vitest'
import { decide, resynced, transition } from '@sluice/domain/key-state'
import type { Retried, RetryEntry } from '@sluice/contracts/records'
import type { KeyStateKind, Op, Outcome } from '@sluice/contracts/state'
import type { Row } from '@sluice/contracts/values'
import { randomFrom } from '@sluice/testkit/random'
import type { DeliveredState, DetectedChange, Diff, DiffRequest, EndedKey, RunPurpose } from '../src/port.ts'
import { changesOf, type DeliveredStateHarness, requestFor } from './harness.ts'
import { append, compactTopics, emptyTopics, feedTopics, timeOf, type Topics } from './played-topics.ts'

const PARTITIONS = 3
const RUNS = 10
const KEYS = ['a', 'b', 'c"', 'd', 'é', 'f', '10', '9']
const OUTCOMES: { readonly [op in Op]: readonly Outcome[] } = {
  added: ['delivered', 'rejected', 'unknown', 'unsent', 'exists'],
  changed: ['delivered', 'rejected', 'unknown', 'unsent', 'missing'],
  removed: ['delivered', 'rejected', 'unknown', 'unsent', 'missing'],
}

interface Believed {
  readonly kind: KeyStateKind
  readonly row: Row | null
  /** The change that is passed over: an op, with the compared values of its row. */
  readonly muted: string | null
  /** The place of the key's last change. */
  readonly partition: number
  readonly run: number
  readonly seq: number
}

/**
 * A change that the diff has to find, and the entry that ends with it. For what is muted, the adapter has a
 * text of its own, and the oracle another.
 */
interface Expected {
  readonly change: DetectedChange
  readonly mutes: boolean
  readonly endsRetry: EndedKey | null
}

/** The way in which a run looks at the state. */
interface Looking {
  readonly compare: readonly string[]
  readonly sent: ReadonlySet<Op>
  readonly purpose: RunPurpose | null
  readonly giveUpAfter: number | null
  readonly leavesUndecided: NonNullable<DiffRequest['leavesUndecided']>
  readonly upTo: number | null
}

interface Place {
  readonly partition: number
  readonly run: number
  readonly seq: number
}

type Sent = Omit<DetectedChange, 'partition'> & { readonly op: Op }

/** A key within its partition. */
function placeOf(partition: number, key: string): string {
  return `${partition}/${key}`
}

/** R17. */
const OP_ORDER = ['settled', 'removed', 'changed', 'added']

type OpAndKey = Pick<DetectedChange, 'op' | 'key'>

function byOpAndKey(a: OpAndKey, b: OpAndKey): number {
  return OP_ORDER.indexOf(a.op) - OP_ORDER.indexOf(b.op) || byText(a.key, b.key)
}

function byText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** Returns the changes that a diff found, by key within an op; the ops come as they have to. */
async function changesByKey(diff: Diff): Promise<Awaited<ReturnType<typeof changesOf>>> {
  const { changes, endsRetry } = await changesOf(diff)
  const ops = changes.map(({ op }) => OP_ORDER.indexOf(op))
  expect(ops).toEqual(ops.toSorted((a, b) => a - b))
  return {
    changes: changes.toSorted(byOpAndKey),
    endsRetry: endsRetry.toSorted((a, b) => byText(a.key, b.key)),
  }
}

export class History {
  readonly #harness: DeliveredStateHarness
  readonly #random: () => number
  readonly #believed = new Map<string, Believed>()
  /** Open retry entries, and captured values, by partition and key. */
  readonly #entries = new Map<string, RetryEntry>()
  readonly #captured = new Map<string, string>()
  readonly #topics: readonly Topics[]
  #model = new Map<string, Row>()
  #files = 0

  constructor(harness: DeliveredStateHarness, seed: number) {
    this.#harness = harness
    this.#random = randomFrom(seed).next
    this.#topics = Array.from({ length: PARTITIONS }, emptyTopics)
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
          if (fate < 0.2) await this.#feed(state, this.#compacted())
        }
        await this.#feed(state, this.#topics)
      }
      await this.#expectRebuiltToEqual(state)
    } finally {
      await state[Symbol.asyncDispose]()
    }
  }

  /** Topics hold all there is to know: a state made of them alone finds what the one that lived on finds. */
  async #expectRebuiltToEqual(live: DeliveredState): Promise<void> {
    await using rebuilt = await this.#open(this.#nextFile())
    await this.#feed(rebuilt, this.#compacted())
    this.#edit()
    const request = await requestFor(this.#harness, valuesSql([...this.#model.values()]))
    const [ofRebuilt, ofLive] = [await rebuilt.diff(request), await live.diff(request)]
    expect(await changesByKey(ofRebuilt)).toEqual(await changesByKey(ofLive))
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

  #compacted(): readonly Topics[] {
    return this.#topics.map(topics => compactTopics(topics, this.#random))
  }

  /** Feeds what the state has not yet, the stretches of all partitions and topics mixed at random. */
  async #feed(state: DeliveredState, all: readonly Topics[]): Promise<void> {
    await feedTopics(state, all, this.#random)
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
    const purpose = baseline ? null : this.#purpose()
    const giveUpAfter = this.#random() < 0.4 ? 2 : null
    const leavesUndecided = this.#random() < 0.3 ? this.#pick(['all', 'after-asked'] as const) : 'none'
    const upTo = this.#random() < 0.3 ? Math.max(0, run - 1 - Math.floor(this.#random() * 3)) : null
    const request = await requestFor(this.#harness, valuesSql([...rows, ...nulls]), {
      compare,
      opsWithTrigger: ops,
      baseline,
      giveUpAfter,
      leavesUndecided,
      upTo,
      ...(purpose === null ? {} : { purpose }),
    })
    const sent = baseline ? new Set<Op>() : ops
    const expected = this.#expected(invalid, { compare, sent, purpose, giveUpAfter, leavesUndecided, upTo })
    const diff = await state.diff(request)
    if (this.#random() < 0.5) await this.#endGone(state, run)
    const found = await changesByKey(diff)
    const shown = found.changes.map(change => ({ ...change, muted: change.muted === null ? null : 'muted' }))
    const wanted = expected.map(({ change }) => change)
    expect(shown).toEqual(wanted.map(change => ({ ...change, muted: change.muted && 'muted' })))
    expect(diff.undecided).toBe(
      KEYS.filter(key => this.#isLeftOut(key, { leavesUndecided, upTo, purpose })).length,
    )
    expect(diff.muted).toBe(expected.filter(({ mutes }) => mutes).length)
    expect(found.endsRetry).toEqual(expected.flatMap(e => e.endsRetry ?? []))
    expect(diff.rowsInvalid).toBe(invalid.size * 2 + nulls.length)
    expect(diff.keysBefore).toBe([...this.#believed.values()].filter(b => b.kind !== 'absent').length)
    const removed = expected.filter(e => e.change.op === 'removed').map(e => e.change.key)
    expect(diff.removedSamples).toEqual(removed.slice(0, 10))
    expect(diff.settled).toBe(expected.filter(e => e.change.op === 'settled').length)
    for (const op of ops)
      expect(diff.counts[op]?.detected ?? 0).toBe(expected.filter(e => e.change.op === op).length)
    this.#write(
      run,
      expected,
      found.changes.map(({ muted }) => muted),
    )
  }

  /** Ends what is gone for some runs. A rebuilt state may need none of it. */
  async #endGone(state: DeliveredState, run: number): Promise<void> {
    const before = timeOf(run - Math.floor(this.#random() * 4))
    const { signal } = new AbortController()
    const end = async (keys: readonly EndedKey[]): Promise<void> => {
      for (const { partition, key } of keys) {
        const { changes } = this.#topicsOf(partition)
        const last = changes.records.findLast(({ key: of, value }) => of === key && value !== null)?.value
        expect(last?.op === 'removed' || last?.settledState === 'absent').toBe(true)
        expect(timeOf(last?.run ?? run)).toBeLessThan(before)
        expect(this.#known(key)?.partition).not.toBe(partition)
        append(changes, key, null)
      }
      return Promise.resolve()
    }
    await state.endGone(before, end, { signal })
  }

  #purpose(): RunPurpose | null {
    const dice = this.#random()
    if (dice < 0.7) return null
    if (dice < 0.85) return { kind: 'resync', as: this.#pick(['added', 'changed']) }
    const key = this.#random() < 0.3 ? this.#pick(KEYS) : null
    return { kind: 'discard', key, status: this.#random() < 0.3 ? this.#pick([500, 5]) : null }
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

  #expected(invalid: ReadonlySet<string>, looking: Looking): readonly Expected[] {
    const keys = KEYS.filter(key => !invalid.has(key))
    return keys
      .flatMap(key => this.#expectedOf(key, looking) ?? [])
      .sort((a, b) => byOpAndKey(a.change, b.change))
  }

  /** True if nobody knows what became of the last request for the key. */
  #isUndecided(key: string): boolean {
    const known = this.#known(key)
    const entry = known === null ? undefined : this.#entries.get(placeOf(known.partition, key))
    return entry?.outcome === 'unknown' && entry.run === known?.run && entry.seq === known.seq
  }

  #isLeftOut(key: string, looking: Pick<Looking, 'leavesUndecided' | 'upTo' | 'purpose'>): boolean {
    const { leavesUndecided, upTo, purpose } = looking
    if (leavesUndecided === 'none' || purpose?.kind === 'discard' || !this.#isUndecided(key)) return false
    return leavesUndecided === 'all' || (this.#known(key)?.run ?? 0) > (upTo ?? Infinity)
  }

  #expectedOf(key: string, looking: Looking): Expected | null {
    const { compare, sent, purpose, giveUpAfter, upTo } = looking
    if (this.#isLeftOut(key, looking)) return null
    const nothing = { kind: 'absent', row: null, muted: null, partition: null, run: -1, seq: -1 } as const
    const believed = this.#known(key) ?? nothing
    const { partition } = believed
    const place = partition === null ? '' : placeOf(partition, key)
    const row = this.#model.get(key) ?? null
    const differs = compare.some(column => (believed.row?.[column] ?? null) !== (row?.[column] ?? null))
    const isBefore = believed.run <= (upTo ?? Infinity)
    const isResync = purpose?.kind === 'resync' && isBefore
    const kind = isResync ? resynced(believed.kind, purpose.as) : believed.kind
    const op = decide(kind, row !== null, differs)
    const entry = this.#entries.get(place)
    const isCurrent = entry !== undefined && entry.run === believed.run && entry.seq === believed.seq
    const mute =
      op === null ? null : JSON.stringify([op, compare, compare.map(c => (row ?? believed.row)?.[c])])
    const wasMuted = !isResync && mute !== null && mute === believed.muted
    const before = believed.kind === 'absent' ? null : believed.row
    const common = { key, partition, before, beforeState: kind, captured: this.#captured.get(place) ?? null }
    const settle = (settledState: KeyStateKind, after: Row | null, muted: string | null): Expected => ({
      change: { ...common, op: 'settled', after, settledState, muted, retried: null },
      mutes: muted !== null && !wasMuted,
      endsRetry: entry !== undefined && partition !== null ? { partition, key } : null,
    })
    const stays = (muted: string | null): Expected => settle(believed.kind, before, muted)
    if (purpose?.kind === 'discard') {
      const isMeant =
        entry !== undefined &&
        isBefore &&
        (purpose.key ?? key) === key &&
        (purpose.status === null ||
          purpose.status === (purpose.status < 10 ? Math.floor((entry.status ?? 0) / 100) : entry.status))
      return isMeant && (isCurrent || wasMuted || op === null) ? stays(mute) : null
    }
    const leavesValues = op === null && kind === 'absent' && this.#captured.has(place)
    if (op === null || wasMuted) return entry === undefined && !leavesValues ? null : stays(mute)
    if (isCurrent && !isResync && giveUpAfter !== null && entry.runs >= giveUpAfter) return stays(mute)
    if (!sent.has(op)) return settle(transition(kind, op, 'delivered').state, row, null)
    const retried = isCurrent ? retriedOf(entry) : null
    const change = { ...common, op, after: row, settledState: null, muted: null, retried }
    return { change, mutes: false, endsRetry: null }
  }

  /**
   * Returns the facts that the state has of a key: it forgets those that are gone and have left nothing
   * behind.
   */
  #known(key: string): Believed | null {
    const believed = this.#believed.get(key)
    if (believed !== undefined) {
      const place = placeOf(believed.partition, key)
      const owes = believed.muted !== null || this.#entries.has(place) || this.#captured.has(place)
      if (believed.kind !== 'absent' || owes) return believed
    }
    const partition = this.#topics.findLastIndex((_, p) => this.#captured.has(placeOf(p, key)))
    const gone = { kind: 'absent', row: null, muted: null, run: -1, seq: -1 } as const
    return partition < 0 ? null : { ...gone, partition }
  }

  /** Writes the changes, then what became of them: retry entries, tombstones, captured values. */
  #write(run: number, expected: readonly Expected[], mutes: readonly (string | null)[]): void {
    const seqs = new Array<number>(PARTITIONS).fill(0)
    for (const topics of this.#topics) topics.changes.end++ // run-begin
    for (const [index, { change: detected, endsRetry }] of expected.entries()) {
      const { partition, ...change } = detected
      const p = partition ?? Math.floor(this.#random() * PARTITIONS)
      const topics = this.#topicsOf(p)
      const seq = seqs[p] ?? 0
      seqs[p] = seq + 1
      const place = { partition: p, run, seq }
      if (change.beforeState === 'absent' && change.captured !== null) this.#endCaptured(p, change.key)
      append(topics.changes, change.key, { ...change, muted: mutes[index] ?? null, run, seq, replayed: null })
      if (change.op === 'settled') {
        const kind = change.settledState ?? 'absent'
        this.#believed.set(change.key, { kind, row: change.after, muted: change.muted, ...place })
        // A detector that dies here leaves entry and values: the next run has to end them.
        if (endsRetry !== null && this.#random() < 0.8) this.#setEntry(p, change.key, null)
        if (kind === 'absent' && this.#random() < 0.8) this.#endCaptured(p, change.key)
      } else this.#deliver({ ...change, op: change.op }, place)
    }
    for (const topics of this.#topics) topics.changes.end++ // run-end
  }

  #topicsOf(partition: number): Topics {
    const topics = this.#topics[partition]
    if (topics === undefined) throw new Error('no such partition')
    return topics
  }

  #deliver(change: Sent, place: Place): void {
    const { key, op } = change
    const { partition, run, seq } = place
    const { captured } = this.#topicsOf(partition)
    const atKey = placeOf(partition, key)
    const outcome = this.#random() < 0.4 ? 'delivered' : this.#pick(OUTCOMES[op])
    const next = transition(change.beforeState, op, outcome)
    const row = next.row === null ? null : next.row === 'after' ? change.after : change.before
    this.#believed.set(key, { kind: next.state, row, muted: null, ...place })
    if (outcome === 'delivered') {
      if (this.#entries.has(atKey) || this.#random() < 0.1) this.#setEntry(partition, key, null)
    } else this.#setEntry(partition, key, this.#entryFor(change, outcome, place))
    this.#endAgainElsewhere(partition, key)
    if (op === 'added' && next.state === 'present' && this.#random() < 0.5) {
      const values = JSON.stringify({ id: `${run}/${seq}` })
      this.#captured.set(atKey, values)
      append(captured, key, { incarnation: 'i', owner: 0, run, seq, values })
    } else if (op === 'removed' && next.state === 'absent') this.#endCaptured(partition, key)
  }

  #endCaptured(partition: number, key: string): void {
    if (this.#captured.delete(placeOf(partition, key))) append(this.#topicsOf(partition).captured, key, null)
  }

  /**
   * A partition that the key has left may repeat its records. That must mean nothing where the key is now.
   */
  #endAgainElsewhere(partition: number, key: string): void {
    for (const other of this.#topics.keys()) {
      if (other === partition || this.#random() < 0.8) continue
      this.#setEntry(other, key, null)
      append(this.#topicsOf(other).captured, key, null)
      this.#captured.delete(placeOf(other, key))
    }
  }

  #entryFor(change: Sent, outcome: Outcome, { run, seq }: Place): RetryEntry {
    return {
      incarnation: 'i',
      owner: 0,
      run,
      seq,
      op: change.op,
      status: this.#pick([422, 500, null]),
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

  #setEntry(partition: number, key: string, entry: RetryEntry | null): void {
    if (entry === null) this.#entries.delete(placeOf(partition, key))
    else this.#entries.set(placeOf(partition, key), entry)
    append(this.#topicsOf(partition).retry, key, entry)
  }
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
