/** A held run: it waits for somebody to approve its removals, or its changed destination. */
import type { RunView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState, type ReactElement } from 'react'
import { call } from '../api/client.ts'
import { ask } from '../api/commands.ts'
import { useMay, whyOff } from '../api/session.ts'
import { ONCE_WHEN_THERE_IS_ROOM } from '../api/query-client.ts'
import { Confirm } from '../ui/dialog.tsx'
import { RoleButton } from '../ui/for-role.tsx'
import { count, many, rows } from '../ui/format.ts'
import { Section } from '../ui/parts.tsx'

/** The rows that it would remove, and the button that approves this. */
export function Held({ run }: { readonly run: RunView }): ReactElement {
  const [asks, setAsks] = useState(false)
  const { held } = run
  if (held === undefined)
    return (
      <Section title="Held for approval">
        <p className="pad">This run waits for somebody to approve or cancel it.</p>
      </Section>
    )
  if (held.destination !== undefined) return <ChangedDestination run={run} held={held} />
  return (
    <Section title="Held for approval">
      <div className="pad">
        <p>
          {modelInWords(run)}; {rows(held.rows)} {held.rows === 1 ? 'is' : 'are'} at the destination. This run
          would remove <strong>{count(held.removed)}</strong> of them, more than the removal guard lets
          through. If that is a mistake,{' '}
          {run.stream === undefined
            ? 'mend the model and run again'
            : 'put the rows back and cancel this run, so that the stream compares the table anew'}
          : nothing is removed.
        </p>
        <div className="actions">
          <Link
            to="/syncs/$name/edit"
            params={{ name: run.sync }}
            search={{ step: 'model' }}
            className="button primary"
          >
            Look at the model
          </Link>
          <RoleButton role="approve" className="danger" onClick={() => setAsks(true)}>
            Remove {rows(held.removed)}…
          </RoleButton>
        </div>
        <p>
          {held.samples.length < held.removed
            ? 'Some of these rows, as they are known:'
            : 'These rows, as they are known:'}
        </p>
        <ul className="keys-list">
          {held.samples.map(key => (
            <HeldRow key={key} sync={run.sync} rowKey={key} />
          ))}
        </ul>
      </div>
      {asks ? (
        <Confirm
          title={`Remove ${rows(held.removed)}?`}
          action={`Remove ${rows(held.removed)}`}
          dangerous
          onConfirm={() => ask('approve', { id: run.id })}
          onClose={() => setAsks(false)}
        >
          <p>
            The run reads the model again. If more than {rows(held.removed)} would go by then, the run is held
            again.
          </p>
        </Confirm>
      ) : null}
    </Section>
  )
}

function modelInWords({ rowsRead, rowsInvalid, stream }: RunView): string {
  // A stream that compares nothing knows only the entries that it has read.
  const what =
    stream?.comparing === null
      ? `The stream read ${many(stream.read, 'entry', 'entries')}`
      : `The model returned ${rows(rowsRead)}`
  return rowsRead > 0 && rowsRead === rowsInvalid ? `${what}, none of them usable` : what
}

type Held = NonNullable<RunView['held']>

/** Shows that the run would send to another destination than the destination that has the sync's rows. */
function ChangedDestination({ run, held }: { readonly run: RunView; readonly held: Held }): ReactElement {
  const mayForget = useMay('operate')
  const lacked = useMay('approve') ? (mayForget ? null : 'operate') : 'approve'
  const [asks, setAsks] = useState<'same' | 'new' | null>(null)
  const isNew = asks === 'new'
  return (
    <Section title="Held: destination changed">
      <div className="pad">
        <p>
          {rows(held.rows)} went to another destination: {held.destination?.why}. Nothing was sent to the new
          one.
        </p>
        <div className="actions">
          <RoleButton role="approve" className="primary" onClick={() => setAsks('same')}>
            It is the same API
          </RoleButton>
          <button
            type="button"
            disabled={lacked !== null}
            title={lacked === null ? undefined : whyOff(lacked)}
            onClick={() => setAsks('new')}
          >
            It is another API
          </button>
        </div>
      </div>
      {asks === null ? null : (
        <Confirm
          title={isNew ? 'Send every row to this destination?' : 'Go on with what was delivered?'}
          action={isNew ? 'Send every row' : 'Go on'}
          dangerous={isNew}
          onConfirm={() => ask('approve', { id: run.id, destination: asks })}
          onClose={() => setAsks(null)}
        >
          <p>
            {isNew
              ? 'The sync forgets what it delivered to the one before, and its runs. A run sends every row of the model.'
              : 'It is the same API at a new address, and it still has the delivered rows. The run sends only later changes.'}
          </p>
        </Confirm>
      )}
    </Section>
  )
}

const MAX_CHARACTERS = 200

/** A row that would be removed, as in the delivered state. */
function HeldRow({ sync, rowKey }: { readonly sync: string; readonly rowKey: string }): ReactElement {
  const { data } = useQuery({
    queryKey: ['row', sync, rowKey],
    queryFn: ({ signal }) => call('getRow', { name: sync, key: rowKey }, { signal }),
    ...ONCE_WHEN_THERE_IS_ROOM,
  })
  return (
    <li>
      <Link to="/syncs/$name/row" params={{ name: sync }} search={{ key: rowKey }}>
        <code>{rowKey}</code>
      </Link>{' '}
      <small>{inShort(data?.state?.row ?? null)}</small>
    </li>
  )
}

function inShort(row: { readonly [column: string]: unknown } | null): string {
  const values = Object.entries(row ?? {}).map(([column, value]) => `${column}: ${JSON.stringify(value)}`)
  const text = values.join(', ')
  return text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text
}
