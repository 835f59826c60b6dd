/** The console's pages. They speak only the documented API of the server that they come from. */
import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { startTransition, StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { whenAnswersDiffer } from './api/answer-checks.ts'
import { resourcesQuery, runQuery, syncsQuery } from './api/queries.ts'
import { queryClient } from './api/query-client.ts'
import { sessionQuery } from './api/session.ts'
import { makeRouter } from './app/router.tsx'
import { Library } from './app/theme.tsx'
import { loadDialogsLater } from './ui/dialog.tsx'
import { toast, Toasts } from './ui/toast.tsx'
import './styles/tokens.css'
import '@mantine/core/styles/default-css-variables.layer.css'
import '@mantine/core/styles/global.layer.css'
import '@mantine/core/styles/UnstyledButton.layer.css'
import '@mantine/core/styles/Button.layer.css'
import '@mantine/core/styles/CloseButton.layer.css'
import '@mantine/core/styles/Skeleton.layer.css'
import '@mantine/core/styles/Notification.layer.css'
import './styles/base.css'
import './styles/layout.css'
import './styles/parts.css'
import './styles/screens.css'
import './styles/runs.css'
import './styles/editor.css'

/** A quick server has answered by then. If the server is slow, the page says that it waits. */
const QUICK_MS = 100

whenAnswersDiffer(message => toast('failed', message))
loadDialogsLater()

const root = document.getElementById('app')
if (root === null) throw new Error('The page has no element #app.')
// Each step is a task, so that a phone can answer to a tap in between.
await nextTask()
const router = makeRouter()
await nextTask()
await Promise.race([
  firstAnswers().catch(() => undefined),
  new Promise(resolve => setTimeout(resolve, QUICK_MS)),
])
// A transition is drawn in tasks of a few milliseconds.
startTransition(() =>
  createRoot(root).render(
    <StrictMode>
      <Library>
        <QueryClientProvider client={queryClient}>
          <RouterProvider router={router} />
          <Toasts />
        </QueryClientProvider>
      </Library>
    </StrictMode>,
  ),
)

function nextTask(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve))
}

/**
 * Loads the data of the first screen, so that it is drawn once. Without the data, React would show an empty
 * page for a while, and draw three times.
 */
async function firstAnswers(): Promise<void> {
  await Promise.all([router.load(), queryClient.prefetchQuery(sessionQuery), answerOfPage()])
}

/** The data that `public/first.js` has asked for. */
function answerOfPage(): Promise<void> | null {
  const { pathname } = window.location
  const [, run] = /^\/runs\/([^/]+)$/.exec(pathname) ?? []
  if (run !== undefined) return queryClient.prefetchQuery(runQuery(run))
  if (/^\/(new|syncs\/[^/]+\/edit)$/.test(pathname)) return queryClient.prefetchQuery(resourcesQuery)
  if (/^\/(syncs\/[^/]+)?$/.test(pathname)) return queryClient.prefetchQuery(syncsQuery)
  return null
}
