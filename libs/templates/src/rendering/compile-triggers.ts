/** The compiled triggers of a definition, kept by its hash: a definition never changes. */
import type { Definition } from '@sluice/contracts/resources'
import { OPS, type Op } from '@sluice/contracts/state'
import { triggerOf } from '@sluice/domain/trigger'
import { compileTrigger, type CompiledTrigger } from '../compile.ts'

const KEPT = 100
const compiled = new Map<string, ReadonlyMap<Op, CompiledTrigger>>()

export function compileTriggers(hash: string, definition: Definition): ReadonlyMap<Op, CompiledTrigger> {
  const known = compiled.get(hash)
  if (known !== undefined) return known
  const triggers = triggersOf(definition)
  if (compiled.size >= KEPT) compiled.clear()
  compiled.set(hash, triggers)
  return triggers
}

/** Compiles the triggers that render requests. Throws `template` where one is wrong. */
export function triggersOf({ sync, destination }: Definition): ReadonlyMap<Op, CompiledTrigger> {
  const destinationHeaders = Object.keys(destination.headers ?? {})
  const triggers = new Map<Op, CompiledTrigger>()
  for (const op of OPS) {
    const spec = triggerOf(sync, op)
    if (spec !== undefined)
      triggers.set(op, compileTrigger(spec, { sync: sync.name, op, destinationHeaders }))
  }
  return triggers
}
