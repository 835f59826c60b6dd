/** The destinations, each with its address and its limits in words. */
import type { ResourceView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { memo, type ReactElement } from 'react'
import { resourcesQuery } from '../api/queries.ts'
import { limitsInWords } from '../syncs/limits-in-words.ts'
import { Section } from '../ui/parts.tsx'

export const Destinations = memo(function Destinations(): ReactElement | null {
  const { data } = useQuery(resourcesQuery)
  const found = data?.resources.filter(({ kind }) => kind === 'destination') ?? []
  if (found.length === 0) return null
  const syncs = data?.resources.filter(({ kind }) => kind === 'sync') ?? []
  return (
    <Section title="Destinations">
      <ul className="sync-list">
        {found.map(destination => (
          <DestinationLine key={destination.name} destination={destination} syncs={syncs} />
        ))}
      </ul>
    </Section>
  )
})

interface LineProps {
  readonly destination: ResourceView
  readonly syncs: readonly ResourceView[]
}

function DestinationLine({ destination: { name, spec }, syncs }: LineProps): ReactElement {
  const used = syncs.filter(sync => sync.spec['destination'] === name).length
  return (
    <li className="sync-line destination-line">
      <div className="sync-name">
        <Link to="/resources/$kind/$name" params={{ kind: 'destination', name }}>
          {name}
        </Link>
        <small>{typeof spec['baseUrl'] === 'string' ? spec['baseUrl'] : ''}</small>
      </div>
      <div className="sync-last">
        <span>{limitsInWords(spec['limits'])}</span>
        <small>{used === 1 ? 'used by 1 sync' : `used by ${used} syncs`}</small>
      </div>
    </li>
  )
}
