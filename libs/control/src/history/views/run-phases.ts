/** What a run went through, and when, as people see it. */
import type { RunView } from '@sluice/contracts/api'
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import { partitionTimes } from '@sluice/runs/machine/phase-times'
import { isoTime } from './iso-time.ts'

type PhaseView = NonNullable<RunView['phases']>[number]

/** The reports give the times of a run under way. */
export function phasesOf(event: RunEvent, reports: ReadonlyMap<number, PartitionReport>): PhaseView[] {
  const { startedAt, phases, status, endedAt: over } = event
  if (startedAt === null || status === 'queued') return []
  const own = [...reports.values()].filter(({ run }) => run === event.run)
  const isUnderWay = status === 'running' && own.length > 0
  const sent = { ...phases, ...(isUnderWay ? partitionTimes(own) : {}) }
  const { publishingFrom = null, publishedAt = null, sentAt = null } = phases ?? {}
  const { renderingFrom = null, renderedAt = null, sendingFrom = null } = sent
  const all: readonly (readonly [PhaseView['phase'], number | null, number | null])[] = [
    ['detecting', startedAt, publishingFrom ?? over],
    ['publishing', publishingFrom, publishedAt ?? over],
    ['rendering', renderingFrom, renderedAt ?? sentAt ?? over],
    ['sending', sendingFrom, sentAt ?? over],
    ['finishing', sentAt, over],
  ]
  return all.flatMap(([phase, from, to]) => {
    const start = isoTime(from)
    return start === null ? [] : [{ phase, startedAt: start, endedAt: isoTime(to) }]
  })
}
