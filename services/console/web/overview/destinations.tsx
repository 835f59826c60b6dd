/** The destinations, each with its health, its limits, and the ends of its certificates. */
import type { ResourceView, SyncView } from '@sluice/contracts/api'
import type { DestinationsPage } from '@sluice/contracts/api/operating'
import { DESTINATION_STATES } from '@sluice/contracts/views/destination-states'
import { useQueries, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { memo, type ReactElement } from 'react'
import { destinationsQuery, figuresQuery, resourcesQuery, syncsQuery } from '../api/queries.ts'
import { HealthBadge, HealthFix, HealthReason } from '../resources/destination-health.tsx'
import { limitsInWords } from '../syncs/limits-in-words.ts'
import { count, localTime, utcTime, waitInWords } from '../ui/format.ts'
import { Named, titleIn } from '../ui/named.tsx'
import { Section, Time, useNow } from '../ui/parts.tsx'
import { Badge } from '../ui/status.tsx'
import { certificatesAt, endOf, type Certificate } from './certificates.ts'
import { isTold, needsOf, type Need } from './needs.ts'
import { isSendingTo, rateOf, rateOfAll, sendingTo } from './rate-in-use.ts'
import { slotsInWords } from './slots-in-use.ts'

export const Destinations = memo(function Destinations(): ReactElement | null {
  const { data } = useQuery(resourcesQuery)
  const { data: all } = useQuery(syncsQuery)
  const { data: used, error: unknownUse } = useQuery(destinationsQuery)
  const known = new Map(
    unknownUse === null ? used?.destinations.map(destination => [destination.name, destination]) : [],
  )
  const found = data?.resources.filter(({ kind }) => kind === 'destination') ?? []
  const needs = needsOf(all?.syncs ?? [], used?.destinations ?? [])
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
            certificates={certificatesAt(destination.name, all?.syncs ?? [])}
            sending={sendingTo(destination.name, all?.syncs ?? [])}
            known={known.get(destination.name)}
            needs={needs}
            isSending={isSendingTo(destination.name, all?.syncs ?? [])}
          />
        ))}
      </ul>
    </Section>
  )
})

type Wait = SyncView['waiting'][number]

/** Waits that are no fault of the destination, with colour and text of the badge. */
const WAITS: { readonly [kind in Wait['kind']]?: readonly ['bad' | 'busy', string] } = {
  'limits-store': ['bad', 'limits unknown'],
  limit: ['busy', 'at its limit'],
}

/** One wait of each kind, for all syncs that send there. */
function waitsAt(name: string, syncs: readonly SyncView[]): readonly Wait[] {
  const waits = syncs.flatMap(({ destination, waiting }) => (destination === name ? waiting : []))
  return [...new Map(waits.map(wait => [wait.kind, wait])).values()].filter(({ kind }) => kind in WAITS)
}

interface LineProps {
  readonly destination: ResourceView
  readonly waits: readonly Wait[]
  readonly certificates: readonly Certificate[]
  readonly syncs: readonly ResourceView[]
  /** The runs that send there now. */
  readonly sending: readonly string[]
  /** Undefined until the server has answered. */
  readonly known: DestinationsPage['destinations'][number] | undefined
  /** What stands above all, so that a line does not repeat it. */
  readonly needs: readonly Need[]
  readonly isSending: boolean
}

/** States with these colours need no reason. */
const CALM: ReadonlySet<string> = new Set(['good', 'calm'])

/** The ends of certificates are shown in days, so an hourly update is enough. */
const HOUR_MS = 3_600_000

function DestinationLine(props: LineProps): ReactElement {
  const {
    destination: { name, spec },
    syncs,
    waits,
    certificates,
    sending,
    known,
    needs,
    isSending,
  } = props
  const health = known?.health
  const needsReason =
    known !== undefined &&
    health !== undefined &&
    !CALM.has(DESTINATION_STATES[health.state].tone) &&
    !isTold(needs, known)
  const now = useNow(HOUR_MS)
  const ends = certificates.map(certificate => ({ ...certificate, ...endOf(certificate, now) }))
  const used = syncs.filter(sync => sync.spec['destination'] === name).length
  // The store of the limits may have lost some of the requests in flight, so its number is not shown.
  const isCounted = waits.every(({ kind }) => kind !== 'limits-store')
  const slots = known === undefined || !isCounted ? null : slotsInWords(known.concurrency, isSending)
  return (
    <li className="sync-line">
      <div className="sync-name">
        <Link to="/resources/$kind/$name" params={{ kind: 'destination', name }}>
          <Named name={name} title={titleIn(spec)} />
        </Link>
        <small>{typeof spec['baseUrl'] === 'string' ? spec['baseUrl'] : ''}</small>
      </div>
      <div className="sync-last">
        <span>{limitsInWords(spec['limits'])}</span>
        {sending.length === 0 ? null : <InUse runs={sending} />}
        {slots === null ? null : <small>{slots}</small>}
        <small>{used === 1 ? 'used by 1 sync' : `used by ${used} syncs`}</small>
        {ends
          .filter(({ state }) => state === 'good')
          .map(({ side, text, expiresAt }) => (
            <small key={side}>
              <time dateTime={expiresAt} title={`${localTime(expiresAt)} · ${utcTime(expiresAt)}`}>
                {text}
              </time>
            </small>
          ))}
      </div>
      <div className="destination-state">
        {health === undefined ? null : <HealthBadge health={health} />}
        {waits.map(({ kind }) => {
          const [tone, text] = WAITS[kind] ?? ['busy', kind]
          return <Badge key={kind} tone={tone} text={text} />
        })}
        {ends
          .filter(({ state }) => state !== 'good')
          .map(({ side, state, text }) => (
            <Badge key={side} tone={state === 'ended' ? 'bad' : 'warn'} sign="!" text={text} />
          ))}
      </div>
      {needsReason ? (
        <p className="sync-wait">
          <HealthReason health={health} /> <HealthFix health={health} />
        </p>
      ) : null}
      {ends
        .filter(({ state }) => state !== 'good')
        .map(({ side, state, subject, expiresAt }) => (
          <p key={side} className="sync-wait">
            {side === 'server' ? 'The certificate of its server' : 'The certificate that Sluice shows to it'}{' '}
            ({subject}) {state === 'ended' ? 'has ended at' : 'ends at'} <Time at={expiresAt} exact />
          </p>
        ))}
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

/** The rate changes once a second. */
const SECOND_MS = 1_000

/** The present request rate. Empty while it is unknown. */
function InUse({ runs }: { readonly runs: readonly string[] }): ReactElement | null {
  const now = useNow(SECOND_MS)
  const figures = useQueries({ queries: runs.map(run => figuresQuery(run, false)) })
  const rate = rateOfAll(figures.map(({ data }) => (data === undefined ? null : rateOf(data, now))))
  if (rate === null) return null
  return <small>{rate > 0 && rate < 1 ? 'less than 1' : count(Math.round(rate))} a second now</small>
}
