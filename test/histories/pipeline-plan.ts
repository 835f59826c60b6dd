/**
 * Histories for the pipeline itself. They are shorter than those of the model of the protocol, and have
 * events that only the pipeline has: resets, and definitions that change between runs.
 */

import { randomFrom, type Random } from '@sluice/testkit/random'
import { EVERY_KEY, FAULT_FREE, planHistory, type Command, type HistoryPlan, type RunPlan } from './plan.ts'

/** A replay has no command yet. */
export type PipelineCommand = Exclude<Command, 'replay'> | 'reset'

export interface PipelineRun extends Omit<RunPlan, 'command' | 'compare'> {
  readonly command: PipelineCommand
  /** The key that a retry or a discard names. Null: it is about all rows. */
  readonly named: string | null
  /** The sync's setting for the columns that count as changed. Null: it has none. */
  readonly compare: 'all' | ['v'] | null
  /** The templates print a row column by column, or as a whole. */
  readonly prints: 'columns' | 'row'
  /** The topic whose appends count down to the detector's death. */
  readonly detectorDiesAt: 'changes' | 'runs'
  /** The share of its writes, from 0 to 1, after which the successor of a dead detector dies too. */
  readonly successorDies: number | null
  /** The share, from 0 to 1, of the append at which a process dies that is in the log. */
  readonly cut: number
  /** True if rows that failed too often are passed over, provided the history's plan has that setting. */
  readonly givesUp: boolean
  /** True if the delivered state is then rebuilt from the topics, beside the one that lives on. */
  readonly rebuilds: boolean
  /** True if the model has one more column, which always has the same value. */
  readonly extraColumn: boolean
}

export interface PipelinePlan extends Omit<HistoryPlan, 'runs'> {
  /** True if gone keys get their tombstone in `changes` with the next run, not only after a week. */
  readonly endsGone: boolean
  readonly runs: readonly PipelineRun[]
}

export const NOTHING_BREAKS: PipelineRun = {
  ...FAULT_FREE,
  command: 'run',
  named: null,
  compare: null,
  prints: 'columns',
  detectorDiesAt: 'changes',
  successorDies: null,
  cut: 0,
  // Rows that failed too often are passed over as long as the setting stays.
  givesUp: false,
  rebuilds: false,
  extraColumn: false,
}

const MAX_RUNS = 3
const COMMANDS = ['run', 'run', 'run', 'resync', 'resync-changed', 'discard', 'reset'] as const

/** Histories that the pipeline can play. */
export function forPipeline(seed: number, count: number): readonly PipelinePlan[] {
  return Array.from({ length: count }, (_, index) => {
    const plan = planHistory(seed + index)
    const random = randomFrom(plan.seed ^ 0x2545f491)
    const cuts = randomFrom(plan.seed ^ 0x7f4a7c15)
    const people = randomFrom(plan.seed ^ 0x61c88647)
    const runs = plan.runs
      .slice(0, MAX_RUNS)
      .map((run, number) => ({ ...pipelineRun(run, number, random), cut: cuts.next() }))
      .map((run, number) => ({ ...run, ...(number === 0 ? {} : decided(run, plan, people)) }))
    return { ...plan, runs, endsGone: random.chance(0.5) }
  })
}

/**
 * The command that somebody gives in place of a run. Without a person's word, `at-most-once` sends nothing
 * that is in doubt.
 */
function decided(
  { command }: PipelineRun,
  { atMostOnce }: HistoryPlan,
  random: Random,
): Pick<PipelineRun, 'command' | 'named'> {
  const named = random.chance(0.5) ? random.pick(EVERY_KEY) : null
  const asked = random.chance(atMostOnce ? 0.5 : 0.2) ? 'retry' : command
  return { command: asked, named: asked === 'retry' || asked === 'discard' ? named : null }
}

function pipelineRun(run: RunPlan, number: number, random: Random): Omit<PipelineRun, 'cut'> {
  return {
    ...run,
    named: null,
    command: number === 0 ? 'run' : random.pick(COMMANDS),
    compare: run.compare.length === 1 ? ['v'] : random.chance(0.2) ? 'all' : null,
    givesUp: true,
    prints: random.chance(0.25) ? 'row' : 'columns',
    extraColumn: random.chance(0.25),
    detectorDiesAt: random.pick(['changes', 'changes', 'runs']),
    successorDies: random.chance(0.3) ? random.next() : null,
    rebuilds: random.chance(0.25),
  }
}

/** The columns that count as changed in a run, in the model's order. */
export function comparedColumns({ compare, prints, extraColumn }: PipelineRun): readonly string[] {
  if (compare !== null && compare !== 'all') return compare
  const whole = compare === 'all' || prints === 'row'
  return whole && extraColumn ? ['id', 'v', 'w', 'x'] : ['id', 'v', 'w']
}
