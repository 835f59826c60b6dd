import type { ReactElement } from 'react'
import { Page } from '../ui/parts.tsx'

export function ResourcePage(): ReactElement {
  return <Page title="ResourcePage">to come</Page>
}
