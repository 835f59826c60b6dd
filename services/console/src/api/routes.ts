/** All routes of the API. Each is one method of the control port. */
import {
  attemptsPage,
  attemptView,
  failedPage,
  previewView,
  requestView,
  resourcesPage,
  runsPage,
  runView,
  syncsPage,
  syncView,
  type RunView,
} from '@sluice/contracts/api'
import { rowLifeView, runFiguresView } from '@sluice/contracts/views/history-views'
import {
  attemptsQuery,
  failedQuery,
  failedRowsBody,
  approveBody,
  noBody,
  noQuery,
  pageQuery,
  previewQuery,
  requestPath,
  resyncBody,
  runBody,
  runPath,
  figuresQuery,
  rowQuery,
  runsQuery,
  syncPath,
  syncQuery,
  syncsQuery,
  testBody,
} from '@sluice/contracts/api-requests'
import { SluiceError } from '@sluice/contracts/errors'
import type { RunRequest } from '@sluice/control/port'
import { z } from 'zod'
import { PREVIEW, previewed } from './previewed.ts'
import { RESOURCE_ROUTES } from './resource-routes.ts'
import { REPLAY_ROUTE } from './replay-route.ts'
import { route, type Answer, type Route, type RouteContext } from './route.ts'
import { runEvents } from './run-events.ts'
import { ALERT_ROUTES } from './alert-routes.ts'
import { CERTIFICATE_ROUTE } from './operating/certificate-route.ts'
import { LOGIN_ROUTES } from './operating/login-routes.ts'
import { OPERATOR_ROUTES } from './operating/operator-routes.ts'
import { SAMPLE_ROUTES } from './operating/sample-routes.ts'
import { SCHEDULE_ROUTE } from './operating/schedule-route.ts'
import { SECRET_ROUTES } from './secret-routes.ts'
import { SESSION_ROUTES } from './session-routes.ts'

const MINUTE_MS = 60_000
/** Each stream keeps a connection. */
const STREAMS = { atOnce: 200, atOncePerCaller: 100 }
/** The queued run may stand behind refused ones. */
const LATEST = 20

function timeOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Date.parse(text)
}

const noPath = z.strictObject({})
const document = (value: unknown): Answer => ({ kind: 'document', value })
const asked = (view: RunView): Answer => ({
  kind: 'document',
  value: view,
  location: `/api/v1/runs/${encodeURIComponent(view.id)}`,
})

const reads = { method: 'GET', scope: 'read', status: 200, body: noBody } as const
const asks = { method: 'POST', scope: 'write', status: 202, query: noQuery, answer: runView } as const

