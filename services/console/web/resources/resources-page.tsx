import type { ReactElement } from 'react'
import { Page } from '../ui/parts.tsx'

export function ResourcesPage(): ReactElement {
  return <Page title="ResourcesPage">to come</Page>
}
