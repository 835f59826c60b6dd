/** Pages of syncs and resources, in the order of their names. */
import type { RefusedRun, ResourcesPage, ResourceView, SyncsPage } from '@sluice/contracts/api'
import type { ResourceSpec, SyncSpec } from '@sluice/contracts/resources'
import { credentialsOf } from '@sluice/domain/refused-credentials'
import { inTurns } from '@sluice/flow/sleep'
import { formatCursor, isText, parseCursor } from './history/cursor.ts'
import type { Paging, RunHistory, SyncsQuery } from './port.ts'
import { syncView } from './syncs/sync-view.ts'

/** `specs` are all resources: a sync's trouble names the credentials of its destination. */
export async function syncsPageOf(
  specs: readonly ResourceSpec[],
  history: RunHistory,
  {
    signal,
    runs,
    deliveredSince,
    label,
    runsSchedules,
    isAtWork,
    refusedOf,
    ...paging
  }: SyncsQuery & {
    readonly runsSchedules: boolean
    readonly isAtWork: boolean
    readonly refusedOf: (sync: string) => Promise<RefusedRun | null>
    readonly signal: AbortSignal
  },
): Promise<SyncsPage> {
  const { page, next } = pageOf(
    specs.filter(spec => spec.kind === 'sync').filter(spec => label === undefined || hasLabel(spec, label)),
    paging,
  )
  const at = Date.now()
  const hasFigures = runs !== undefined
  const since = deliveredSince === undefined ? null : Date.parse(deliveredSince)
  const wanted = { runs: runs ?? 0, deliveredSince: since }
  const destinations = new Map(
    specs.flatMap(spec => (spec.kind === 'destination' ? [[spec.name, spec] as const] : [])),
  )
  const syncs = await inTurns(page, async spec => {
    const past = await history.past(spec.name, wanted, signal)
    const refused = await refusedOf(spec.name)
    const destination = destinations.get(spec.destination)
    const credentials = destination === undefined ? null : credentialsOf(destination)
    return syncView(spec, past, { at, hasFigures, runsSchedules, isAtWork, refused, credentials })
  })
  return { syncs, next }
}

export function hasLabel({ labels = [] }: SyncSpec, label: string): boolean {
  return labels.includes(label)
}

export function resourcesPageOf(views: readonly ResourceView[], paging: Paging): ResourcesPage {
  const { page, next } = pageOf(views, paging)
  return { resources: [...page], next }
}

/** A page of resources, sorted by kind and name. */
export function pageOf<Spec extends Pick<ResourceView, 'kind' | 'name'>>(
  specs: readonly Spec[],
  { limit, after }: Paging,
): { readonly page: readonly Spec[]; readonly next: string | null } {
  const key = ({ kind, name }: Spec): string => `${kind}/${name}`
  const from = after === undefined ? '' : parseCursor(after, isText)
  const all = specs.filter(spec => key(spec) > from).sort((a, b) => (key(a) < key(b) ? -1 : 1))
  const page = all.slice(0, limit)
  const last = page.at(-1)
  return { page, next: all.length > page.length && last !== undefined ? formatCursor(key(last)) : null }
}
