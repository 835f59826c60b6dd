/**
 * The services that a run needs to go on, and its waits for those that are not at work. Each
 * service is a group of the log, whose coordinator knows the members.
 */
import type { PartitionReport, RunEvent, Wait } from '@sluice/contracts/records'
import { OPS } from '@sluice/contracts/state'
import { countsOf } from '@sluice/domain/counts'
import type { GroupState } from '@sluice/message-log/port'
import { detectorGroup, syncGroup, type SyncService } from '@sluice/topics/topics'

type Service = 'detector' | SyncService

export interface NeededService {
  readonly service: Service
  readonly group: string
  /** The instant from which the run needs it, in ms since 1970; null if that is not known. */
  readonly since: number | null
}

/** The state of a group when somebody last looked. */
export interface SeenGroup {
  readonly state: GroupState
  /** The instant from which it was seen in this state, in ms since 1970. */
  readonly since: number
  /** True if the group was in this state at the first look. It may have been so before `since`. */
  readonly isFirst: boolean
}

/** Shorter waits are not shown: a service has just started, or is about to join the group of a new run. */
const SHOWN_AFTER_MS = 1_000

const NAMES: { readonly [S in Service]: { readonly one: string; readonly several: string } } = {
  detector: { one: 'change-detector', several: 'change-detectors' },
  renderer: { one: 'renderer', several: 'renderers' },
  delivery: { one: 'delivery', several: 'deliveries' },
}

/** The services that a run needs. A held run needs only an approval, and an ended run needs nothing. */
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
  const needing = (service: SyncService): NeededService => {
    return { service, group: syncGroup(prefix, service, event), since }
  }
  return [...needed, ...(isRendered ? [] : [needing('renderer')]), needing('delivery')]
}

/** True once it is known that the run publishes something. */
function hasChanges({ counts, phases }: RunEvent): boolean {
  return (phases?.publishingFrom ?? null) !== null || OPS.some(op => countsOf(counts, op).detected > 0)
}

/** True for a wait that is long enough to be shown. `now` is in ms since 1970. */
export function isShown({ since }: Pick<Wait, 'since'>, now: number): boolean {
  return now - since >= SHOWN_AFTER_MS
}

/** The waits for services that are not at work. `seen` lacks groups whose states are not known. */
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
    if (!isShown({ since }, now)) return []
    const { one, several } = NAMES[service]
    return found.state === 'empty'
      ? [{ kind: service, since, until: null, detail: `no ${one} is at work: start one` }]
      : [{ kind: 'takeover', since, until: null, detail: `the ${several} share out the partitions anew` }]
  })
}
