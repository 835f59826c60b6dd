import type {
  Definition,
  ModelSpec,
  ResourceKind,
  ResourceSpec,
  SyncSpec,
  TriggerSpec,
} from '@sluice/contracts/resources'
import { OPS, type Op } from '@sluice/contracts/state'

/** A definition, or the first resource that it lacks: the sync itself, or a resource that it refers to. */
type DefinitionLookup =
  | { readonly kind: 'found'; readonly definition: Definition }
  | { readonly kind: 'missing'; readonly resource: ResourceKind; readonly name: string }

/**
 * Puts a sync together with the resources that it refers to, as a run pins it (R15). A trigger that names
 * another trigger gets the definition of that trigger. A model's primary key becomes a list. The labels of
 * the sync are left out, so that a run after a change of labels alone is pinned to the same definition.
 */
export function lookUpDefinition(
  find: (kind: ResourceKind, name: string) => ResourceSpec | undefined,
  syncName: string,
): DefinitionLookup {
  const sync = find('sync', syncName)
  if (sync?.kind !== 'sync') return { kind: 'missing', resource: 'sync', name: syncName }
  const model = find('model', sync.model)
  if (model?.kind !== 'model') return { kind: 'missing', resource: 'model', name: sync.model }
  const destination = find('destination', sync.destination)
  if (destination?.kind !== 'destination')
    return { kind: 'missing', resource: 'destination', name: sync.destination }
  const source = find('source', model.source)
  if (source?.kind !== 'source') return { kind: 'missing', resource: 'source', name: model.source }
  const keyed = model.primaryKey === undefined ? model : { ...model, primaryKey: [...primaryKeyOf(model)] }
  const definition = { sync: pinnedSync(sync), model: keyed, source, destination }
  return { kind: 'found', definition }
}

function pinnedSync(sync: SyncSpec): SyncSpec {
  const triggers: { [op in Op]?: TriggerSpec } = {}
  for (const op of OPS) {
    const trigger = triggerOf(sync, op)
    if (trigger !== undefined) triggers[op] = trigger
  }
  const { labels: _, ...pinned } = sync
  return { ...pinned, triggers }
}

/** Returns no columns for a topic whose rows are told apart by the keys of its records. */
export function primaryKeyOf({ primaryKey = [] }: Pick<ModelSpec, 'primaryKey'>): readonly string[] {
  return typeof primaryKey === 'string' ? [primaryKey] : primaryKey
}

/**
 * Returns the trigger of an op; undefined if the sync has none. Follows a name (`changed: added`) to the
 * trigger that it stands for.
 */
export function triggerOf(sync: SyncSpec, op: Op): TriggerSpec | undefined {
  const visited = new Set<Op>()
  let name: Op = op
  for (;;) {
    const spec = sync.triggers[name]
    if (typeof spec !== 'string') return spec
    if (visited.has(name)) return undefined
    visited.add(name)
    name = spec
  }
}

/** Returns the ops that send requests. */
export function triggeredOps(sync: SyncSpec): ReadonlySet<Op> {
  return new Set(OPS.filter(op => triggerOf(sync, op) !== undefined))
}

/** True if the changes of the sync's model are sent as they come. */
export function isStream({ schedule }: Pick<SyncSpec, 'schedule'>): boolean {
  return schedule === 'continuous'
}
