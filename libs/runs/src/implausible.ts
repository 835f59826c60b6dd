/**
 * What a record of the topic `runs` cannot say, though it has the shape of one of ours. Whoever may write to
 * the topic may write anything, and every process holds what it says.
 */
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import { SluiceError } from '@sluice/contracts/errors'
import { isRunId } from '@sluice/topics/topics'

/** Most partitions that a record may tell of: more than any topic of a sync has. */
const MAX_PARTITIONS = 10_000
/** Texts of a report are cut short before it is written. */
const MAX_REPORT_BYTES = 500_000
/** They become parts of the names of files, groups and subjects. */
const SYNC = /^[\w-]{1,63}$/
const INCARNATION = /^[0-9a-z-]{0,40}$/i

interface Told {
  /** The sync that the key of the record names; null if the key names none. */
  readonly keySync: string | null
  /** Size of the value in the topic. */
  readonly bytes: number
}

/**
 * Why an event is none of Sluice's; null for one that may be. It may have any size that the topic takes: a
 * replay names each of its keys, and a sync may have as many faults as rows that are in doubt.
 */
export function implausibleEvent(event: RunEvent, { keySync }: Pick<Told, 'keySync'>): SluiceError | null {
  const { sync, incarnation, runId, partitions } = event
  if (!isRunId(runId) || !INCARNATION.test(incarnation) || !SYNC.test(sync))
    return corrupt('An event of a run has a name that is none.')
  if (keySync !== null && sync !== keySync)
    return corrupt(`An event of the sync ${sync} stands under the key of another.`)
  if (partitions >= 0 && partitions <= MAX_PARTITIONS) return null
  return corrupt(`An event of the sync ${sync} tells of ${partitions} partitions.`)
}

/** Why a report is none of Sluice's; null for one that may be. */
export function implausibleReport(report: PartitionReport, { keySync, bytes }: Told): SluiceError | null {
  const { sync, incarnation, partition } = report
  if (!INCARNATION.test(incarnation) || !SYNC.test(sync))
    return corrupt('A report of a run has a name that is none.')
  if (keySync !== null && sync !== keySync)
    return corrupt(`A report of the sync ${sync} stands under the key of another.`)
  if (bytes > MAX_REPORT_BYTES) return corrupt(`A report of the sync ${sync} has ${bytes} bytes.`)
  if (partition >= 0 && partition < MAX_PARTITIONS) return null
  return corrupt(`A report of the sync ${sync} tells of the partition ${partition}.`)
}

function corrupt(message: string): SluiceError {
  return new SluiceError('corrupt', message)
}
