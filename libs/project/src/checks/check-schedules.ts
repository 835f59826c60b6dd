/** Reads the schedule of every sync, so that mistakes in it are reported with the place in the YAML file. */
import type { ErrorDetail } from '@sluice/contracts/errors'
import { parseCron } from '@sluice/schedule/cron'
import type { DecodedResource } from '../decode/decode-resource.ts'
import { fieldName } from '../decode/places.ts'
import { placedInFile } from './check-templates.ts'

/** The problems of all schedules in the syncs that have no other mistake. */
export function checkSchedules(decoded: readonly DecodedResource[]): ErrorDetail[] {
  return decoded.flatMap(({ spec, origins }) => {
    if (spec?.kind !== 'sync' || spec.schedule === 'manual' || !('cron' in spec.schedule)) return []
    const parsed = parseCron(spec.schedule.cron, spec.schedule.timezone)
    if (parsed.kind === 'cron') return []
    const { at, message } = parsed
    return [placedInFile({ field: fieldName(['schedule', at]), message }, origins, `sync \`${spec.name}\``)]
  })
}
