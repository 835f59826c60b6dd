/** Finds the mistakes of decoded resources: in each of them, and between them. */
import type { ErrorDetail } from '@sluice/contracts/errors'
import { clashWanted, clashWithKey } from '@sluice/contracts/specs/http-texts'
import { OPS } from '@sluice/contracts/state'
import { resourceAround, type Mistakes } from '../blocked-resources.ts'
import type { DecodedResource } from '../decode/decoded.ts'
import { fieldName } from '../decode/places.ts'
import { checkJsonPaths, checkSchedules } from './check-paths-and-schedules.ts'
import { checkReferences, type HidingTexts } from './check-references.ts'
import { checkStreams } from './check-streams.ts'
import { checkTemplates, inFile } from './check-templates.ts'
import { checkSizes, checkTexts } from './check-texts.ts'

/**
 * Returns the mistakes by resource, and in `ofFiles` the mistakes of resources without a name. `hiding` has
 * the texts of resources that could not be read. Awaits `step` before each resource; `step` may throw.
 */
export async function checkDecoded(
  decoded: readonly DecodedResource[],
  hiding: HidingTexts,
  step: (resource: DecodedResource) => Promise<void>,
): Promise<Mistakes> {
  const ofFiles: ErrorDetail[] = []
  const ofResources = new Map<DecodedResource, ErrorDetail[]>()
  for (const resource of decoded) {
    await step(resource)
    const checks = [checkTemplates, checkJsonPaths, checkTexts, checkSizes, checkSchedules]
    const checked = checks.flatMap(check => check([resource]))
    const problems = [...resource.problems, ...checked]
    // Nothing can refer to a resource without a name.
    if (resource.name === null) ofFiles.push(...problems)
    else if (problems.length > 0) ofResources.set(resource, problems)
  }
  const between = [...checkReferences(decoded, hiding), ...checkHeaders(decoded), ...checkStreams(decoded)]
  for (const problem of between) {
    const resource = resourceAround(decoded, problem)
    if (resource === undefined) ofFiles.push(problem)
    else ofResources.set(resource, [...(ofResources.get(resource) ?? []), problem])
  }
  return { ofFiles, ofResources }
}

/** The problems of the syncs and destinations that have no other mistake. */
function checkHeaders(decoded: readonly DecodedResource[]): ErrorDetail[] {
  const destinations = new Map(
    decoded.flatMap(({ spec }) => (spec?.kind === 'destination' ? [[spec.name, spec] as const] : [])),
  )
  return decoded.flatMap(resource => {
    const { spec } = resource
    const destination = spec?.kind === 'sync' ? destinations.get(spec.destination) : undefined
    if (spec?.kind !== 'sync' || destination === undefined) return []
    return OPS.flatMap(op => {
      const trigger = spec.triggers[op]
      const names = typeof trigger === 'object' ? Object.keys(trigger.headers ?? {}) : []
      const own = clashWithKey(names, destination.idempotencyHeader)
      if (own === null) return []
      const field = fieldName(['triggers', op, 'headers', own])
      return [
        inFile({ field, message: `wanted ${clashWanted(own)} \`${destination.name}\`` }, spec.name, resource),
      ]
    })
  })
}
