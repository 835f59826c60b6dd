/** A test plays the pipeline: it diffs, gives outcomes, and feeds the topics. */
import type { RetryEntry } from '@sluice/contracts/records'
import type { Op, Outcome } from '@sluice/contracts/state'
import type { DeliveredState, DetectedChange, DiffRequest } from '../src/port.ts'
import { changesOf, type DeliveredStateHarness, requestFor } from './harness.ts'

export const ONE = "SELECT '1' AS id, 10 AS v"

/** The time at which all entries failed first. */
export const SINCE = 1_700_000_000_000

export function entryOf(
  op: Op,
  outcome: Outcome,
  place: { readonly run: number; readonly seq: number },
): RetryEntry {
  return {
    incarnation: 'i',
    owner: 0,
    ...place,
    op,
    status: 500,
    error: 'no',
    idempotencyKey: 'once',
    outcome,
    answered: false,
    requestHash: 'abc',
    requestRows: 1,
    attempts: 2,
    runs: 1,
    since: SINCE,
  }
}

/** A state of one partition with what the topics hold, so that a test can play the pipeline. */
export class Played {
  readonly #harness: DeliveredStateHarness
  readonly state: DeliveredState
  #offset = 0
  #retryOffset = 0
  #run = 0

  constructor(harness: DeliveredStateHarness, state: DeliveredState) {
    this.#harness = harness
    this.state = state
  }

  static async open(harness: DeliveredStateHarness, name = 'state'): Promise<Played> {
    return new Played(harness, await harness.open({ name }))
  }

  async diff(sql: string, options: Partial<DiffRequest> = {}) {
    const diff = await this.state.diff(await requestFor(this.#harness, sql, options))
    return { diff, ...(await changesOf(diff)) }
  }

  /** One run: finds the changes and gives all of them the outcome. */
  async run(sql: string, outcome: Outcome = 'delivered', options: Partial<DiffRequest> = {}) {
    const found = await this.diff(sql, options)
    await this.deliver(found.changes, outcome)
    for (const { key } of found.endsRetry) await this.feedRetry(key, null)
    await this.state.commit()
    return found
  }

  async deliver(changes: readonly DetectedChange[], outcome: Outcome): Promise<void> {
    const run = ++this.#run
    const records = changes.map((change, seq) => ({
      offset: this.#offset++,
      timestamp: run,
      change: { ...change, run, seq, replayed: null },
    }))
    await this.state.feed({ partition: 0, changes: { records, nextOffset: this.#offset } })
    for (const { change } of records)
      if (change.op !== 'settled')
        await this.feedRetry(change.key, outcome === 'delivered' ? null : entryOf(change.op, outcome, change))
  }

  async feedRetry(key: string, value: RetryEntry | null): Promise<void> {
    const nextOffset = ++this.#retryOffset
    await this.state.feed({ partition: 0, retry: { records: [{ key, value }], nextOffset } })
  }
}

export const brief = (changes: readonly DetectedChange[]) =>
  changes.map(({ op, key, before, after }) => [op, key, before?.['v'] ?? null, after?.['v'] ?? null])
