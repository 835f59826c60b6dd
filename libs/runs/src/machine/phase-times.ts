/** The times at which a run came from one part of its life to the next. */
import type { PartitionReport, PhaseTimes } from '@sluice/contracts/records'
import type { RunState } from './run-events.ts'

const NONE: PhaseTimes = {
  ...{ publishingFrom: null, publishedAt: null, renderingFrom: null, renderedAt: null },
  ...{ sendingFrom: null, sentAt: null },
}

export function atPhase(run: RunState, times: Partial<PhaseTimes>): RunState {
  return { ...run, phases: { ...NONE, ...run.phases, ...times } }
}

/** Returns the run with the times of its partitions, all of which have reported by `at`. */
export function sentIn(run: RunState, reports: readonly PartitionReport[], at: number): RunState {
  return atPhase(run, { ...partitionTimes(reports), sentAt: at })
}

/** Merges the times of partitions: each phase begins with the first partition, and ends with the last. */
export function partitionTimes(
  reports: readonly Pick<PartitionReport, 'phases'>[],
): Pick<PhaseTimes, 'renderingFrom' | 'renderedAt' | 'sendingFrom'> {
  const timesOf = (name: keyof NonNullable<PartitionReport['phases']>): readonly number[] =>
    reports.flatMap(({ phases }) => phases?.[name] ?? [])
  const first = (times: readonly number[]): number | null => (times.length === 0 ? null : Math.min(...times))
  const rendered = timesOf('renderedAt')
  return {
    renderingFrom: first(timesOf('renderingFrom')),
    renderedAt: rendered.length < reports.length || rendered.length === 0 ? null : Math.max(...rendered),
    sendingFrom: first(timesOf('sendingFrom')),
  }
}
