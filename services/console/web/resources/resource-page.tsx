/** The page of one resource: the state of a destination, the YAML, its history, and removing it. */
import type { ResourceView } from '@sluice/contracts/api'
import type { ResourceHistoryView } from '@sluice/contracts/api/resources'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { useEffect, useState, type ReactElement } from 'react'
import { ApiError, call } from '../api/client.ts'
import { resourceQuery, resourcesQuery, syncsQuery } from '../api/queries.ts'
import { useMay } from '../api/session.ts'
import { ConflictDialog, presentVersion } from '../editor/conflict-dialog.tsx'
import { textOf } from '../editor/draft.ts'
import { LinesThatDiffer } from '../editor/lines-that-differ.tsx'
import { TestConnection } from '../editor/steps/test-connection.tsx'
import { DestinationLogin, wantsLogin } from '../login/destination-login.tsx'
import { Confirm } from '../ui/dialog.tsx'
import { ForRole, RoleButton } from '../ui/for-role.tsx'
import { many } from '../ui/format.ts'
import { keepText, keptText } from '../ui/kept-text.ts'
import { LazyCodeEditor } from '../ui/lazy-code-editor.tsx'
import { Loading, Page, Section, Time, Trouble } from '../ui/parts.tsx'
import { titleIn } from '../ui/named.tsx'
import { marksOf } from '../ui/places.ts'
import { toast } from '../ui/toast.tsx'
import { DestinationState } from './destination-state.tsx'
import { joinedTo, type Place } from './joined-to.ts'
import { Lineage } from './lineage.tsx'
import { SourceHealth } from './source-health.tsx'

type Version = ResourceHistoryView['versions'][number]

export function ResourcePage(): ReactElement {
  const { kind, name } = useParams({ from: '/resources/$kind/$name' })
  const { data, error, isPending } = useQuery(resourceQuery(kind, name))
  if (isPending)
    return (
      <Page title={name}>
        <Loading lines={8} />
      </Page>
    )
  if (data === undefined)
    return (
      <Page title={name}>
        <Trouble error={error} />
      </Page>
    )
  return <Resource key={`${kind}/${name}`} resource={data} />
}

function Resource({ resource }: { readonly resource: ResourceView }): ReactElement {
  const { kind, name, project = '' } = resource
  const [removes, setRemoves] = useState(false)
  const navigate = useNavigate()
  const client = useQueryClient()
  const remove = async (): Promise<void> => {
    const own = project === '' ? {} : { takeOver: true }
    await call('removeResource', { kind, name, ...own })
    await client.invalidateQueries()
    toast('done', `The ${kind} ${name} is removed.`)
    await navigate({ to: '/resources' })
  }
  return (
    <Page
      title={titleIn(resource.spec) ?? name}
      lead={
        <>
          {kind}
          {titleIn(resource.spec) === undefined ? null : (
            <>
              {' '}
              <code>{name}</code>
            </>
          )}
          {project === '' ? '' : ` · from the project ${project}`}
        </>
      }
      actions={
        <>
          {kind === 'sync' ? (
            <ForRole role="edit" label="Edit step by step">
              <Link to="/syncs/$name/edit" params={{ name }} className="button">
                Edit step by step
              </Link>
            </ForRole>
          ) : (
            <ForRole role="edit" label="Edit">
              <Link to="/resources/$kind/$name/edit" params={{ kind, name }} className="button">
                Edit
              </Link>
            </ForRole>
          )}
          <RoleButton role="edit" className="danger" onClick={() => setRemoves(true)}>
            Remove…
          </RoleButton>
        </>
      }
    >
      {kind === 'destination' ? <DestinationState resource={resource} /> : null}
      {kind === 'source' ? <SourceHealth name={name} /> : null}
      {kind === 'source' ? <Connection resource={resource} /> : null}
      {kind === 'alert' ? null : <Lineage of={{ kind, name }} />}
      {wantsLogin(resource) ? <DestinationLogin name={name} /> : null}
      <EditYaml resource={resource} />
      <History resource={resource} />
      {removes ? (
        <Confirm
          title={`Remove the ${kind} ${name}?`}
          action={`Remove the ${kind}`}
          dangerous
          typed={name}
          onConfirm={remove}
          onClose={() => setRemoves(false)}
        >
          <p>
            {kind === 'sync' ? (
              'Its topics are deleted, so Sluice forgets which rows it has delivered. The rows stay at the destination.'
            ) : kind === 'alert' ? (
              'It sends no more notices.'
            ) : (
              <UsedBy kind={kind} name={name} />
            )}
          </p>
          {project === '' ? null : (
            <p>
              It comes from the files of the project {project}. Remove it there, too, or the next{' '}
              <code>apply</code> brings it back.
            </p>
          )}
        </Confirm>
      ) : null}
    </Page>
  )
}

