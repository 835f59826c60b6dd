/** What a send queue is made of. */
import type { Tries } from '@sluice/domain/answers/next-try'
import type { ByteShare } from '@sluice/flow/byte-budget'
import type { Ends } from '@sluice/flow/ends'
import type { HttpSender } from '@sluice/http-sender/port'
import type { StageMetrics } from '@sluice/partition/stage-metrics'
import type { Care } from '@sluice/partition/deaths/count-deaths'
import type { Traces } from '@sluice/runtime/traces/span'
import type { Target } from '../destination/target.ts'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'
import type { DestinationGate } from './destination-gate.ts'
import type { Places } from './places.ts'
import type { SendJob } from './send-request.ts'
import type { PartRenderer } from './render-part.ts'
import type { Throttles } from './throttles.ts'
import type { WaitingOptions } from './waiting-requests.ts'

export interface SendQueueOptions extends Ends {
  readonly target: Target
  readonly ledger: AttemptLedger
  readonly sender: HttpSender
  readonly gate: DestinationGate
  readonly throttles: Throttles
  readonly places: Places
  readonly stageMetrics: StageMetrics
  /** Absent or null where runs are not traced. */
  readonly traces?: Traces | null | undefined
  /** What the sync allows within a run; null: nothing but the first try. */
  readonly tries: Tries | null
  /**
   * True if rows are removed before any is added or changed: no removal gets another try, which would hold
   * these up.
   */
  readonly removalsFirst: boolean
  /** Reads requests again that waited for their next try. */
  readonly read: WaitingOptions['read']
  /** Renders rows of a request again, as the requests that they make. */
  readonly parts: Pick<PartRenderer, 'render' | 'forget'>
  /** Gives the memory of those. It is opened with the first of them. */
  readonly share: () => ByteShare
  /** Where all of its requests belong. */
  readonly place: Pick<SendJob, 'partition' | 'runId'>
  /** When the run started, in ms since 1970. */
  readonly startedAt: number
  /** Gives numbers from 0 to below 1. */
  readonly random: () => number
  /** While it goes one by one, each try is announced, so that deaths show at which request they come. */
  readonly care: Care
  /** Aborts, with a text that says why, when nothing more is to be sent. */
  readonly early: AbortSignal
}
