/** The parts of a pipeline that control needs, be it embedded in a project's `.sluice` or on Kafka. */
import type { Wait } from '@sluice/contracts/records'
import type { Ends } from '@sluice/flow/ends'
import type { HistoryIndex } from '@sluice/history/port'
import type { TopicsFollower } from '@sluice/history/follow-topics'
import type { MessageLog } from '@sluice/message-log/port'
import type { LimitUsage } from '@sluice/rate-limit/port'
import type { Logger } from '@sluice/runtime/logger'
import type { RecordIo } from '@sluice/topics/record-io'
import type { RunsView } from '@sluice/runs/runs-view'
import type { Definitions } from '@sluice/resources/stored-documents'
import type { Vault } from '@sluice/secrets/vault/vault'

/** An index with the follower that keeps it up to date. */
export interface IndexedHistory {
  readonly index: HistoryIndex
  readonly follower: Pick<TopicsFollower, 'caughtUp'>
}

export interface Pipeline extends AsyncDisposable {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
  readonly runs: RunsView
  readonly definitions: Definitions
  /**
   * Null in a process that uses no secrets, since it only reads or asks others. Also null if `openVault` is
   * given.
   */
  readonly vault: Vault | null
  /**
   * Opens the vault in a process where few commands need it. Each call gives the same vault, which the
   * pipeline closes. May be called again after it was rejected.
   */
  readonly openVault?: () => Promise<Vault>
  /** The index of history, in a process that keeps one. Other processes read the history from the topics. */
  readonly indexed?: IndexedHistory | null
  /** The slots of limits that are in use. Absent where they are not known. */
  readonly usage?: LimitUsage
  readonly newRunId: () => string
  readonly logger: Logger
  /** True if other processes run the services. Then `start` only waits. */
  readonly servicesElsewhere: boolean
  /**
   * Runs the services for these syncs until `drain` aborts; null means all syncs. Then it lets them finish
   * the work under way, while `abort` ends them at once. The set may grow meanwhile. Rejects if a service
   * fails for good.
   */
  readonly start: (only: ReadonlySet<string> | null, ends: Ends) => Promise<void>
  /** The wait of services that were started here and are not at work yet; null if there is none. */
  readonly startWaits?: () => Wait | null
}

/** The vault, opened if need be; null in a process that uses no secrets. */
export async function vaultOf({ vault, openVault }: Pipeline): Promise<Vault | null> {
  return vault ?? (await openVault?.()) ?? null
}
