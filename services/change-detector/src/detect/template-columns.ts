/** The columns of a model that the templates of a sync use. */
import { isDeepStrictEqual } from 'node:util'
import { SluiceError, type ErrorDetail } from '@sluice/contracts/errors'
import type { Definition } from '@sluice/contracts/resources'
import type { Op } from '@sluice/contracts/state'
import type { Column } from '@sluice/contracts/values'
import { namingColumns } from '@sluice/domain/answers/row-results'
import { nearestHint } from '@sluice/domain/nearest-name'
import { triggerOf } from '@sluice/domain/definition'
import { triggersOf } from '@sluice/templates/rendering/render-changes'
import type { CompiledTrigger } from '@sluice/templates/compile'

/** One message names up to this many mistakes. */
const MAX_NAMED = 10

export interface TemplateColumns {
  /**
   * Throws `config` if templates of `added` or `changed` use columns that the model does not have, or the
   * sync's `compare` or `rowResults` names one. The trigger of `removed` may use any column, since a removed
   * row may be of an earlier model.
   */
  assertKnown(columns: readonly Column[]): void
  /**
   * The columns whose differences count as a change: those that the templates use, or those that the sync
   * names. The others may differ.
   */
  compared(columns: readonly Column[]): readonly string[]
  /** The columns that the templates use. */
  rendered(columns: readonly Column[]): readonly string[]
}

/** Compiles the templates once. Throws `template` where one is wrong. */
export function templateColumns(definition: Definition): TemplateColumns {
  const triggers = triggersOf(definition)
  return {
    assertKnown: columns => assertKnown(definition, triggers, columns),
    compared: columns => comparedColumns(definition, triggers, columns),
    rendered: columns => renderedColumns(triggers, columns),
  }
}

type Triggers = ReadonlyMap<Op, CompiledTrigger>

function assertKnown(definition: Definition, triggers: Triggers, columns: readonly Column[]): void {
  const { sync, model } = definition
  const names = columns.map(column => column.name)
  assertCompared(definition, names)
  assertNaming(definition, names)
  // With `changed: added` both triggers have the same mistakes, which are corrected in one place.
  const same = isDeepStrictEqual(triggerOf(sync, 'added'), triggerOf(sync, 'changed'))
  const checked: readonly Op[] = same ? ['added'] : ['added', 'changed']
  const details = checked.flatMap(op => triggers.get(op)?.unknownColumns(names) ?? [])
  if (details.length === 0) return
  const named = details.slice(0, MAX_NAMED).map(asText)
  if (details.length > named.length) named.push(`and ${details.length - named.length} more`)
  throw new SluiceError(
    'config',
    `sync ${sync.name}: its templates use columns that model ${model.name} does not have (it has ${names.join(', ')}): ${named.join('; ')}`,
    { details },
  )
}

function assertCompared({ sync, model }: Definition, names: readonly string[]): void {
  const { compare } = sync
  const at = Array.isArray(compare) ? compare.findIndex(name => !names.includes(name)) : -1
  const unknown = compare?.[at]
  if (unknown === undefined) return
  const hint = nearestHint(unknown, names)
  throw new SluiceError(
    'config',
    `sync ${sync.name}: compare names the column "${unknown}", which model ${model.name} does not have (it has ${names.join(', ')})${hint}`,
    { details: [{ field: `compare[${at}]`, message: `unknown column "${unknown}"${hint}` }] },
  )
}

function assertNaming({ sync, model }: Definition, names: readonly string[]): void {
  const unknown = namingColumns(sync).find(name => !names.includes(name))
  if (unknown === undefined) return
  const hint = nearestHint(unknown, names)
  throw new SluiceError(
    'config',
    `sync ${sync.name}: errors.rowResults names rows by the column "${unknown}", which model ${model.name} does not have (it has ${names.join(', ')})${hint}`,
    { details: [{ field: 'errors.rowResults', message: `unknown column "${unknown}"${hint}` }] },
  )
}

function asText({ field = '', line, column, message }: ErrorDetail): string {
  const place = line === undefined ? '' : ` line ${line}, column ${column ?? 1}`
  return `${field}${place}: ${message}`
}

function comparedColumns(
  { sync }: Definition,
  triggers: Triggers,
  columns: readonly Column[],
): readonly string[] {
  const names = columns.map(column => column.name)
  const { compare = 'used' } = sync
  if (compare === 'all') return names
  if (compare !== 'used') return names.filter(name => compare.includes(name))
  return renderedColumns(triggers, columns)
}

function renderedColumns(triggers: Triggers, columns: readonly Column[]): readonly string[] {
  const names = columns.map(column => column.name)
  const used = [...triggers.values()].map(({ usedColumns }) => usedColumns)
  return names.filter(name => used.some(columnsUsed => columnsUsed === 'all' || columnsUsed.has(name)))
}
