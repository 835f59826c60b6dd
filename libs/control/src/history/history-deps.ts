import type { MessageLog } from '@sluice/message-log/port'
import type { RecordIo } from '@sluice/topics/record-io'

/** What the readers of history need. */
export interface HistoryDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
}
