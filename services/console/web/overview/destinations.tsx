/** The destinations, each with its address, its limits in words, and what hinders it now. */
import type { ResourceView, SyncView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { memo, type ReactElement } from 'react'
import { resourcesQuery, syncsQuery } from '../api/queries.ts'
import { limitsInWords } from '../syncs/limits-in-words.ts'
import { waitInWords } from '../ui/format.ts'
import { Section, Time } from '../ui/parts.tsx'
import { Badge } from '../ui/status.tsx'

export const Destinations = memo(function Destinations(): ReactElement | null {
  const { data } = useQuery(resourcesQuery)
  const { data: all } = useQuery(syncsQuery)
  const found = data?.resources.filter(({ kind }) => kind === 'destination') ?? []
  if (found.length === 0) return null
  const syncs = data?.resources.filter(({ kind }) => kind === 'sync') ?? []
  return (
    <Section title="Destinations">
      <ul className="sync-list">
        {found.map(destination => (
          <DestinationLine
            key={destination.name}
            {...{ destination, syncs }}
            waits={waitsAt(destination.name, all?.syncs ?? [])}
          />
        ))}
      </ul>
    </Section>
  )
})

type Wait = SyncView['waiting'][number]

/** What a destination has runs wait for, with what its badge says. */
const HINDERS: { readonly [kind in Wait['kind']]?: readonly ['bad' | 'warn' | 'busy', string] } = {
  breaker: ['bad', 'breaker open'],
  secret: ['bad', 'secret missing'],
  token: ['bad', 'login fails'],
  'limits-store': ['bad', 'limits unknown'],
  throttled: ['warn', 'paused by the API'],
  limit: ['busy', 'at its limit'],
}

/** One of each kind, over all syncs that send there. */
function waitsAt(name: string, syncs: readonly SyncView[]): readonly Wait[] {
  const waits = syncs.flatMap(({ destination, waiting }) => (destination === name ? waiting : []))
  return [...new Map(waits.map(wait => [wait.kind, wait])).values()].filter(({ kind }) => kind in HINDERS)
}

interface LineProps {
  readonly destination: ResourceView
  readonly waits: readonly Wait[]
  readonly syncs: readonly ResourceView[]
}

function DestinationLine({ destination: { name, spec }, syncs, waits }: LineProps): ReactElement {
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
      <div className="destination-state">
        {waits.length === 0 ? <Badge tone="calm" text="ready" /> : null}
        {waits.map(({ kind }) => {
          const [tone, text] = HINDERS[kind] ?? ['busy', kind]
          return <Badge key={kind} tone={tone} text={text} />
        })}
      </div>
      {waits.map(({ kind, detail, until }) => (
        <p key={kind} className="sync-wait">
          {waitInWords({ kind, detail })}
          {until === null ? null : (
            <>
              , until <Time at={until} exact />
            </>
          )}
        </p>
      ))}
    </li>
  )
}
