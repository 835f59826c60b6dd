/** Checks the headers of triggers against the headers that their destination sends with every request. */
import { clashWanted, clashWithKey } from '@sluice/contracts/specs/http-texts'
import type { ErrorDetail } from '@sluice/contracts/errors'
import { OPS } from '@sluice/contracts/state'
import { inFile } from './check-templates.ts'
import type { DecodedResource } from '../decode/decoded.ts'
import { fieldName } from '../decode/places.ts'

/** The problems of the syncs and destinations that have no other mistake. */
export function checkHeaders(decoded: readonly DecodedResource[]): ErrorDetail[] {
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
