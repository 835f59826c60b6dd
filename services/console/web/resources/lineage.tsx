/**
 * The way of the rows: source, model, sync and destination, each as a box that leads to its page and has its
 * state. A page of one of them shows all that are joined to it.
 */
import type { ResourceView, SyncsPage } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactElement, ReactNode } from 'react'
import { destinationsQuery, resourcesQuery, syncsQuery } from '../api/queries.ts'
import { LastRunState } from '../runs/run-state.tsx'
import { count } from '../ui/format.ts'
import { Named, titleIn } from '../ui/named.tsx'
import { Section, Time } from '../ui/parts.tsx'
import { HealthBadge } from './destination-health.tsx'
import { joinedTo, type Place } from './joined-to.ts'

type SyncView = SyncsPage['syncs'][number]

/** A box for each of more resources than this would hide the page. */
const MAX_BOXES = 12

const STEPS = ['source', 'model', 'sync', 'destination'] as const

export function Lineage({ of }: { readonly of: Place }): ReactElement | null {
  const resources = useQuery(resourcesQuery).data?.resources
  const syncs = useQuery(syncsQuery).data?.syncs
  if (resources === undefined || syncs === undefined) return null
  const joined = joinedTo(of, { resources, syncs })
  return (
    <Section title="Lineage">
      <nav aria-label="Lineage">
        <ol className="lineage">
          {STEPS.map(kind => (
            <li key={kind}>
              <h3>{joined[kind].length === 1 ? kind : `${kind}s`}</h3>
              {joined[kind].length === 0 ? <p className="quiet">none</p> : null}
              <ul>
                {joined[kind].slice(0, MAX_BOXES).map(name => (
                  <li key={name}>
                    <Box
                      place={{ kind, name }}
                      isHere={kind === of.kind && name === of.name}
                      title={titleOf(resources, kind, name)}
                      sync={kind === 'sync' ? syncs.find(each => each.name === name) : undefined}
                    />
                  </li>
                ))}
              </ul>
              {joined[kind].length > MAX_BOXES ? (
                <p className="quiet">
                  and {count(joined[kind].length - MAX_BOXES)} more:{' '}
                  <Link to={kind === 'sync' ? '/' : '/resources'} search={kind === 'sync' ? {} : { kind }}>
                    all {kind}s
                  </Link>
                </p>
              ) : null}
            </li>
          ))}
        </ol>
      </nav>
    </Section>
  )
}

function titleOf(resources: readonly ResourceView[], kind: string, name: string): string | undefined {
  const found = resources.find(each => each.kind === kind && each.name === name)
  return found === undefined ? undefined : (titleIn(found.spec) ?? undefined)
}

interface BoxProps {
  readonly place: Place
  /** True for the resource whose page this is. */
  readonly isHere: boolean
  readonly title: string | undefined
  readonly sync: SyncView | undefined
}

function Box({ place: { kind, name }, isHere, title, sync }: BoxProps): ReactElement {
  const current = isHere ? ({ 'aria-current': 'page' } as const) : {}
  const text = <Named name={name} title={title} />
  return (
    <div className="lineage-box" data-here={isHere}>
      {kind === 'sync' ? (
        <Link to="/syncs/$name" params={{ name }} {...current}>
          {text}
        </Link>
      ) : (
        <Link to="/resources/$kind/$name" params={{ kind, name }} {...current}>
          {text}
        </Link>
      )}
      {sync === undefined ? null : <LastRun sync={sync} />}
      {kind === 'destination' ? <Health name={name} /> : null}
    </div>
  )
}

function LastRun({ sync: { lastRun, trouble } }: { readonly sync: SyncView }): ReactNode {
  if (lastRun === null) return <small className="quiet">never ran</small>
  const at = lastRun.endedAt ?? lastRun.startedAt
  return (
    <span className="lineage-state">
      <Link to="/runs/$id" params={{ id: lastRun.id }} className="bare">
        <span className="hidden">Last run: </span>
        <LastRunState sync={{ lastRun, trouble }} />
      </Link>
      {at === null ? null : (
        <small className="quiet">
          <Time at={at} />
        </small>
      )}
    </span>
  )
}

function Health({ name }: { readonly name: string }): ReactElement | null {
  const { data } = useQuery(destinationsQuery)
  const health = data?.destinations.find(each => each.name === name)?.health
  return health === undefined ? null : (
    <span className="lineage-state">
      <HealthBadge health={health} />
    </span>
  )
}
