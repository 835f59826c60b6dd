/** The console's pages. They speak only the documented API of the server that they come from. */
import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { whenAnswersDiffer } from './api/answer-checks.ts'
import { queryClient } from './api/query-client.ts'
import { router } from './app/router.tsx'
import { toast, Toasts } from './ui/toast.tsx'
import './styles/tokens.css'
import './styles/base.css'
import './styles/layout.css'
import './styles/parts.css'
import './styles/screens.css'

whenAnswersDiffer(message => toast('failed', message))

const root = document.getElementById('app')
if (root === null) throw new Error('The page has no element #app.')
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
      <Toasts />
    </QueryClientProvider>
  </StrictMode>,
)
