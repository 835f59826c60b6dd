/**
 * The reasons for which rows of the open run failed, for people who watch it. A few reasons are kept, in the
 * order in which they came, so that reports stay small and the first cause is never lost.
 */
import { reasonId } from '@sluice/domain/answers/error-groups'
import { boundedOrNull } from '@sluice/domain/bounded-text'
import type { FailedRows, RequestRow } from '@sluice/contracts/records'
import type { Effects } from '../outcome/effects.ts'
import type { PartHistory, UnownedAttempt } from './request-history.ts'

const MAX_REASONS = 8
const MAX_ERROR_BYTES = 400
const MAX_KEY_BYTES = 200

type Reason = Pick<FailedRows, 'outcome' | 'status' | 'error'>
type Group = { -readonly [name in keyof FailedRows]: FailedRows[name] } & { again: number }

/** Rows of a request that failed for a reason, and will be sent again in the run. */
export interface RetriedRows extends Reason {
  readonly key: string
  readonly rows: number
}

export class FailureReasons {
  readonly #now: () => number
  readonly #groups = new Map<string, Group>()
  /** The requests whose rows will be sent again, by offset, as long as they are not finished. */
  readonly #retried = new Map<number, { readonly group: Group; readonly rows: number }>()
  #last: { readonly reason: Reason; readonly group: Group } | null = null
  /** Grows with each change of the reasons. */
  version = 0

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** Begins a run. */
  clear(): void {
    if (this.#groups.size > 0) this.version += 1
    this.#groups.clear()
    this.#retried.clear()
    this.#last = null
  }

  /** Takes rows that will be sent again. They replace what was said of the request before. */
  willRetry(requestOffset: number, { key, rows, ...reason }: RetriedRows): void {
    this.#endRetry(requestOffset)
    const group = this.#groupOf(reason, key)
    if (group === null) return
    group.retried += rows
    this.#retried.set(requestOffset, { group, rows })
    this.version += 1
  }

  /** Takes what became of a finished request. */
  finished(requestOffset: number, { retry }: Pick<Effects, 'retry'>): void {
    this.#endRetry(requestOffset)
    for (const { key, entry } of retry) {
      if (entry === null) continue
      const group = this.#groupOf(entry, key)
      if (group === null) continue
      group.rows += 1
      if (entry.runs > 1) group.again += 1
      this.version += 1
    }
  }

  /** The reasons with rows, in the order in which they came. `before` are the reasons of an earlier owner. */
  all(before: readonly FailedRows[] = []): readonly FailedRows[] {
    const own = [...this.#groups.values()].filter(({ rows, retried }) => rows + retried > 0)
    const sums = new Map<string, FailedRows>()
    for (const group of [...before.map(one => ({ ...one, retried: 0 })), ...own]) {
      const id = reasonId(group)
      const known = sums.get(id)
      const rows = (known?.rows ?? 0) + group.rows
      const again = (known?.again ?? 0) + (group.again ?? 0)
      sums.set(id, { ...(known ?? group), rows, retried: (known?.retried ?? 0) + group.retried, again })
    }
    return [...sums.values()].slice(0, MAX_REASONS)
  }

  #endRetry(requestOffset: number): void {
    const before = this.#retried.get(requestOffset)
    if (before === undefined) return
    before.group.retried -= before.rows
    this.#retried.delete(requestOffset)
    this.version += 1
  }

  /** Returns null for a new reason if the most reasons are kept already. */
  #groupOf({ outcome, status, error }: Reason, key: string): Group | null {
    const last = this.#last
    const whole = { outcome, status, error }
    // Rows of one request mostly fail alike.
    if (last !== null && isSame(last.reason, whole)) return last.group
    const reason = { ...whole, error: boundedOrNull(error, MAX_ERROR_BYTES) }
    const id = reasonId(reason)
    let group = this.#groups.get(id)
    if (group === undefined) {
      if (this.#groups.size >= MAX_REASONS && !this.#dropUnused()) return null
      const shownKey = boundedOrNull(key, MAX_KEY_BYTES) ?? ''
      group = { ...reason, key: shownKey, since: this.#now(), rows: 0, retried: 0, again: 0 }
      this.#groups.set(id, group)
    }
    this.#last = { reason: whole, group }
    return group
  }

  /** Drops a reason whose rows were all delivered later. */
  #dropUnused(): boolean {
    for (const [id, { rows, retried }] of this.#groups)
      if (rows + retried === 0) {
        this.#last = null
        return this.#groups.delete(id)
      }
    return false
  }
}

/** Returns the rows of a failed attempt that will be sent again in these parts; null if there are none. */
export function retriedRows(
  { outcome, status, error }: UnownedAttempt,
  parts: readonly Pick<PartHistory, 'positions'>[],
  { whole, own }: { readonly whole: readonly RequestRow[]; readonly own: readonly RequestRow[] },
): RetriedRows | null {
  const [first] = parts
  if (first === undefined || outcome === 'delivered' || outcome === 'throttled') return null
  const key = (first.positions === null ? own[0] : whole[first.positions[0] ?? 0])?.key ?? ''
  const rows = parts.reduce((sum, { positions }) => sum + (positions?.length ?? own.length), 0)
  return { outcome, status, error, key, rows }
}

function isSame(one: Reason, other: Reason): boolean {
  return one.outcome === other.outcome && one.status === other.status && one.error === other.error
}
