/** The headline figures of all syncs. */
import type { SyncsPage } from '@sluice/contracts/api'

export type SyncView = SyncsPage['syncs'][number]

export interface Glance {
  readonly deliveredToday: number
  /** False if some of today's runs are unknown. */
  readonly isWhole: boolean
  /** The syncs of which nothing arrives. */
  readonly failing: readonly string[]
  /** The sync whose destination has lacked rows for the longest time, in ms since 1970. Null if none has. */
  readonly behind: { readonly sync: string; readonly since: number } | null
  /** The speed of all runs that send now. Null if none does. */
  readonly deliveredPerSecond: number | null
  readonly failedPerSecond: number
}

export function glanceOf(syncs: readonly SyncView[]): Glance {
  const speeds = syncs.flatMap(({ lastRun }) => lastRun?.throughput ?? [])
  const sumOf = (name: keyof (typeof speeds)[number]): number =>
    speeds.reduce((sum, speed) => sum + speed[name], 0)
  return {
    deliveredToday: syncs.reduce((sum, { delivered }) => sum + (delivered?.rows ?? 0), 0),
    isWhole: syncs.every(({ delivered }) => delivered?.isWhole !== false),
    failing: syncs.flatMap(({ name, trouble }) => (trouble?.isFailing === true ? [name] : [])),
    behind: mostBehind(syncs),
    deliveredPerSecond: speeds.length === 0 ? null : sumOf('deliveredPerSecond'),
    failedPerSecond: sumOf('failedPerSecond'),
  }
}

function mostBehind(syncs: readonly SyncView[]): Glance['behind'] {
  let most: Glance['behind'] = null
  for (const { name: sync, behindSince = null } of syncs) {
    const since = behindSince === null ? null : Date.parse(behindSince)
    if (since !== null && (most === null || since < most.since)) most = { sync, since }
  }
  return most
}

const MOVING: ReadonlySet<string> = new Set(['queued', 'running'])

/** The syncs with a run under way. Syncs that send come first. */
export function movingOf(syncs: readonly SyncView[]): readonly SyncView[] {
  const moving = syncs.filter(({ lastRun }) => lastRun !== null && MOVING.has(lastRun.status))
  const rank = ({ lastRun }: SyncView): number => (lastRun?.status === 'running' ? 0 : 1)
  return moving.sort((one, other) => rank(one) - rank(other))
}

/** The syncs whose schedule is due next, the soonest first. */
export function nextOf(syncs: readonly SyncView[], limit: number): readonly SyncView[] {
  return syncs
    .filter(({ nextRunAt }) => nextRunAt !== null)
    .sort((one, other) => (one.nextRunAt ?? '').localeCompare(other.nextRunAt ?? ''))
    .slice(0, limit)
}
