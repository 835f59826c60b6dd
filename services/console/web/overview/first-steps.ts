/** The steps to a first delivered row, each with its state by what is there. */
import type { ResourceView, SyncView } from '@sluice/contracts/api'
import { SAMPLE_SYNC } from '@sluice/contracts/api/operations'

/** The resources of the sample project are no steps to a sync of one's own. */
const SAMPLE: ReadonlySet<string> = new Set([SAMPLE_SYNC, 'sample-rows', 'sample-receiver'])

export interface FirstStep {
  readonly id: 'source' | 'model' | 'destination' | 'test' | 'run'
  readonly isDone: boolean
  /** The page that does the step, or that shows what is there. */
  readonly place: StepPlace
}

export type StepPlace =
  | { readonly to: '/resources'; readonly search: { readonly kind: string } }
  | { readonly to: '/new'; readonly search: { readonly step: string } }
  | {
      readonly to: '/syncs/$name/edit'
      readonly params: { readonly name: string }
      readonly search: { readonly step: string }
    }
  | { readonly to: '/syncs/$name'; readonly params: { readonly name: string } }

interface Present {
  readonly resources: readonly Pick<ResourceView, 'kind' | 'name'>[]
  readonly syncs: readonly Pick<SyncView, 'name' | 'lastRun' | 'runs' | 'delivered'>[]
  /** True if an API has accepted a test request. */
  readonly isTested: boolean
}

/** True until a run has delivered a row, or has found that nothing is to be delivered. */
export function isBeforeFirstRow(syncs: Present['syncs']): boolean {
  return own(syncs).every(
    ({ lastRun, runs = [], delivered }) =>
      lastRun?.status !== 'success' &&
      (delivered?.rows ?? 0) === 0 &&
      runs.every(run => run.delivered === 0 && run.status !== 'success'),
  )
}

export function firstSteps({ resources, syncs, isTested }: Present): readonly FirstStep[] {
  const [sync] = own(syncs)
  const params = sync === undefined ? null : { name: sync.name }
  const editor = (step: string): StepPlace =>
    params === null ? { to: '/new', search: { step } } : { to: '/syncs/$name/edit', params, search: { step } }
  const ofKind = (kind: 'source' | 'model' | 'destination'): FirstStep => {
    const isDone = own(resources).some(each => each.kind === kind)
    return { id: kind, isDone, place: isDone ? { to: '/resources', search: { kind } } : editor(kind) }
  }
  return [
    ...[ofKind('source'), ofKind('model'), ofKind('destination')],
    { id: 'test', isDone: isTested, place: editor('requests') },
    {
      ...{ id: 'run', isDone: !isBeforeFirstRow(syncs) },
      place: params === null ? editor('review') : { to: '/syncs/$name', params },
    },
  ]
}

function own<T extends { readonly name: string }>(all: readonly T[]): readonly T[] {
  return all.filter(({ name }) => !SAMPLE.has(name))
}
