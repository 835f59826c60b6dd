/** The dependencies of running a sync, which `compose.ts` chooses. */
import type { Definition } from '@sluice/contracts/resources'
import type { ExtractRows, ExtractRowsOptions } from '@sluice/delivered-state/extract-port'
import type { DeliveredState, StateOptions } from '@sluice/delivered-state/port'
import type { Notifier } from '@sluice/flow/notifier'
import type { StreamState } from '@sluice/delivered-state/stream-port'
import type { Slots } from '@sluice/flow/slots'
import type { Locks } from '@sluice/partition/port'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import type { Logger } from '@sluice/runtime/logger'
import type { Traces } from '@sluice/runtime/traces/span'
import type { Source } from '@sluice/sources/port'
import type { StreamSource } from '@sluice/sources/stream-port'
import type { StageMetrics } from '@sluice/partition/stage-metrics'
import type { RecordIo } from '@sluice/topics/record-io'
import type { RunsView } from '@sluice/runs/runs-view'
import type { Definitions } from '@sluice/resources/stored-documents'

/** The room of a log that may not grow beyond a size. */
export interface LogRoom {
  /** Requests and attempts of all syncs may take up to this many bytes. */
  readonly limitBytes: number
  readonly log: {
    /** The bytes of all topics that are not compacted. */
    uncompactedBytes(options: { readonly signal: AbortSignal }): number
    /** The bytes of a partition from an offset on. */
    bytesFrom(target: TopicPartition, from: number, options: { readonly signal: AbortSignal }): number
  }
}

/** The ports of a run over a stream. */
export interface StreamPorts {
  readonly openSource: (definition: Definition) => Promise<StreamSource>
  readonly openState: (options: StateOptions) => Promise<StreamState>
  readonly openRows: (options: ExtractRowsOptions) => Promise<ExtractRows>
}

export interface RunnerDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly runs: RunsView
  readonly definitions: Definitions
  readonly prefix: string
  readonly dataDir: string
  /** Resolves with the sync's definition as the resources have it now. Rejects with `not-found`. */
  readonly resolveDefinition: (sync: string, signal: AbortSignal) => Promise<Definition>
  /** Notifies when a resource may have changed. Absent: a stream pays no heed to edits. */
  readonly edits?: Notifier | undefined
  readonly openSource: (definition: Definition) => Promise<Source>
  readonly openState: (options: StateOptions) => Promise<DeliveredState>
  /** Absent in a process that runs no streams. */
  readonly streams?: StreamPorts | undefined
  /** Limits how many syncs are compared at once, since each takes memory; absent: no limit. */
  readonly detections?: Slots | undefined
  /** Limits the runs of syncs at which processes died, since each may end this one; absent: no limit. */
  readonly runsAfterDeaths?: Slots | undefined
  /**
   * Limits the bytes of requests and attempts in the log. If absent, the log keeps those of the last seven
   * days.
   */
  readonly logRoom?: LogRoom | undefined
  /** Shows whether delivery is at work on a partition; absent: runs wait for delivery without limit. */
  readonly locks?: Locks | undefined
  /** The pause between two looks for overdue runs, in ms; default 30 s. */
  readonly overdueLookMs?: number
  readonly newRunId: () => string
  readonly stageMetrics?: StageMetrics | undefined
  /** Absent or null where runs are not traced. */
  readonly traces?: Traces | null | undefined
  /**
   * True in the embedded profile, where one process does everything. There a run of an earlier process ends
   * as interrupted, even if all its changes are published. The changes are delivered all the same.
   */
  readonly isOneProcess: boolean
  readonly now: () => number
  /** Milliseconds of a monotonic clock; default: `performance.now`. */
  readonly steadyNow?: () => number
  readonly logger: Logger
}
