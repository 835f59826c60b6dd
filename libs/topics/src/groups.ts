/** Names of the groups in which processes of a service share the work. */

/** A service that works on the syncs of which a run is open. */
export type SyncService = 'renderer' | 'delivery'

/** All detectors: they share the syncs. */
export function detectorGroup(prefix: string): string {
  return `${prefix}.detector`
}

/** The processes of a service that share the partitions of a sync. */
export function syncGroup(
  prefix: string,
  service: SyncService,
  { sync, incarnation }: { readonly sync: string; readonly incarnation: string },
): string {
  return `${syncGroups(prefix, service, sync)}${incarnation}`
}

/** How the names of a sync's groups begin, whatever its incarnation. */
export function syncGroups(prefix: string, service: SyncService, sync: string): string {
  return `${prefix}.${service}.${sync}.`
}
