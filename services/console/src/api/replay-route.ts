/** Sends recorded requests again, or says which. */
import type { ReplayScope } from '@sluice/contracts/state'
import { replayView, runView } from '@sluice/contracts/api'
import { noQuery, replayBody, syncPath } from '@sluice/contracts/api-requests'
import { z } from 'zod'
import { route, type Route } from './route.ts'

/** A dry run reads what is recorded of the sync. */
const TIMEOUT_MS = 5 * 60_000

export const REPLAY_ROUTE: Route = route({
  ...{ method: 'POST', path: '/syncs/:name/replay', id: 'replay', scope: 'write', status: 202 },
  summary: 'Ask for a run that sends recorded requests again; with `dryRun`, see which',
  ...{ params: syncPath, query: noQuery, body: replayBody, answer: z.union([runView, replayView]) },
  timeoutMs: TIMEOUT_MS,
  respond: async ({ params: { name: sync }, body: { dryRun = false, ...asked } }, context) => {
    const scope = scopeOf(asked)
    const { control, asked: runs, signal } = context
    if (dryRun) return { kind: 'document', value: await control.replayable({ sync, scope }, signal) }
    const request = {
      sync,
      cause: 'replay',
      scope: { as: null, key: null, status: null, replay: scope },
    } as const
    const view = await runs.ask(following => control.askForRun(request, following))
    const location = `/api/v1/runs/${encodeURIComponent(view.id)}`
    return { kind: 'document', value: view, location }
  },
})

function scopeOf(asked: Omit<z.output<typeof replayBody>, 'dryRun'>): ReplayScope {
  const { keys = null, run = null, since, until, status = null, outcome = null, trigger = null } = asked
  return {
    keys,
    run: run?.toUpperCase() ?? null,
    since: timeOf(since),
    until: timeOf(until),
    status,
    outcome,
    trigger,
  }
}

function timeOf(text: string | undefined): number | null {
  return text === undefined ? null : Date.parse(text)
}
