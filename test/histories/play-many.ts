/** Plays histories of the pipeline side by side: most of a run is waiting. */
import { expect } from 'vitest'
import { OPS } from '@sluice/contracts/state'
import { planHistory, type HistoryPlan } from './plan.ts'

const SIDE_BY_SIDE = 4
const RUNS_MOST = 3

/** Histories that the pipeline can play; every one of them dies somewhere or loses an answer. */
export function forPipeline(seed: number, count: number): readonly HistoryPlan[] {
  const plans: HistoryPlan[] = []
  for (let next = seed; plans.length < count; next += 1) {
    const plan = planHistory(next)
    const runs = plan.runs
      .slice(0, RUNS_MOST)
      .map(run => ({ ...run, command: 'run' as const, triggers: OPS, compare: ['v', 'w'] as const }))
    plans.push({ ...plan, runs, skipExisting: false, giveUpAfter: null })
  }
  return plans
}

/** Rejects with the first promise that was broken. */
export async function playMany(
  plans: readonly HistoryPlan[],
  play: (plan: HistoryPlan) => Promise<number>,
): Promise<void> {
  const waiting = [...plans]
  let requests = 0
  const player = async (): Promise<void> => {
    for (let plan = waiting.pop(); plan !== undefined; plan = waiting.pop()) requests += await play(plan)
  }
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, player))
  expect(requests).toBeGreaterThan(plans.length)
}
