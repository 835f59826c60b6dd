/** Puts a sync together with all it refers to, as a run pins it (R15). */
import { SluiceError } from '@sluice/contracts/errors'
import type { Definition, ModelSpec, SyncSpec, TriggerSpec } from '@sluice/contracts/resources'
import type { Op } from '@sluice/contracts/state'
import { nearestName } from '@sluice/domain/nearest-name'
import { namesOf, resourceKey } from './project.ts'
import type { Project } from './project.ts'

/**
 * The definition of a sync: triggers that name another carry its definition, a model's table has become SQL, and its primary key is a list. Throws
 * `not-found`, with the nearest name, for a sync that the project does not have.
 */
export function resolveDefinition(project: Project, syncName: string): Definition {
  const sync = project.resources.get(resourceKey('sync', syncName))
  if (sync?.kind !== 'sync') throw syncNotFound(project, syncName)
  const model = project.resources.get(resourceKey('model', sync.model))
  const destination = project.resources.get(resourceKey('destination', sync.destination))
  if (model?.kind !== 'model' || destination?.kind !== 'destination') throw dangling(sync.name)
  const source = project.resources.get(resourceKey('source', model.source))
  if (source?.kind !== 'source') throw dangling(sync.name)
  return { sync: withTriggers(sync), model: withSql(model), source, destination }
}

function syncNotFound(project: Project, name: string): SluiceError {
  const names = namesOf(project, 'sync')
  const near = nearestName(name, names)
  const known = names.map(other => `\`${other}\``)
  const hint =
    names.length === 0
      ? `no sync is defined in ${project.dir}; \`sluice init\` writes a first one`
      : near !== null
        ? `did you mean \`${near}\`?`
        : `the syncs here are ${known.slice(0, 10).join(', ')}${known.length > 10 ? ', …' : ''}`
  return new SluiceError('not-found', `There is no sync \`${name}\`: ${hint}`)
}

function dangling(name: string): SluiceError {
  return new SluiceError('internal', `The sync \`${name}\` refers to what its project does not have.`)
}

function withTriggers(sync: SyncSpec): SyncSpec {
  const triggers: { [op in Op]?: TriggerSpec } = {}
  for (const op of ['added', 'changed', 'removed'] as const) {
    const trigger = definedTrigger(sync, op)
    if (trigger !== null) triggers[op] = trigger
  }
  return { ...sync, triggers }
}

/** The definition that an op uses, over the names of other triggers; null for an op without a trigger. */
function definedTrigger(sync: SyncSpec, op: Op): TriggerSpec | null {
  const seen = new Set<Op>()
  for (let at = op; !seen.has(at);) {
    seen.add(at)
    const trigger = sync.triggers[at]
    if (trigger === undefined) return null
    if (typeof trigger !== 'string') return trigger
    at = trigger
  }
  throw dangling(sync.name)
}

function withSql(model: ModelSpec): ModelSpec {
  const { table, ...rest } = model
  const primaryKey = typeof model.primaryKey === 'string' ? [model.primaryKey] : model.primaryKey
  return table === undefined
    ? { ...rest, primaryKey }
    : { ...rest, sql: `select * from ${quotedTable(table)}`, primaryKey }
}

/** `schema.name` with each part quoted, so that any name can be written; parts that hold dots are written in double quotes. */
function quotedTable(table: string): string {
  const parts = table.match(/"(?:[^"]|"")*"|[^.]+/g) ?? []
  return parts.map(part => (part.startsWith('"') ? part : `"${part.replaceAll('"', '""')}"`)).join('.')
}
