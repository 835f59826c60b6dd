/** Plays histories of the pipeline side by side, since a run mostly waits. */
import { expect } from 'vitest'
import type { PipelinePlan } from './pipeline-plan.ts'

const SIDE_BY_SIDE = 4

/** Rejects with the first broken promise. */
export async function playMany(
  plans: readonly PipelinePlan[],
  play: (plan: PipelinePlan) => Promise<number>,
): Promise<void> {
  const waiting = [...plans]
  let requests = 0
  const player = async (): Promise<void> => {
    for (let plan = waiting.pop(); plan !== undefined; plan = waiting.pop()) {
      const sent = await play(plan)
      requests += sent
    }
  }
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, player))
  expect(requests).toBeGreaterThan(plans.length)
}
