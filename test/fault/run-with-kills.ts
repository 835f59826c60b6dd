/** One run of a pipeline whose processes are killed at random moments, and what became of it. */
import { expect } from 'vitest'
import type { ServiceProcess } from '../e2e/distributed.ts'
import { SYNC } from '../e2e/people-project.ts'
import { finished } from '../e2e/project-folder.ts'
import { aftermaths, type Aftermath } from './aftermath.ts'
import { carryOut, standing, type PlannedKill } from './kills.ts'
import type { Pipeline } from './people-pipeline.ts'

/**
 * Makes a run that gives all people the name `name VERSION`, and carries out the kills until every person has
 * arrived. `onKilled` is called with each dead process before it is started again.
 */
export async function runWithKills(
  pipeline: Pipeline,
  plan: readonly PlannedKill[],
  { version, ...options }: { readonly version: number; readonly onKilled?: (dead: ServiceProcess) => void },
): Promise<readonly Aftermath[]> {
  await pipeline.rename(version)
  const before = await standing(pipeline)
  const command = finished(pipeline.project.start('run', SYNC))
  const kills = await carryOut(pipeline, plan, { before, ...options })
  await command
  await pipeline.succeeded()
  await pipeline.api.settled()
  const sent = pipeline.sentOf(version)
  expect(new Set(sent.map(({ url }) => url)).size, pipeline.services.logs()).toBe(pipeline.people)
  expect(pipeline.api.requests.length - before.sent).toBe(sent.length)
  return aftermaths(pipeline, kills, sent)
}

/** Prints what became of each kill, and holds it to what a kill may cost (R7). */
export function judgeKills(after: readonly Aftermath[]): void {
  for (const aftermath of after) {
    process.stderr.write(`${told(aftermath)}\n`)
    const { wentOnMs, wentOnAllowedMs, repeats, repeatsAllowed } = aftermath
    expect.soft(repeats, told(aftermath)).toBeLessThanOrEqual(repeatsAllowed)
    expect.soft(wentOnMs ?? 0, told(aftermath)).toBeLessThanOrEqual(wentOnAllowedMs)
  }
}

function told({ kill, wentOnMs, wentOnAllowedMs, repeats, repeatsAllowed }: Aftermath): string {
  const { number, label, at, watched, restartAfterMs } = kill
  const moment = watched === 'own stage' ? `its ${at}th record` : `the ${at}th request`
  const went =
    wentOnMs === null
      ? 'nothing was left to do'
      : `went on after ${wentOnMs} of at most ${wentOnAllowedMs} ms`
  const again = kill.service === 'delivery' ? `, ${repeats} of at most ${repeatsAllowed} repeated` : ''
  return `kill ${number}: ${label} at ${moment}: ${went}${again}; replaced after ${restartAfterMs} ms`
}
