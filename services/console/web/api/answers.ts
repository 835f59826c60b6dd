/**
 * The shapes of the server's answers, by the names that pages ask with. They are loaded once a page is shown.
 */
import './no-code-from-text.ts'
import { z } from 'zod'

export {
  attemptsPage,
  attemptView,
  failedPage,
  previewView,
  problem,
  replayView,
  requestView,
  resourcesPage,
  resourceView,
  runsPage,
  runView,
  secretRemovedView,
  secretSetView,
  secretsView,
  sessionEndedView,
  sessionView,
  syncsPage,
} from '@sluice/contracts/api'
export {
  auditPage,
  certificatesView,
  destinationsPage,
  healthView,
  loginBegunView,
  loginFinishedView,
  sampleView,
  scheduleTimesView,
  tokensView,
} from '@sluice/contracts/api/operating'
export {
  resourceHistoryView,
  resourceRemovedView,
  resourceSetView,
  rowsView,
} from '@sluice/contracts/api/resources'
export { alertsView, alertTestedView } from '@sluice/contracts/specs/alert-views'
export { rowLifeView, runFiguresView } from '@sluice/contracts/views/history-views'

export const openApi = z.object({ info: z.object({ version: z.string() }), openapi: z.string() })
