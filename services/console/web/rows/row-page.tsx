import type { ReactElement } from 'react'
import { Page } from '../ui/parts.tsx'

export function RowPage(): ReactElement {
  return <Page title="RowPage">to come</Page>
}
