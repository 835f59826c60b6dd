/**
 * SIGKILL for processes of a pipeline at random moments of a run: while their own stage is at work, or
 * anywhere in the run. A seed gives the same plan again.
 */
import { readFile } from 'node:fs/promises'
import { sleep } from '@sluice/flow/sleep'
import type { StageName } from '@sluice/topics/topics'
import { SERVICE_NAMES, type ServiceName, type ServiceProcess } from '../e2e/distributed.ts'
import type { Pipeline } from './people-pipeline.ts'

const { signal } = new AbortController()

const AT_WORK_SHARE = 0.85
/**
 * A renderer appends up to a thousand requests at once. So when half of a run is written, nearly all is
 * rendered.
 */
const RENDERED_SOON = 0.4

export const STAGE_OF: { readonly [service in ServiceName]: StageName } = {
  'change-detector': 'changes',
  renderer: 'requests',
  delivery: 'attempts',
}

export interface PlannedKill {
  readonly number: number
  readonly service: ServiceName
  /** It comes at this many records of `watched`, and this much later. */
  readonly watched: 'own stage' | 'requests sent'
  readonly at: number
  readonly delayMs: number
  /** Chooses the process, from 0 to 1: mostly the one at work. */
  readonly victim: number
  /** The time after which a new process replaces the dead one. */
  readonly restartAfterMs: number
}

export interface Kill extends PlannedKill {
  readonly label: string
  /** ms since 1970 */
  readonly killedAt: number
}

/**
 * Plans kills spread over the services, in runs of `perRun` each. Each comes while a run sends the first
 * `requests`, so every run has to send that many: a kill whose moment never comes is waited for in vain.
 */
export function planKills(
  random: () => number,
  of: { readonly kills: number; readonly perRun: number; readonly requests: number },
): readonly (readonly PlannedKill[])[] {
  const runs: PlannedKill[][] = []
  for (let number = 0; number < of.kills; number += 1) {
    const service = SERVICE_NAMES[number % SERVICE_NAMES.length] ?? 'delivery'
    const watched = service !== 'delivery' && random() < 0.6 ? 'own stage' : 'requests sent'
    const isRendering = service === 'renderer' && watched === 'own stage'
    const planned: PlannedKill = {
      number: number + 1,
      service,
      watched,
      at: 1 + Math.floor(random() * of.requests * (isRendering ? RENDERED_SOON : 1)),
      delayMs: 5 + Math.floor(random() * 30),
      victim: random(),
      restartAfterMs: Math.floor(random() * 8_000),
    }
    if (number % of.perRun === 0) runs.push([])
    runs.at(-1)?.push(planned)
  }
  return runs
}

/** The records of each stage, and the requests of the API, before a run. */
export interface Before {
  readonly appended: { readonly [stage in StageName]: number }
  readonly sent: number
}

export async function standing({ topics, api }: Pipeline): Promise<Before> {
  const [changes, requests, attempts] = await Promise.all([
    topics.appended('changes'),
    topics.appended('requests'),
    topics.appended('attempts'),
  ])
  await api.settled()
  return { appended: { changes, requests, attempts }, sent: api.requests.length }
}

/**
 * Carries out the kills of one run, each at its moment, and one at a time for each service. Resolves once all
 * dead processes are replaced. `onKilled` is called with each dead process before it is started again.
 */
export async function carryOut(
  pipeline: Pipeline,
  plan: readonly PlannedKill[],
  { before, onKilled }: { readonly before: Before; readonly onKilled?: (dead: ServiceProcess) => void },
): Promise<readonly Kill[]> {
  const byService = SERVICE_NAMES.map(async service => {
    const kills: Kill[] = []
    for (const planned of plan.filter(kill => kill.service === service)) {
      await momentOf(pipeline, planned, before)
      const victim = await victimOf(pipeline, planned)
      const killedAt = Date.now()
      await victim.kill()
      kills.push({ ...planned, label: victim.label, killedAt })
      await sleep(planned.restartAfterMs, { signal })
      onKilled?.(victim)
      await victim.start()
    }
    return kills
  })
  const kills = (await Promise.all(byService)).flat()
  return kills.sort((a, b) => a.killedAt - b.killedAt)
}

export async function momentOf(
  { topics, api }: Pipeline,
  kill: Pick<PlannedKill, 'service' | 'watched' | 'at'>,
  before: Before,
): Promise<void> {
  const stage = STAGE_OF[kill.service]
  if (kill.watched === 'requests sent') {
    await api.waitFor(requests => requests.length - before.sent >= kill.at)
    return
  }
  while ((await topics.appended(stage)) - before.appended[stage] < kill.at) await sleep(2, { signal })
}

/**
 * Chooses a process, mostly the one at work. From outside, ownership does not show, but CPU time does: this
 * compares the time that the main threads spend on a processor (Linux' schedstat). On other systems chance
 * decides.
 */
export async function victimOf(
  { services }: Pipeline,
  kill: Pick<PlannedKill, 'service' | 'delayMs' | 'victim'>,
): Promise<ServiceProcess> {
  const candidates = services.of(kill.service)
  const before = await Promise.all(candidates.map(busyNs))
  await sleep(kill.delayMs, { signal })
  const after = await Promise.all(candidates.map(busyNs))
  const busy = after.map((ns, index) => ns - (before[index] ?? 0))
  const known = kill.victim < AT_WORK_SHARE && busy.some(ns => ns > 0)
  const index = known ? busy.indexOf(Math.max(...busy)) : Math.floor(kill.victim * 1000) % candidates.length
  const chosen = candidates[index]
  if (chosen === undefined) throw new Error(`no ${kill.service} is running`)
  return chosen
}

async function busyNs({ pid }: ServiceProcess): Promise<number> {
  const text = await readFile(`/proc/${pid}/schedstat`, 'utf8').catch(() => '0')
  return Number(text.split(' ')[0])
}
