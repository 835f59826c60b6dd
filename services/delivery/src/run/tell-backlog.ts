/** Tells operators how much of a partition is left to deliver, and how old it is. */
import type { RunEvent } from '@sluice/contracts/records'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import type { Figures } from '@sluice/partition/figures'
import type { Worker } from '@sluice/partition/own-partitions'
import { PositionHints } from '@sluice/partition/position-hints'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'

interface BacklogOf {
  readonly log: MessageLog
  readonly figures: Figures | undefined
  readonly run: Pick<RunEvent, 'sync'>
  readonly worker: Pick<Worker, 'target' | 'membership' | 'abort'>
  readonly ledger: Pick<AttemptLedger, 'position' | 'oldestAt'>
  readonly requests: TopicPartition
}

/**
 * Commits the position as a hint, and shows the backlog until disposed. A process without figures tells
 * nothing: nobody watches it.
 */
export function tellBacklog(of: BacklogOf): Pick<PositionHints, 'now'> & AsyncDisposable {
  const { log, figures, run, worker, ledger, requests } = of
  if (figures === undefined) return { now: () => undefined, [Symbol.asyncDispose]: () => Promise.resolve() }
  const { partition } = requests
  const onRound = async (): Promise<void> => {
    const { end } = await log.offsets(requests, { signal: worker.abort })
    const left = Math.max(0, end - ledger.position)
    const { oldestAt } = ledger
    const oldestMs = left === 0 || oldestAt === null ? 0 : Math.max(0, Date.now() - oldestAt)
    figures.backlog(run.sync, partition, { requests: left, oldestMs })
  }
  const hints = new PositionHints(worker, { position: () => ledger.position, onRound })
  return {
    now: () => hints.now(),
    async [Symbol.asyncDispose]() {
      await hints[Symbol.asyncDispose]()
      figures.backlog(run.sync, partition, null)
    },
  }
}