/** Says how many others use it, since the server removes nothing that is in use. */
function UsedBy(of: Place): ReactElement {
  const resources = useQuery(resourcesQuery).data?.resources
  const syncs = useQuery(syncsQuery).data?.syncs
  if (resources === undefined || syncs === undefined)
    return <>The server refuses that while another resource uses it.</>
  const joined = joinedTo(of, { resources, syncs })
  const models = of.kind === 'source' ? joined.model.length : 0
  const users = [
    ...(models === 0 ? [] : [many(models, 'model', 'models')]),
    ...(joined.sync.length === 0 ? [] : [many(joined.sync.length, 'sync', 'syncs')]),
  ]
  if (users.length === 0) return <>Nothing uses it.</>
  const use = models + joined.sync.length === 1 ? 'uses' : 'use'
  return (
    <>
      {users.join(' and ')} {use} it, and the server refuses to remove what is in use.
    </>
  )
}

/** Tests the source as it is stored. */
function Connection({ resource }: { readonly resource: ResourceView }): ReactElement {
  return (
    <Section title="Connection">
      <div className="pad">
        <TestConnection text={textOf(resource)} keep={NO_SECRET} />
      </div>
    </Section>
  )
}

const NO_SECRET = { current: null }

function EditYaml({ resource }: { readonly resource: ResourceView }): ReactElement {
  const { kind, name, version, project = '' } = resource
  const may = useMay('edit')
  const client = useQueryClient()
  const stored = textOf(resource)
  const place = `${kind}.${name}`
  const [kept] = useState(() => keptText(place))
  const [text, setText] = useState(kept?.text ?? stored)
  // The edit keeps the version that it started from, even if others save meanwhile.
  const [base, setBase] = useState({ version: kept?.version ?? version, text: stored })
  const [taken, setTaken] = useState(project === '' || kept !== null)
  const [throws, setThrows] = useState(false)
  const differs = text !== base.text
  useEffect(() => {
    keepText(place, differs ? { text, version: base.version ?? null } : null)
  }, [base.version, differs, place, text])
  const [error, setError] = useState<unknown>(null)
  const [present, setPresent] = useState<number | null>(null)
  const isNewer = version !== base.version && !differs
  if (isNewer) {
    setBase({ version, text: stored })
    setText(stored)
  }
  const save = async (on = base.version): Promise<void> => {
    setError(null)
    try {
      const document = {
        yaml: text,
        ...(on === undefined ? {} : { version: on }),
        ...(project === '' ? {} : { takeOver: true }),
      }
      const saved = await call('putResource', { kind, name, document })
      setBase({ version: saved.version, text })
      await client.invalidateQueries()
      toast('done', `The ${kind} ${name} is saved.`)
    } catch (failure) {
      const conflict = presentVersion(failure)
      if (conflict === undefined) setError(failure)
      else setPresent(conflict)
    }
  }
  const marks = error instanceof ApiError ? marksOf(error.details) : []
  return (
    <Section
      title="Definition"
      aside={
        taken ? (
          <div className="actions">
            <button type="button" className="small" disabled={!differs} onClick={() => setThrows(true)}>
              Throw it away…
            </button>
            <RoleButton role="edit" className="primary small" disabled={!differs} onClick={() => void save()}>
              Save
            </RoleButton>
          </div>
        ) : (
          <RoleButton role="edit" className="small" onClick={() => setTaken(true)}>
            Take it over from the project
          </RoleButton>
        )
      }
    >
      <div className="pad">
        <LazyCodeEditor
          label={`The ${kind} as YAML`}
          language="yaml"
          value={text}
          marks={marks}
          onSave={() => void save()}
          {...(taken && may ? { onChange: setText } : {})}
        />
        {error === null ? null : <Trouble error={error} onRetry={() => void save()} />}
      </div>
      {throws ? (
        <Confirm
          title="Throw away what you have changed?"
          action="Throw it away"
          dangerous
          onConfirm={async () => {
            setText(stored)
            setBase({ version, text: stored })
            setError(null)
          }}
          onClose={() => setThrows(false)}
        >
          <p>This cannot be undone. What the server has stays as it is.</p>
        </Confirm>
      ) : null}
      {present === null ? null : (
        <ConflictDialog
          conflict={{ kind, name, mine: text, present }}
          onOverwrite={() => {
            setPresent(null)
            void save(present)
          }}
          onClose={() => setPresent(null)}
        />
      )}
    </Section>
  )
}

