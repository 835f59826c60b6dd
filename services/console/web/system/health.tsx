/** The services that the server needs, the owners of partitions, and their lag. */
import type { HealthView } from '@sluice/contracts/api/operating'
import { useQuery } from '@tanstack/react-query'
import type { ReactElement } from 'react'
import { call } from '../api/client.ts'
import { count } from '../ui/format.ts'
import { ListTable } from '../ui/list-table.tsx'
import { Facts, Loading, Section, Time, Trouble } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { Badge } from '../ui/status.tsx'

const EVERY_MS = 10_000
const TONES = { ok: 'good', warning: 'warn', problem: 'bad', unreachable: 'bad' } as const
const SIGNS = { ok: '✓', warning: '!', problem: '✕', unreachable: '✕' } as const

export function Health(): ReactElement {
  const { data, error, isPending } = useQuery({
    queryKey: ['health'],
    queryFn: ({ signal }) => call('getHealth', {}, { signal }),
    refetchInterval: EVERY_MS,
  })
  if (isPending)
    return (
      <>
        <Section title="Health">
          <Loading lines={4} />
        </Section>
        <Section title="Processes">
          <Loading lines={2} />
        </Section>
        <Section title="Partitions">
          <Loading lines={2} />
        </Section>
      </>
    )
  if (data === undefined)
    return (
      <Section title="Health">
        <Trouble error={error} />
      </Section>
    )
  return (
    <>
      <Checks health={data} />
      <Processes health={data} />
      <Stages health={data} />
    </>
  )
}

interface Props {
  readonly health: HealthView
}

function Checks({ health }: Props): ReactElement {
  const { profile, version, node, startedAt, checks, notices } = health
  const wrong = checks.filter(({ status }) => status === 'problem' || status === 'unreachable').length
  return (
    <Section
      title="Health"
      aside={
        <Badge
          tone={wrong === 0 ? 'good' : 'bad'}
          sign={wrong === 0 ? '✓' : '✕'}
          text={wrong === 0 ? 'nothing stands in the way' : `${count(wrong)} to mend`}
        />
      }
    >
      <Facts
        facts={[
          ['Version', `Sluice ${version}, Node ${node}`],
          ['Profile', profile === 'embedded' ? 'embedded: one process on files' : 'distributed: on Kafka'],
          ['Started', <Time key="started" at={startedAt} />],
        ]}
      />
      <ul className="health-checks">
        {checks.map(({ check, status, found, advice }, index) => (
          <li key={`${check} ${index}`}>
            <Badge tone={TONES[status]} sign={SIGNS[status]} text={status} />
            <span>
              <strong>{check}</strong> <ServerMessage text={found} />
              {advice === null ? null : (
                <small>
                  <ServerMessage text={advice} />
                </small>
              )}
            </span>
          </li>
        ))}
      </ul>
      {notices.map(notice => (
        <p key={notice} className="pad field-error">
          <ServerMessage text={notice} />
        </p>
      ))}
    </Section>
  )
}

function Processes({ health: { processes, profile } }: Props): ReactElement {
  return (
    <Section title="Processes">
      {profile === 'embedded' ? null : (
        <p className="pad quiet">
          Those that own partitions now, as Kafka names them. Renderers and deliveries own some while runs are
          open.
        </p>
      )}
      <ListTable
        label="Processes"
        items={processes}
        columns={['Process', 'On', ['Partitions', 'number'], 'Works for']}
      >
        {({ client, host, partitions, syncs }) => (
          <tr key={`${client} ${host}`}>
            <td>{client}</td>
            <td>{host}</td>
            <td className="number">{count(partitions)}</td>
            <td>{syncs.length === 0 ? <span className="quiet">no run now</span> : syncs.join(', ')}</td>
          </tr>
        )}
      </ListTable>
      {processes.length === 0 ? <p className="pad">No process owns a partition now.</p> : null}
    </Section>
  )
}

/** The stages at work, each with its owners and its lag. */
function Stages({ health: { stages } }: Props): ReactElement {
  return (
    <Section title="Partitions">
      <ListTable
        label="Partitions"
        items={stages}
        columns={['Stage', 'Sync', 'Owners', ['Records behind', 'number']]}
      >
        {stage => (
          <tr key={`${stage.stage} ${stage.sync ?? ''}`}>
            <td>{stage.stage}</td>
            <td>{stage.sync ?? <span className="quiet">all</span>}</td>
            <td>{ownersOf(stage)}</td>
            <td className="number">{lagOf(stage)}</td>
          </tr>
        )}
      </ListTable>
    </Section>
  )
}

type Stage = HealthView['stages'][number]

function ownersOf({ partitions }: Stage): string {
  const owned = new Map<string, number[]>()
  for (const { owner, partition } of partitions) {
    const name = owner ?? 'nobody'
    owned.set(name, [...(owned.get(name) ?? []), partition])
  }
  return [...owned].map(([owner, numbers]) => `${owner}: ${numbers.join(', ')}`).join(' · ')
}

function lagOf({ partitions }: Stage): string {
  const known = partitions.flatMap(({ lag }) => (lag === null ? [] : [lag]))
  return known.length === 0 ? 'not known' : count(known.reduce((sum, lag) => sum + lag, 0))
}
