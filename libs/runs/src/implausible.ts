/**
 * Finds records of the topic `runs` that Sluice cannot have written, though they have the right shape. Any
 * client with the right to write to the topic may write anything, and every process keeps the topic in
 * memory.
 */
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import { SluiceError } from '@sluice/contracts/errors'
import { isRunId } from '@sluice/topics/topics'

/** A record may name partitions up to this number, which is more than any topic of a sync has. */
const MAX_PARTITIONS = 10_000
/** Texts of a report are cut short before it is written. */
const MAX_REPORT_BYTES = 500_000
/** Syncs and incarnations become parts of the names of files, groups and subjects. */
const SYNC = /^[\w-]{1,63}$/
const INCARNATION = /^[0-9a-z-]{0,40}$/i

interface RecordFacts {
  /** The sync that the key of the record names; null if the key names none. */
  readonly keySync: string | null
  /** Size of the value in the topic. */
  readonly bytes: number
}

/**
 * Returns why Sluice cannot have written an event; null if it may have. An event may have any size that the
 * topic takes: a replay names each of its keys, and a sync may have as many faults as uncertain rows.
 */
export function implausibleEvent(
  event: RunEvent,
  { keySync }: Pick<RecordFacts, 'keySync'>,
): SluiceError | null {
  const { sync, incarnation, runId, partitions } = event
  if (!isRunId(runId) || !INCARNATION.test(incarnation) || !SYNC.test(sync))
    return corrupt('An event of a run has an invalid id, incarnation or sync.')
  if (keySync !== null && sync !== keySync)
    return corrupt(`An event of the sync ${sync} stands under the key of another.`)
  if (partitions >= 0 && partitions <= MAX_PARTITIONS) return null
  return corrupt(`An event of the sync ${sync} names ${partitions} partitions.`)
}

/** Returns why Sluice cannot have written a report; null if it may have. */
export function implausibleReport(
  report: PartitionReport,
  { keySync, bytes }: RecordFacts,
): SluiceError | null {
  const { sync, incarnation, partition } = report
  if (!INCARNATION.test(incarnation) || !SYNC.test(sync))
    return corrupt('A report of a run has an invalid incarnation or sync.')
  if (keySync !== null && sync !== keySync)
    return corrupt(`A report of the sync ${sync} stands under the key of another.`)
  if (bytes > MAX_REPORT_BYTES) return corrupt(`A report of the sync ${sync} has ${bytes} bytes.`)
  if (partition >= 0 && partition < MAX_PARTITIONS) return null
  return corrupt(`A report of the sync ${sync} names the partition ${partition}.`)
}

function corrupt(message: string): SluiceError {
  return new SluiceError('corrupt', message)
}
