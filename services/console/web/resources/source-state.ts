/** The state of a source as the last runs of its syncs have found it. */
import type { SyncsPage } from '@sluice/contracts/api'

type SyncView = SyncsPage['syncs'][number]
/** The parts of a sync that tell of its source. */
export type ReadBySync = Pick<SyncView, 'name' | 'lastRun' | 'trouble'>

export type SourceState =
  | { readonly is: 'never read' }
  | {
      readonly is: 'healthy'
      readonly at: string
      readonly sync: string
      readonly run: string
      readonly rows: number
    }
  | {
      readonly is: 'failing'
      readonly text: string
      readonly sync: string
      readonly run: string | null
      /** Null if it is not known. */
      readonly since: string | null
      /** The last time at which another sync could read it. */
      readonly readAt: string | null
    }

/** Judges by the newest of what the syncs of this source have found. */
export function sourceStateOf(source: string, syncs: readonly ReadBySync[]): SourceState {
  const reads = syncs.flatMap(readOf).sort((one, other) => other.at.localeCompare(one.at))
  const [last] = reads
  const failures = syncs.flatMap(sync =>
    sync.trouble?.source === source ? [failureOf(sync, sync.trouble)] : [],
  )
  const [failure] = failures.sort((one, other) => (other.at ?? '').localeCompare(one.at ?? ''))
  if (failure !== undefined && (failure.at ?? '') >= (last?.at ?? '')) {
    const { text, sync, run, since } = failure
    return { is: 'failing', text, sync, run, since, readAt: last?.at ?? null }
  }
  return last === undefined ? { is: 'never read' } : { is: 'healthy', ...last }
}

/** The last run of the sync, if it has read the model to its end. */
function readOf({ name, lastRun }: ReadBySync) {
  const detecting = lastRun?.phases?.find(({ phase }) => phase === 'detecting')
  const at = detecting?.endedAt ?? null
  if (lastRun === null || at === null || detecting?.failed === true) return []
  return [{ at, sync: name, run: lastRun.id, rows: lastRun.rowsRead }]
}

function failureOf({ name, lastRun }: ReadBySync, { text, run, since }: NonNullable<SyncView['trouble']>) {
  const at = (lastRun?.id === run ? lastRun?.endedAt : since) ?? null
  return { at, text, sync: name, run, since }
}
