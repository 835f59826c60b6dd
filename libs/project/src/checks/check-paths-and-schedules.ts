/**
 * Parses the JSONPaths and the schedule of every sync, so that mistakes have their place in the YAML file.
 */
import type { ErrorDetail } from '@sluice/contracts/errors'
import type { SyncSpec } from '@sluice/contracts/resources'
import { OPS } from '@sluice/contracts/state'
import { parseJsonPath } from '@sluice/domain/answers/json-path'
import { parseCron } from '@sluice/runs/schedule/cron'
import { inFile } from './check-templates.ts'
import type { DecodedResource } from '../decode/decoded.ts'
import { fieldName, type FieldPath } from '../decode/places.ts'

/** The problems of all JSONPaths in the syncs that have no other mistake. */
export function checkJsonPaths(decoded: readonly DecodedResource[]): ErrorDetail[] {
  return decoded.flatMap(resource => {
    const { spec } = resource
    if (spec?.kind !== 'sync') return []
    return jsonPathProblems(spec).map(detail => inFile(detail, spec.name, resource))
  })
}

type WithPaths = Pick<SyncSpec, 'errors' | 'triggers'>

/** The problems of the JSONPaths of one sync, without their places in a file. */
export function jsonPathProblems(spec: WithPaths): ErrorDetail[] {
  return pathsOf(spec).flatMap(([field, text]) => {
    const parsed = parseJsonPath(text)
    if (parsed.kind === 'path') return []
    const { column, message } = parsed
    return [{ field: fieldName(field), line: 1, column, message }]
  })
}

function pathsOf(spec: WithPaths): readonly (readonly [FieldPath, string])[] {
  const answers = (spec.errors?.answers ?? []).flatMap((rule, index) =>
    (['json', 'error'] as const).flatMap(name => {
      const text = rule[name]
      return text === undefined ? [] : [[['errors', 'answers', index, name], text] as const]
    }),
  )
  const rows = (spec.errors?.rowResults ?? []).flatMap(({ row, ...rule }, index) => {
    const at = ['errors', 'rowResults', index] as const
    const named = typeof row === 'string' ? [] : Object.entries(row)
    const fields = (['items', 'json', 'error'] as const).flatMap(name => {
      const text = rule[name]
      return text === undefined ? [] : [[[...at, name], text] as const]
    })
    return [...fields, ...named.map(([name, text]) => [[...at, 'row', name], text] as const)]
  })
  const captures = OPS.flatMap(op => {
    const trigger = spec.triggers[op]
    const capture = typeof trigger === 'object' ? (trigger.capture ?? {}) : {}
    return Object.entries(capture).map(([name, path]) => [['triggers', op, 'capture', name], path] as const)
  })
  return [...answers, ...rows, ...captures]
}

/** The problems of all schedules in the syncs that have no other mistake. */
export function checkSchedules(decoded: readonly DecodedResource[]): ErrorDetail[] {
  return decoded.flatMap(resource => {
    const { spec } = resource
    if (spec?.kind !== 'sync') return []
    return scheduleProblems(spec).map(detail => inFile(detail, spec.name, resource))
  })
}

/** The problems of one schedule, without their place in a file. */
export function scheduleProblems({ schedule }: Pick<SyncSpec, 'schedule'>): ErrorDetail[] {
  if (typeof schedule === 'string' || !('cron' in schedule)) return []
  const parsed = parseCron(schedule.cron, schedule.timezone)
  if (parsed.kind === 'cron') return []
  return [{ field: fieldName(['schedule', parsed.at]), message: parsed.message }]
}
