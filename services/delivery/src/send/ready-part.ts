/** A request, or a part of one, that is in work: it waits for its turn, or is sent. */
import type { Request } from '@sluice/contracts/records'
import type { RequestMemory } from '../delivery-memory.ts'
import { rowsAt } from '../ledger/parts.ts'
import type { PartHistory, RequestHistory } from '../ledger/request-history.ts'
import type { OpenRequest, Whole } from './open-request.ts'
import type { SendJob } from './send-request.ts'

export interface Ready {
  readonly open: OpenRequest
  readonly job: SendJob
  readonly whole: Whole
  /** Its own, while it is in work. */
  readonly memory: RequestMemory
  /** For how long it has been tried already without a connection that was open in time. */
  readonly lateMs: number
  /** True once the ledger has its next try announced, and it was not sent yet. */
  readonly isAnnounced?: boolean
}

/** A request that is taken into work. */
export interface NewRequest {
  readonly request: Request
  readonly offset: number
  readonly history: RequestHistory
  readonly memory: RequestMemory
}

/** With the whole body; that of a part has to be rendered. */
export function readyOf(
  open: OpenRequest,
  part: PartHistory,
  of: {
    readonly request: Request
    readonly memory: RequestMemory
    readonly place: Pick<SendJob, 'partition' | 'runId'>
  },
): Ready {
  const { request, memory, place } = of
  const { positions } = part
  const rows = rowsAt(request.rows, positions)
  const own = positions === null ? request : { ...request, rows, body: null }
  const job = { ...place, request: own, requestOffset: open.offset, history: part }
  const { run, trigger, replayOf } = request
  return { open, job, whole: { run, trigger, rows: request.rows, replayOf }, memory, lateMs: 0 }
}
