/**
 * Reports on `runs` that a stage cannot go on with partitions of the run at work, so that the run ends
 * (PROTOCOL.md §11). Delivery ends its partition itself. The renderer only asks for that: delivery then
 * finishes what is rendered, and ends the partition.
 */
import { isSluiceError, messageOf } from '@sluice/contracts/errors'
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import type { MessageLog } from '@sluice/message-log/port'
import type { RecordIo } from '@sluice/topics/record-io'
import { runAtWork, type RunsView } from '@sluice/runs/runs-view'
import { DeadlyPlace } from './deaths/entry.ts'
import { at, homePartition, reportKey, sharedTopics, type StageName } from '@sluice/topics/topics'

interface Deps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
  readonly runs: RunsView
}

/**
 * Resolves once the log has acknowledged the reports. They have no fence, since a stage that cannot write its
 * own topics has none. At worst a report ends a run early, and the next run sends its rows again.
 */
export async function reportSuspended(
  deps: Deps,
  failed: {
    readonly stage: StageName
    readonly sync: string
    readonly incarnation: string
    /** Null for all partitions of the run. */
    readonly partition: number | null
    readonly error: unknown
  },
  options: { readonly signal: AbortSignal },
): Promise<void> {
  const { log, io, prefix, runs } = deps
  const { stage, sync, incarnation, error } = failed
  const known = runs.of(sync)
  const run = known?.incarnation === incarnation ? runAtWork(known) : null
  if (known === undefined || run === null) return
  const records = partitionsOf(run, failed.partition).flatMap(partition => {
    const report = suspendedReport(run, { partition, last: known.reports.get(partition), stage, error })
    return report === null
      ? []
      : [{ key: reportKey(sync, partition), value: io.encode('PartitionReport', report) }]
  })
  if (records.length > 0)
    await log.append(at(sharedTopics(prefix).runs, homePartition(sync)), records, options)
}

/** A topic may have more partitions than the run. */
function partitionsOf({ partitions }: RunEvent, partition: number | null): readonly number[] {
  const all = Array.from({ length: partitions }, (_, number) => number)
  return partition === null ? all : all.filter(number => number === partition)
}

/** Returns the report that ends a partition's part of the run; null if that part is over. */
function suspendedReport(
  run: RunEvent,
  partitionState: {
    readonly partition: number
    readonly last: PartitionReport | undefined
    readonly stage: StageName
    readonly error: unknown
  },
): PartitionReport | null {
  const { partition, last, stage, error } = partitionState
  const report = reportSoFar(run, { partition, last })
  if (report === null) return null
  return {
    ...report,
    ended: stage === 'attempts',
    faultedFrom: 0,
    error: `${STOPPED[stage]}: ${messageOf(error)}`,
    errorCode: isSluiceError(error) ? error.code : 'internal',
    waits: [],
    deaths: error instanceof DeadlyPlace ? error.deaths : null,
  }
}

/**
 * Returns the last report of the partition in this run, or an empty one; null if its part of the run is over.
 */
function reportSoFar(
  run: RunEvent,
  { partition, last }: { readonly partition: number; readonly last: PartitionReport | undefined },
): PartitionReport | null {
  const own = last?.run === run.run ? last : undefined
  if (run.run === null || own?.ended === true) return null
  return {
    sync: run.sync,
    incarnation: run.incarnation,
    run: run.run,
    partition,
    marker: last?.marker ?? -1,
    counts: own?.counts ?? {},
    ended: false,
    faultedFrom: null,
    error: null,
    errorCode: null,
    waits: own?.waits ?? [],
    phases: own?.phases ?? null,
    certificates: null,
    requestsEnd: 0,
    attemptsEnd: own?.attemptsEnd ?? 0,
    removalsFinished: own?.removalsFinished ?? null,
    failures: own?.failures ?? null,
    recent: last?.recent ?? null,
  }
}

const STOPPED: { readonly [stage in StageName]: string } = {
  changes: 'its changes cannot be published',
  requests: 'its requests cannot be rendered',
  attempts: 'its requests cannot be delivered',
}
