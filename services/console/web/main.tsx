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
import { Library } from './app/theme.tsx'
import { toast, Toasts } from './ui/toast.tsx'
import './styles/tokens.css'
import '@mantine/core/styles/default-css-variables.layer.css'
import '@mantine/core/styles/global.layer.css'
import '@mantine/core/styles/UnstyledButton.layer.css'
import '@mantine/core/styles/Button.layer.css'
import '@mantine/core/styles/CloseButton.layer.css'
import '@mantine/core/styles/Badge.layer.css'
import '@mantine/core/styles/Skeleton.layer.css'
import '@mantine/core/styles/Notification.layer.css'
import '@mantine/core/styles/SegmentedControl.layer.css'
import '@mantine/core/styles/FloatingIndicator.layer.css'
import './styles/base.css'
import './styles/layout.css'
import './styles/parts.css'
import './styles/screens.css'
import './styles/runs.css'
import './styles/editor.css'

/** A quick server has answered by then. If the server is slow, the page says that it waits. */
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
    <Library>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
        <Toasts />
      </QueryClientProvider>
    </Library>
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
