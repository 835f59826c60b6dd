import type { ReactElement } from 'react'
import { Page } from '../ui/parts.tsx'

export function EditSyncPage(): ReactElement {
  return <Page title="EditSyncPage">to come</Page>
}
