/** The syncs and destinations that need a person's attention, and in which order. */
import type { DestinationsPage } from '@sluice/contracts/api/operating'
import { DESTINATION_STATES } from '@sluice/contracts/views/destination-states'
import type { SyncView } from './at-a-glance.ts'

export type Trouble = NonNullable<SyncView['trouble']>
export type Health = NonNullable<DestinationsPage['destinations'][number]['health']>

export type Need =
  | { readonly kind: 'sync'; readonly name: string; readonly sync: SyncView; readonly trouble: Trouble }
  | { readonly kind: 'destination'; readonly name: string; readonly health: Health }

/** Failing syncs come first, then refused runs, then runs that wait for a decision. */
export function needsIn(syncs: readonly SyncView[]): readonly (Need & { readonly kind: 'sync' })[] {
  const needs = syncs.flatMap(sync =>
    sync.trouble === undefined
      ? []
      : [{ kind: 'sync' as const, name: sync.name, sync, trouble: sync.trouble }],
  )
  return needs.sort((one, other) => rankOf(one) - rankOf(other))
}

function rankOf({
  trouble: { isFailing, run },
  sync: { lastRun },
}: Need & { readonly kind: 'sync' }): number {
  if (isFailing) return 0
  if (run === null) return 1
  return lastRun?.status === 'held' ? 2 : 3
}

/** After the syncs, lists destinations in a bad state that no such sync already tells of. */
export function needsOf(
  syncs: readonly SyncView[],
  destinations: DestinationsPage['destinations'],
): readonly Need[] {
  const ofSyncs = needsIn(syncs)
  const told = new Set(ofSyncs.map(({ sync }) => sync.destination))
  const ofDestinations = destinations.flatMap(({ name, health }): Need[] =>
    health === undefined || DESTINATION_STATES[health.state].tone !== 'bad' || told.has(name)
      ? []
      : [{ kind: 'destination', name, health }],
  )
  return [...ofSyncs, ...ofDestinations]
}

/** True if one of these needs tells why the destination is in its state, and how to mend it. */
export function isTold(
  needs: readonly Need[],
  { name, health }: DestinationsPage['destinations'][number],
): boolean {
  const { fix = null } = health ?? {}
  return needs.some(need => {
    if (need.kind === 'destination') return need.name === name
    const mend = need.trouble.fix
    return fix !== null && mend !== null && mend.act === fix.act && mend.name === fix.name
  })
}
