/**
 * Histories for the pipeline itself: those of the model of the protocol, shorter, with what only the pipeline
 * has: resets, and definitions that change between runs.
 */

import { randomFrom, type Random } from '@sluice/testkit/random'
import { FAULT_FREE, planHistory, type Command, type HistoryPlan, type RunPlan } from './plan.ts'

/** A replay has no command yet. */
export type PipelineCommand = Exclude<Command, 'replay'> | 'reset'

export interface PipelineRun extends Omit<RunPlan, 'command' | 'compare'> {
  readonly command: PipelineCommand
  /** What the sync says of the columns that count as changed; null: nothing. */
  readonly compare: 'all' | ['v'] | null
  /** How the templates print a row: column by column, or as a whole. */
  readonly prints: 'columns' | 'row'
  /** Whose appends the detector's death is counted in. */
  readonly detectorDiesAt: 'changes' | 'runs'
  /** After how many of its writes, from 0 to 1, the detector that follows one that died does so, too. */
  readonly successorDies: number | null
  /** How much of the append that a process dies at is in the log, from 0 to 1. */
  readonly cut: number
  /** What failed too often is passed over, if the plan of the history says so at all. */
  readonly givesUp: boolean
  /** Afterwards the delivered state is made anew of the topics beside the one that lives on. */
  readonly rebuilds: boolean
  /** The model has one column more, always of the same value. */
  readonly extraColumn: boolean
}

export interface PipelinePlan extends Omit<HistoryPlan, 'runs'> {
  /** What is gone has its tombstone in `changes` with the next run, not only after a week. */
  readonly endsGone: boolean
  readonly runs: readonly PipelineRun[]
}

export const NOTHING_BREAKS: PipelineRun = {
  ...FAULT_FREE,
  command: 'run',
  compare: null,
  prints: 'columns',
  detectorDiesAt: 'changes',
  successorDies: null,
  cut: 0,
  // What failed too often is passed over for as long as somebody wants it to be.
  givesUp: false,
  rebuilds: false,
  extraColumn: false,
}

const RUNS_MOST = 3
const COMMANDS = ['run', 'run', 'run', 'resync', 'resync-changed', 'discard', 'reset'] as const

/** Histories that the pipeline can play. */
export function forPipeline(seed: number, count: number): readonly PipelinePlan[] {
  return Array.from({ length: count }, (_, index) => {
    const plan = planHistory(seed + index)
    const random = randomFrom(plan.seed ^ 0x2545f491)
    const cuts = randomFrom(plan.seed ^ 0x7f4a7c15)
    const runs = plan.runs
      .slice(0, RUNS_MOST)
      .map((run, number) => ({ ...pipelineRun(run, number, random), cut: cuts.next() }))
    return { ...plan, runs, endsGone: random.chance(0.5) }
  })
}

function pipelineRun(run: RunPlan, number: number, random: Random): Omit<PipelineRun, 'cut'> {
  return {
    ...run,
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
