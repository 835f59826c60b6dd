/** When a run came from one part of its life to the next. */
import type { PartitionReport } from '@sluice/contracts/records'
import type { PhaseTimes } from '@sluice/contracts/run-records'
import type { RunState } from './run-events.ts'

const NONE: PhaseTimes = {
  ...{ publishingFrom: null, publishedAt: null, renderingFrom: null, renderedAt: null },
  ...{ sendingFrom: null, sentAt: null },
}

export function atPhase(run: RunState, times: Partial<PhaseTimes>): RunState {
  return { ...run, phases: { ...NONE, ...run.phases, ...times } }
}

/** With the times of its partitions, all of which have reported by `at`. */
export function sentIn(run: RunState, reports: readonly PartitionReport[], at: number): RunState {
  return atPhase(run, { ...partitionTimes(reports), sentAt: at })
}

/** From the first partition that comes to a part of a run, to the last one. */
export function partitionTimes(
  reports: readonly Pick<PartitionReport, 'phases'>[],
): Pick<PhaseTimes, 'renderingFrom' | 'renderedAt' | 'sendingFrom'> {
  const of = (name: keyof NonNullable<PartitionReport['phases']>): readonly number[] =>
    reports.flatMap(({ phases }) => phases?.[name] ?? [])
  const first = (times: readonly number[]): number | null => (times.length === 0 ? null : Math.min(...times))
  const rendered = of('renderedAt')
  return {
    renderingFrom: first(of('renderingFrom')),
    renderedAt: rendered.length < reports.length || rendered.length === 0 ? null : Math.max(...rendered),
    sendingFrom: first(of('sendingFrom')),
  }
}
