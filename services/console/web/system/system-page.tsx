import type { ReactElement } from 'react'
import { Page } from '../ui/parts.tsx'

export function SystemPage(): ReactElement {
  return <Page title="SystemPage">to come</Page>
}
