/** The console's pages. They speak only the documented API of the server that they come from. */
import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { whenAnswersDiffer } from './api/answer-checks.ts'
import { syncsQuery } from './api/queries.ts'
import { queryClient } from './api/query-client.ts'
import { sessionQuery } from './api/session.ts'
import { router } from './app/router.tsx'
import { toast, Toasts } from './ui/toast.tsx'
import './styles/tokens.css'
import './styles/base.css'
import './styles/layout.css'
import './styles/parts.css'
import './styles/screens.css'
import './styles/editor.css'

/** A quick server has answered by then. For a slow one, the page says that it waits. */
const QUICK_MS = 100

whenAnswersDiffer(message => toast('failed', message))

const root = document.getElementById('app')
if (root === null) throw new Error('The page has no element #app.')
await Promise.race([
  firstAnswers().catch(() => undefined),
  new Promise(resolve => setTimeout(resolve, QUICK_MS)),
])
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
      <Toasts />
    </QueryClientProvider>
  </StrictMode>,
)

/**
 * Loads the data of the first screen, so that it is drawn once. Without the data, React would show an empty
 * page for a while, and draw three times.
 */
async function firstAnswers(): Promise<void> {
  await Promise.all([
    router.load(),
    queryClient.prefetchQuery(sessionQuery),
    window.location.pathname === '/' ? queryClient.prefetchQuery(syncsQuery) : null,
  ])
}
