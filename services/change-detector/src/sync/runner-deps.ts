/** What running a sync needs from outside. */
import type { Definition } from '@sluice/contracts/resources'
import type { DeliveredState } from '@sluice/delivered-state/port'
import type { Slots } from '@sluice/flow/slots'
import type { Locks } from '@sluice/partition/port'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import type { Logger } from '@sluice/runtime/logger'
import type { Traces } from '@sluice/runtime/traces/span'
import type { Source } from '@sluice/sources/port'
import type { StageMetrics } from '@sluice/partition/stage-metrics'
import type { RecordIo } from '@sluice/topics/record-io'
import type { RunsView } from '@sluice/runs/runs-view'
import type { Definitions } from '@sluice/resources/stored-documents'

/** The room that a log has, for one that may not grow beyond a size. */
export interface LogRoom {
  /** The most that requests and attempts of all syncs may take. */
  readonly limitBytes: number
  readonly log: {
    /** The bytes of all topics that are not compacted. */
    uncompactedBytes(options: { readonly signal: AbortSignal }): number
    /** The bytes of a partition from an offset on. */
    bytesFrom(target: TopicPartition, from: number, options: { readonly signal: AbortSignal }): number
  }
}

export interface RunnerDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly runs: RunsView
  readonly definitions: Definitions
  readonly prefix: string
  readonly dataDir: string
  /** The sync's definition as the resources have it now. Rejects with `not-found`. */
  readonly resolveDefinition: (sync: string, signal: AbortSignal) => Promise<Definition>
  readonly openSource: (definition: Definition) => Promise<Source>
  readonly openState: (of: {
    readonly sync: string
    readonly incarnation: string
    readonly partitions: number
    /** Told why an existing cache is not used. The state then starts empty. */
    readonly onDiscard?: (why: string) => void
  }) => Promise<DeliveredState>
  /** Limits how many syncs are compared at once, since each takes memory; absent: no limit. */
  readonly detections?: Slots | undefined
  /** Limits how many parked syncs are run at once, since one may end the process; absent: no limit. */
  readonly suspects?: Slots | undefined
  /** What requests and attempts may take in the log; absent: as much as the runs of seven days write. */
  readonly logRoom?: LogRoom | undefined
  /** Shows whether delivery is at work on a partition; absent: runs wait for delivery without limit. */
  readonly locks?: Locks | undefined
  /** How often overdue runs are looked at, in ms; default 30 s. */
  readonly overdueLookMs?: number
  readonly newRunId: () => string
  readonly stageMetrics?: StageMetrics | undefined
  /** Absent or null where runs are not traced. */
  readonly traces?: Traces | null | undefined
  /**
   * True in the embedded profile, where one process does everything. There a run that an earlier process left
   * was interrupted, even if all its changes were published. Its published changes are delivered all the
   * same.
   */
  readonly adoptedAreInterrupted: boolean
  readonly now: () => number
  /** Milliseconds of a monotonic clock; absent for that of the process. */
  readonly steadyNow?: () => number
  readonly logger: Logger
}
