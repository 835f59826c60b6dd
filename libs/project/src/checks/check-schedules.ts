/** Reads the schedule of every sync, so that mistakes in it are reported with the place in the YAML file. */
import type { ErrorDetail } from '@sluice/contracts/errors'
import type { SyncSpec } from '@sluice/contracts/resources'
import { parseCron } from '@sluice/runs/schedule/cron'
import type { DecodedResource } from '../decode/decoded.ts'
import { fieldName } from '../decode/places.ts'
import { placedInFile } from './check-templates.ts'

/** The problems of all schedules in the syncs that have no other mistake. */
export function checkSchedules(decoded: readonly DecodedResource[]): ErrorDetail[] {
  return decoded.flatMap(({ spec, origins }) => {
    if (spec?.kind !== 'sync') return []
    return scheduleProblems(spec).map(detail => placedInFile(detail, origins, `sync \`${spec.name}\``))
  })
}

/** The problems of one schedule, without their place in a file. */
export function scheduleProblems({ schedule }: Pick<SyncSpec, 'schedule'>): ErrorDetail[] {
  if (schedule === 'manual' || !('cron' in schedule)) return []
  const parsed = parseCron(schedule.cron, schedule.timezone)
  if (parsed.kind === 'cron') return []
  return [{ field: fieldName(['schedule', parsed.at]), message: parsed.message }]
}