const READ_ROUTES: readonly Route[] = [
  route({
    ...{ ...reads, path: '/syncs', id: 'listSyncs', summary: 'All syncs and how each is, by name' },
    ...{ params: noPath, query: syncsQuery, answer: syncsPage },
    respond: async ({ query: { limit, after, runs } }, { control, signal }) =>
      document(await control.syncs({ limit, after, runs }, signal)),
  }),
  route({
    ...{ ...reads, path: '/syncs/:name', id: 'getSync', summary: 'One sync and how it is' },
    ...{ params: syncPath, query: syncQuery, answer: syncView },
    respond: async ({ params, query: { runs } }, { control, signal }) =>
      document(await control.sync(params.name, { runs }, signal)),
  }),
  route({
    ...{ ...reads, path: '/syncs/:name/failed', id: 'listFailedRows' },
    ...{ summary: 'The failed rows of a sync, by key' },
    ...{ params: syncPath, query: failedQuery, answer: failedPage },
    respond: async ({ params, query }, { control, signal }) => {
      const { run, key, status, limit, after } = query
      return document(await control.failed({ sync: params.name, run, key, status, limit, after }, signal))
    },
  }),
  route({
    ...{ ...reads, path: '/runs', id: 'listRuns', summary: 'The runs, the newest first' },
    ...{ params: noPath, query: runsQuery, answer: runsPage },
    respond: async ({ query }, { control, signal }) => {
      const { since, until, ...same } = query
      const times = { since: timeOf(since), until: timeOf(until) }
      const all = { ...same, ...times, sync: query.sync, after: query.after }
      return document(await control.runs(all, signal))
    },
  }),
  route({
    ...{ ...reads, path: '/syncs/:name/rows', id: 'getRow', timeoutMs: 5 * MINUTE_MS },
    summary: 'All that happened to one row, and what the destination is believed to hold',
    ...{ params: syncPath, query: rowQuery, answer: rowLifeView },
    respond: async ({ params, query }, { control, signal }) =>
      document(await control.row({ sync: params.name, key: query.key }, signal)),
  }),
  route({
    ...{ ...reads, path: '/runs/:id/figures', id: 'getRunFigures', timeoutMs: 5 * MINUTE_MS },
    summary: 'What the attempts of a run came to, over time',
    ...{ params: runPath, query: figuresQuery, answer: runFiguresView },
    respond: async ({ params, query }, { control, signal }) =>
      document(await control.figures(params.id, query.buckets, signal)),
  }),
  route({
    ...{ ...reads, path: '/runs/:id', id: 'getRun', summary: 'One run' },
    ...{ params: runPath, query: noQuery, answer: runView },
    respond: async ({ params }, { control, signal }) => document(await control.run(params.id, signal)),
  }),
  route({
    ...{ ...reads, path: '/runs/:id/events', id: 'followRun', streams: true, ...STREAMS },
    summary: 'The state of a run, and each later state as an event `run`, until the run has ended',
    ...{ params: runPath, query: noQuery, answer: runView },
    respond: async ({ params, lastEventId }, { control, signal }) => ({
      kind: 'events',
      events: await runEvents(control.follow(params.id, signal), { lastEventId, signal }),
    }),
  }),
  route({
    ...{ ...reads, path: '/attempts', id: 'listAttempts', timeoutMs: 5 * MINUTE_MS },
    summary: 'Requests and answers as sent and received, the newest first',
    ...{ params: noPath, query: attemptsQuery, answer: attemptsPage },
    respond: async ({ query }, { control, signal }) => {
      const { q: search, bodies: searchesBodies, since, until, ...same } = query
      const times = { since: timeOf(since), until: timeOf(until) }
      return document(
        await control.attempts({ ...same, ...times, after: query.after, search, searchesBodies }, signal),
      )
    },
  }),
  route({
    ...{ ...reads, path: '/attempts/:requestId', id: 'getRequest', timeoutMs: 5 * MINUTE_MS },
    summary: 'One request with its rows, and all attempts at it with their answers and timing',
    ...{ params: requestPath, query: noQuery, answer: requestView },
    respond: async ({ params }, { control, signal }) =>
      document(await control.request(params.requestId, signal)),
  }),
  route({
    ...{ ...reads, ...PREVIEW, path: '/preview', id: 'preview' },
    summary: 'What the next run of a sync would send',
    ...{ params: noPath, query: previewQuery, answer: previewView },
    respond: async ({ query }, { control, signal }) => {
      const { sync, trigger: op, key, rows, limit } = query
      await using preview = await control.preview({ sync, op, key, rows }, signal)
      return document(await previewed(preview, { sync, limit }))
    },
  }),
  route({
    ...{ ...reads, path: '/resources', id: 'listResources', summary: 'All resources, by kind and name' },
    ...{ params: noPath, query: pageQuery, answer: resourcesPage },
    respond: async ({ query }, { control, signal }) =>
      document(await control.resources({ limit: query.limit, after: query.after }, signal)),
  }),
]

