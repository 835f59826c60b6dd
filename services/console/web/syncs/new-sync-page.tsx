/** The page for a new sync, from nothing or from stored resources. */
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useState, type ReactElement } from 'react'
import type { ResourceView } from '@sluice/contracts/api'
import { resourcesQuery } from '../api/queries.ts'
import { useMay, whyOff } from '../api/session.ts'
import { EditorPage } from '../editor/editor-page.tsx'
import { startingFrom } from '../editor/reused.ts'
import { Empty, Loading, Page, Section, Trouble } from '../ui/parts.tsx'

export function NewSyncPage(): ReactElement {
  const { data, error } = useQuery(resourcesQuery)
  if (!useMay('edit'))
    return (
      <Page title="New sync">
        <Section title="Not with your roles">
          <Empty title={whyOff('edit')}>
            <p>Ask the operator of this server for the role.</p>
          </Empty>
        </Section>
      </Page>
    )
  if (data === undefined)
    return <Page title="New sync">{error === null ? <Loading lines={8} /> : <Trouble error={error} />}</Page>
  return <NewSync resources={data.resources} />
}

/** The edit keeps the resources that it started from, even if others save meanwhile. */
function NewSync(props: { readonly resources: readonly ResourceView[] }): ReactElement {
  const { step } = useSearch({ from: '/new' })
  const navigate = useNavigate()
  const [resources] = useState(props.resources)
  const [start] = useState(() => startingFrom(resources))
  return (
    <EditorPage
      title="New sync"
      place="new"
      start={start}
      stored={{}}
      resources={resources}
      step={step}
      onStep={next => void navigate({ to: '/new', search: { step: next } })}
    />
  )
}
