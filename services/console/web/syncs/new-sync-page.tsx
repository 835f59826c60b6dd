import type { ReactElement } from 'react'
import { Page } from '../ui/parts.tsx'

export function NewSyncPage(): ReactElement {
  return <Page title="NewSyncPage">to come</Page>
}
