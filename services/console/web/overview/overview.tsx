/**
 * The overview: whether anything is wrong, what runs now, what runs next, and all syncs with their states.
 */
import { SAMPLE_SYNC } from '@sluice/contracts/api/operations'
import { useQuery } from '@tanstack/react-query'
import type { ReactElement } from 'react'
import { syncsQuery } from '../api/queries.ts'
import { SyncTable } from '../syncs/sync-table.tsx'
import { ButtonLink } from '../ui/button.tsx'
import { ForRole } from '../ui/for-role.tsx'
import { Loading, Page, Trouble } from '../ui/parts.tsx'
import { Destinations } from './destinations.tsx'
import { Headline, NextRuns, RunningNow } from './headline.tsx'
import { NeedsAttention } from './needs-attention.tsx'
import { RemoveSample } from './sample-project.tsx'
import { FirstSteps } from './steps-list.tsx'
import { Welcome } from './welcome.tsx'

export function Overview(): ReactElement {
  const { data, error, isPending } = useQuery(syncsQuery)
  if (isPending)
    return (
      <Frame>
        <Loading lines={8} />
      </Frame>
    )
  if (data === undefined)
    return (
      <Frame>
        <Trouble error={error} />
      </Frame>
    )
  if (data.syncs.length === 0)
    return (
      <Frame>
        <Welcome />
      </Frame>
    )
  return (
    <Frame
      actions={
        <ForRole role="edit" label="New sync" className="primary">
          <ButtonLink to="/new" variant="filled" className="narrow-only">
            New sync
          </ButtonLink>
        </ForRole>
      }
    >
      <FirstSteps syncs={data.syncs} />
      <Headline syncs={data.syncs} />
      <NeedsAttention syncs={data.syncs} />
      <div className="now-and-next">
        <RunningNow syncs={data.syncs} />
        <NextRuns syncs={data.syncs} />
      </div>
      <SyncTable syncs={data.syncs} />
      <Destinations />
      {data.syncs.some(({ name }) => name === SAMPLE_SYNC) ? <RemoveSample /> : null}
    </Frame>
  )
}

function Frame(props: { readonly children: React.ReactNode; readonly actions?: ReactElement }): ReactElement {
  return (
    <Page title="Overview" {...(props.actions === undefined ? {} : { actions: props.actions })}>
      {props.children}
    </Page>
  )
}
