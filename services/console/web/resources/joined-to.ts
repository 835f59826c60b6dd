/** Finds the resources that rows pass through together with one of them. */
import type { ResourceView, SyncsPage } from '@sluice/contracts/api'

type Kind = Exclude<ResourceView['kind'], 'alert'>

export interface Place {
  readonly kind: Kind
  readonly name: string
}

export type Joined = { readonly [kind in Kind]: readonly string[] }

interface Known {
  readonly resources: readonly Pick<ResourceView, 'kind' | 'name' | 'spec'>[]
  readonly syncs: readonly Pick<SyncsPage['syncs'][number], 'name' | 'model' | 'destination'>[]
}

/**
 * The names of each kind, sorted. A model that no sync uses is joined to its source. A source, a model or a
 * destination is joined to no other path than its own.
 */
export function joinedTo({ kind, name }: Place, { resources, syncs }: Known): Joined {
  const sourceOf = new Map(
    resources.flatMap(resource => {
      const { source } = resource.spec
      return resource.kind === 'model' && typeof source === 'string' ? [[resource.name, source] as const] : []
    }),
  )
  const own = syncs.filter(sync => {
    if (kind === 'sync') return sync.name === name
    if (kind === 'source') return sourceOf.get(sync.model) === name
    return sync[kind] === name
  })
  const models = new Set([
    ...own.map(({ model }) => model),
    ...(kind === 'model' ? [name] : []),
    ...(kind === 'source'
      ? [...sourceOf].filter(([, source]) => source === name).map(([model]) => model)
      : []),
  ])
  const sources = new Set([
    ...[...models].flatMap(model => sourceOf.get(model) ?? []),
    ...(kind === 'source' ? [name] : []),
  ])
  const destinations = new Set([
    ...own.map(({ destination }) => destination),
    ...(kind === 'destination' ? [name] : []),
  ])
  return {
    source: [...sources].sort(),
    model: [...models].sort(),
    sync: own.map(sync => sync.name).sort(),
    destination: [...destinations].sort(),
  }
}
