import type { MessageLog } from '@sluice/message-log/port'
import type { RecordIo } from '@sluice/topics/record-io'

/** What reading history needs. */
export interface HistoryDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
}
