/**
 * Counts the deaths of processes that were at work on a partition of `requests` or `attempts` (PROTOCOL.md
 * §11). A record, a template or an answer may end the process that works on it. Nobody sees that, since the
 * process is gone. So each takeover marker counts the death of its owner beforehand. Whatever its owner comes
 * to takes that back: a position beyond the one that it took over, or a record that it wrote a minute later.
 *
 * The count is of one run. The next run may have other rows, and another template.
 */
import type { DeathsOfRun } from '@sluice/contracts/runs/run-times'

/** What ends a process does so soon. An owner that still wrote after so long has died of something else. */
const SURVIVED_MS = 60_000

/** The last owner of a partition, as its records tell. Positions are offsets of its input; −1 for none. */
export interface LastOwner {
  /** What its takeover marker counts; null in one that counts nothing. */
  readonly deaths: DeathsOfRun | null
  /** Where it took over, and how far it came. */
  readonly from: number
  readonly position: number
  /** When it wrote its marker, and its last record; ms since 1970. */
  readonly tookOverAt: number
  readonly lastAt: number
}

/** How many owners in a row died in this run without having come further. `isAlive`: this process is it. */
export function deathsIn(run: number, owner: LastOwner | null, isAlive: boolean): number {
  const deaths = owner?.deaths ?? null
  if (owner === null || deaths === null || deaths.run !== run) return 0
  if (owner.position > owner.from || owner.lastAt - owner.tookOverAt >= SURVIVED_MS) return 0
  return isAlive ? withoutOwn(deaths).count : deaths.count
}

/**
 * What the marker of the next owner counts. A partition without work has killed nobody: whoever died there
 * was waiting.
 */
export function countedBeforehand(
  run: number,
  { deaths, hasWork }: { readonly deaths: number; readonly hasWork: boolean },
): DeathsOfRun {
  return { run, count: hasWork ? deaths + 1 : 1 }
}

/** The count without the owner that wrote it, which has not died. */
export function withoutOwn({ run, count }: DeathsOfRun): DeathsOfRun {
  return { run, count: Math.max(0, count - 1) }
}
