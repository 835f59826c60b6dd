/** A page that could not be loaded or drawn. */
import { useQueryClient } from '@tanstack/react-query'
import type { ErrorComponentProps } from '@tanstack/react-router'
import { useEffect, useRef, type ReactElement } from 'react'
import { useLostSince } from '../api/connection.ts'
import { sessionQuery } from '../api/session.ts'
import { Page, Trouble } from '../ui/parts.tsx'

/** It loads the page again by itself once the server answers. The browser keeps text that was typed. */
export function PageError({ error }: ErrorComponentProps): ReactElement {
  const isLost = useLostSince() !== null
  const wasLost = useRef(isLost)
  useEffect(() => {
    if (wasLost.current && !isLost) location.reload()
    wasLost.current = isLost
  }, [isLost])
  const client = useQueryClient()
  const again = (): void => {
    // Without a server the browser would show a page of its own.
    void client.fetchQuery({ ...sessionQuery, staleTime: 0 }).then(
      () => location.reload(),
      () => undefined,
    )
  }
  return (
    <Page title="This page cannot be shown">
      <Trouble error={error} onRetry={again} />
    </Page>
  )
}
