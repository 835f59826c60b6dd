/**
 * Compiles the templates of every sync, so that mistakes in them are reported with the place in the YAML
 * file.
 */
import { isSluiceError, type ErrorDetail } from '@sluice/contracts/errors'
import type { TriggerSpec } from '@sluice/contracts/resources'
import { OPS, type Op } from '@sluice/contracts/state'
import { compileTrigger } from '@sluice/templates/compile'
import type { DecodedResource } from '../decode/decoded.ts'

/** The problems of all templates in the syncs that have no other mistake. */
export function checkTemplates(decoded: readonly DecodedResource[]): ErrorDetail[] {
  return decoded.flatMap(resource => {
    const { spec } = resource
    if (spec?.kind !== 'sync') return []
    const triggers = OPS.flatMap(op => {
      const trigger = spec.triggers[op]
      return typeof trigger === 'object' ? [{ op, trigger }] : []
    })
    const captured = triggers.flatMap(({ trigger }) => Object.keys(trigger.capture ?? {}))
    return triggers.flatMap(({ op, trigger }) =>
      templateProblems(trigger, { sync: spec.name, op, captured }, resource),
    )
  })
}

function templateProblems(
  trigger: TriggerSpec,
  at: { readonly sync: string; readonly op: Op; readonly captured: readonly string[] },
  resource: DecodedResource,
): ErrorDetail[] {
  try {
    const compiled = compileTrigger(trigger, at)
    return compiled.uncapturedNames(at.captured).map(detail => inFile(detail, at.sync, resource))
  } catch (error) {
    if (!isSluiceError(error, 'template')) throw error
    return error.details.map(detail => inFile(detail, at.sync, resource))
  }
}

/**
 * Gives a problem its place in the file instead of its place in the text of a field. `what` names the
 * resource, as in "sync `crm`".
 */
export function placedInFile(
  { field = '', line, column, message }: ErrorDetail,
  origins: DecodedResource['origins'],
  what: string,
): ErrorDetail {
  const origin = origins.get(field) ?? origins.get('')
  const known = line === undefined ? null : (origin?.text?.(line, column ?? 1) ?? null)
  const text = field === 'sql' ? 'SQL' : 'template'
  const inside =
    line === undefined || known !== null ? '' : ` (line ${line}, column ${column ?? 1} of the ${text})`
  return { ...(known ?? origin?.place), field, message: `${what}: ${message}${inside}` }
}

/** Gives a problem of a sync its place in the file. */
export function inFile(detail: ErrorDetail, sync: string, { origins }: DecodedResource): ErrorDetail {
  return placedInFile(detail, origins, `sync \`${sync}\``)
}