const ASK_ROUTES: readonly Route[] = [
  route({
    ...{ ...asks, path: '/syncs/:name/runs', id: 'run', summary: 'Ask for a run' },
    ...{ params: syncPath, body: runBody },
    respond: async ({ params, body: { queues = true } }, context) => {
      if (!queues) await assertFree(params.name, context)
      return await askForRun(context, { sync: params.name })
    },
  }),
  route({
    ...{ ...asks, path: '/syncs/:name/retry', id: 'retry' },
    summary: 'Ask for a run that tries rows again; without a key or status, an ordinary run',
    ...{ params: syncPath, body: failedRowsBody },
    respond: ({ params, body: { key = null, status = null } }, context) => {
      const scope = key === null && status === null ? null : { as: null, key, status }
      return askForRun(context, { sync: params.name, cause: 'retry', scope })
    },
  }),
  route({
    ...{ ...asks, path: '/syncs/:name/resync', id: 'resync', summary: 'Ask for a run that sends every row' },
    ...{ params: syncPath, body: resyncBody },
    respond: ({ params, body: { as = 'added' } }, context) =>
      askForRun(context, { sync: params.name, cause: 'resync', scope: { as, key: null, status: null } }),
  }),
  route({
    ...{ ...asks, path: '/syncs/:name/discard', id: 'discard', summary: 'Discard rows that wait' },
    ...{ params: syncPath, body: failedRowsBody },
    respond: ({ params, body: { key = null, status = null } }, context) =>
      askForRun(context, { sync: params.name, cause: 'discard', scope: { as: null, key, status } }),
  }),
  route({
    ...{ ...asks, path: '/syncs/:name/reset', id: 'reset', summary: 'Forget what was delivered' },
    ...{ params: syncPath, body: noBody },
    respond: async ({ params }, { control, asked: runs }) =>
      asked(await runs.ask(following => control.reset(params.name, following))),
  }),
  route({
    ...{ ...asks, ...PREVIEW, path: '/syncs/:name/test', id: 'sendTest', answer: attemptView, status: 200 },
    summary: 'Send the request of one row, and record it as a test that changes no state',
    ...{ params: syncPath, body: testBody },
    respond: async ({ params, body: { key, trigger } }, { control, signal }) =>
      document(await control.sendTest({ sync: params.name, op: trigger, key }, signal)),
  }),
  route({
    ...{ ...asks, path: '/runs/:id/approve', id: 'approve', summary: 'Let a held run go on' },
    ...{ params: runPath, body: approveBody },
    respond: async ({ params, body: { destination } }, { control, asked: runs }) =>
      asked(await runs.ask(following => control.approve({ run: params.id, destination }, following))),
  }),
  route({
    ...{ ...asks, path: '/runs/:id/cancel', id: 'cancel', summary: 'End a run in good order' },
    ...{ params: runPath, body: noBody },
    respond: async ({ params }, { control, asked: runs }) =>
      asked(await runs.ask(following => control.cancel(params.id, following))),
  }),
]

export const ROUTES: readonly Route[] = [
  ...SESSION_ROUTES,
  ...READ_ROUTES,
  ...ASK_ROUTES,
  ...RESOURCE_ROUTES,
  REPLAY_ROUTE,
  ...SECRET_ROUTES,
  ...ALERT_ROUTES,
  SCHEDULE_ROUTE,
  CERTIFICATE_ROUTE,
  ...SAMPLE_ROUTES,
  ...OPERATOR_ROUTES,
  ...LOGIN_ROUTES,
]

async function askForRun({ control, asked: runs }: RouteContext, request: RunRequest): Promise<Answer> {
  return asked(await runs.ask(following => control.askForRun(request, following)))
}

/** Throws `conflict` if a run of the sync is under way. The services are at work, so it will end. */
async function assertFree(sync: string, { control, signal }: RouteContext): Promise<void> {
  const { runs } = await control.runs({ sync, limit: LATEST, after: undefined }, signal)
  const open = runs.find(({ status }) => status === 'running' || status === 'queued')
  if (open === undefined) return
  throw new SluiceError(
    'conflict',
    `Run ${open.id} of \`${sync}\` is ${open.status}: \`sluice run ${sync} --wait\` waits for it and then runs again.`,
  )
}
