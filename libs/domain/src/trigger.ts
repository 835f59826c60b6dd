import type { SyncSpec, TriggerSpec } from '@sluice/contracts/resources'
import { OPS, type Op } from '@sluice/contracts/state'

/**
 * The trigger of an op. A name (`changed: added`) is followed to the trigger that it stands for. Undefined if
 * the sync has none.
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

/** The ops that send requests. */
export function triggeredOps(sync: SyncSpec): ReadonlySet<Op> {
  return new Set(OPS.filter(op => triggerOf(sync, op) !== undefined))
}
