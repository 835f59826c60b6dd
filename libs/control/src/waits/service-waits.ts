/**
 * The services that a run needs to go on, and what it waits for where one of them is not at work. Each
 * service is a group of the log, whose coordinator knows the members.
 */
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import type { Wait } from '@sluice/contracts/run-records'
import { OPS } from '@sluice/contracts/state'
import { countsOf } from '@sluice/domain/counts'
import type { GroupState } from '@sluice/message-log/port'
import { detectorGroup, syncGroup, type SyncService } from '@sluice/topics/topics'

type Service = 'detector' | SyncService

export interface NeededService {
  readonly service: Service
  readonly group: string
  /** Since when the run needs it, in ms since 1970; null if that is not known. */
  readonly since: number | null
}

/** How a group was seen. */
export interface SeenGroup {
  readonly state: GroupState
  /** Since when it is seen in this state, in ms since 1970. */
  readonly since: number
  /** True if it was in this state when it was first looked at. So it may be so for longer. */
  readonly isFirst: boolean
}

/** A service that has just started, or is about to join the group of a new run, is no reason to tell. */
const TOLD_AFTER_MS = 1_000

const NAMES: { readonly [S in Service]: { readonly one: string; readonly several: string } } = {
  detector: { one: 'change-detector', several: 'change-detectors' },
  renderer: { one: 'renderer', several: 'renderers' },
  delivery: { one: 'delivery', several: 'deliveries' },
}

/** A held run needs somebody's approval, and one that has ended needs nothing. */
export function neededServices(
  prefix: string,
  event: RunEvent,
  reports: ReadonlyMap<number, PartitionReport>,
): readonly NeededService[] {
  const { status, queuedAt } = event
  const detector = { service: 'detector', group: detectorGroup(prefix) } as const
  if (status === 'queued') return [{ ...detector, since: queuedAt }]
  if (status !== 'running') return []
  const own = [...reports.values()].filter(({ run }) => run === event.run)
  const isOver = own.filter(({ ended }) => ended).length >= event.partitions
  const isRendered =
    own.filter(({ phases }) => (phases?.renderedAt ?? null) !== null).length >= event.partitions
  const needed: NeededService[] = !event.complete || isOver ? [{ ...detector, since: null }] : []
  if (!hasChanges(event) || isOver) return needed
  const since = own.length === 0 ? (event.phases?.publishingFrom ?? null) : null
  const of = (service: SyncService): NeededService => {
    return { service, group: syncGroup(prefix, service, event), since }
  }
  return [...needed, ...(isRendered ? [] : [of('renderer')]), of('delivery')]
}

/** True once it is known that the run publishes something. */
function hasChanges({ counts, phases }: RunEvent): boolean {
  return (phases?.publishingFrom ?? null) !== null || OPS.some(op => countsOf(counts, op).detected > 0)
}

/** `now` is in ms since 1970. */
export function isTold({ since }: Pick<Wait, 'since'>, now: number): boolean {
  return now - since >= TOLD_AFTER_MS
}

/** `seen` lacks groups of which nothing is known. */
export function serviceWaits(
  needed: readonly NeededService[],
  seen: ReadonlyMap<string, SeenGroup>,
  now: number,
): Wait[] {
  return needed.flatMap(({ service, group, since: neededSince }): Wait[] => {
    const found = seen.get(group)
    if (found === undefined || found.state === 'at-work') return []
    const since =
      found.isFirst && neededSince !== null ? neededSince : Math.max(found.since, neededSince ?? 0)
    if (!isTold({ since }, now)) return []
    const { one, several } = NAMES[service]
    return found.state === 'empty'
      ? [{ kind: service, since, until: null, detail: `no ${one} is at work: start one` }]
      : [{ kind: 'takeover', since, until: null, detail: `the ${several} share out the partitions anew` }]
  })
}