function History({ resource }: { readonly resource: ResourceView }): ReactElement {
  const { kind, name } = resource
  const { data, error, isPending } = useQuery({
    queryKey: ['resource-history', kind, name, resource.version],
    queryFn: ({ signal }) => call('getResourceHistory', { kind, name }, { signal }),
    retry: false,
  })
  if (isPending)
    return (
      <Section title="History">
        <Loading />
      </Section>
    )
  if (data === undefined || data.versions.length === 0)
    return (
      <Section title="History">
        <p className="pad quiet">
          {error instanceof ApiError && error.status !== 404
            ? error.message
            : 'No version is kept: it stands in files.'}
        </p>
      </Section>
    )
  return (
    <Section title="History">
      <ul className="groups">
        {data.versions.map((version, index) => (
          <VersionLine
            key={version.version}
            resource={resource}
            version={version}
            before={data.versions[index + 1]}
            isPresent={index === 0}
          />
        ))}
      </ul>
    </Section>
  )
}

const DONE: { readonly [action in Version['action']]: string } = {
  create: 'made',
  update: 'change',
  delete: 'removed',
}

interface VersionProps {
  readonly resource: ResourceView
  readonly version: Version
  readonly before: Version | undefined
  readonly isPresent: boolean
}

function VersionLine({
  resource: { kind, name, project = '' },
  version,
  before,
  isPresent,
}: VersionProps): ReactElement {
  const [asks, setAsks] = useState(false)
  const client = useQueryClient()
  const yamlAt = (at: Version | undefined): string =>
    at?.spec === undefined || at.spec === null ? '' : textOf({ ...at, kind, name, spec: at.spec })
  const back = async (): Promise<void> => {
    const own = project === '' ? {} : { takeOver: true }
    await call('rollbackResource', { kind, name, to: version.version, ...own })
    await client.invalidateQueries()
    toast('done', `${name} is what it was in version ${version.version}.`)
  }
  return (
    <li>
      <details>
        <summary>
          Version {version.version}: {DONE[version.action]}
          {version.fields.length === 0 ? '' : ` of ${version.fields.join(', ')}`}{' '}
          <small>
            {version.at === null ? '' : <Time at={version.at} />}
            {version.by === null ? '' : ` by ${version.by}`}
            {version.project === '' ? '' : ` · project ${version.project}`}
          </small>
        </summary>
        <LinesThatDiffer
          before={yamlAt(before)}
          after={yamlAt(version)}
          label={`What version ${version.version} changed`}
        />
        {isPresent || version.spec === null ? null : (
          <RoleButton role="edit" className="small" onClick={() => setAsks(true)}>
            Go back to this version
          </RoleButton>
        )}
      </details>
      {asks ? (
        <Confirm
          title={`Go back to version ${version.version}?`}
          action="Go back"
          onConfirm={back}
          onClose={() => setAsks(false)}
        >
          <p>The next run uses it. What stands there now stays in the history.</p>
        </Confirm>
      ) : null}
    </li>
  )
}
