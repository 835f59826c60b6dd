import type { ReactElement } from 'react'
import { Page } from '../ui/parts.tsx'

export function AlertsPage(): ReactElement {
  return <Page title="Alerts">to come</Page>
}
