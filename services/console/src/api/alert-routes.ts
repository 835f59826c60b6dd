/** The routes of alerts. */
import { alertsView, alertTestedView } from '@sluice/contracts/specs/alert-views'
import { alertPath, noBody, noQuery } from '@sluice/contracts/api-requests'
import { z } from 'zod'
import { route, type Answer, type Route } from './route.ts'

const noPath = z.strictObject({})
const document = (value: unknown): Answer => ({ kind: 'document', value })

export const ALERT_ROUTES: readonly Route[] = [
  route({
    ...{ method: 'GET', scope: 'read', status: 200, path: '/alerts', id: 'listAlerts' },
    summary: 'The alerts by name: what holds now, and notices that could not be told',
    ...{ params: noPath, query: noQuery, body: noBody, answer: alertsView },
    respond: async (_input, { control, signal }) => document(await control.alerts(signal)),
  }),
  route({
    ...{ method: 'POST', scope: 'write', status: 200, path: '/alerts/:name/test', id: 'testAlert' },
    ...{ summary: 'Tell a test notice to whom the alert names', atOnce: 4 },
    ...{ params: alertPath, query: noQuery, body: noBody, answer: alertTestedView },
    respond: async ({ params: { name } }, { control, signal }) =>
      document(await control.testAlert(name, signal)),
  }),
]
