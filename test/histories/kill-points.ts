/** The points at which a process of the pipeline dies, as the plan of a run says. */
import type { PipelineRun } from './pipeline-plan.ts'

/** At this append to a topic, or at this request. */
export interface KillPoint {
  readonly at: 'changes' | 'attempts' | 'retry' | 'request' | 'runs'
  left: number
}

/**
 * About how often a run of a few rows appends to `changes` and to `runs`. A reset appends about as often to
 * `runs` and `resources`.
 */
const APPENDS = { changes: 6, runs: 7 }

export function killPointsOf(run: PipelineRun): KillPoint[] {
  const first = killPointOf(run)
  if (first === null) return []
  const { successorDies: dies, detectorDiesAt } = run
  const second = {
    ...run,
    detectorDies: dies,
    detectorDiesAt: detectorDiesAt === 'runs' ? 'changes' : 'runs',
  } as const
  return dies === null ? [first] : [first, killPointOf(second) ?? first]
}

function killPointOf({ command, detectorDies, detectorDiesAt, deliveryDies }: PipelineRun): KillPoint | null {
  if (detectorDies !== null) {
    const at = command === 'reset' ? 'runs' : detectorDiesAt
    return { at, left: 1 + Math.floor(detectorDies * APPENDS[at]) }
  }
  const death = deliveryDies.find(each => each !== null)
  if (death === undefined || death === null) return null
  const left = 1 + death.others
  switch (death.step) {
    case 'before-attempt':
      return { at: 'request', left }
    case 'before-entries':
      return { at: 'retry', left }
    case 'after-entries':
      return { at: 'attempts', left: left + 1 }
    default:
      return death.step satisfies never
  }
}
