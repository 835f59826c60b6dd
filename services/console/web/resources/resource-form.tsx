/** The form of one source, model, destination or alert, with its YAML beside. Both are the same text. */
import type { ResourceView } from '@sluice/contracts/api'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { useEffect, useRef, useState, type ReactElement } from 'react'
import { AlertForm } from '../alerts/alert-form.tsx'
import { STARTING_ALERT } from '../alerts/starting-alert.ts'
import { ApiError, call } from '../api/client.ts'
import { ONCE_WHEN_THERE_IS_ROOM } from '../api/query-client.ts'
import { resourceQuery, resourcesQuery } from '../api/queries.ts'
import { useMay } from '../api/session.ts'
import { ConflictDialog } from '../editor/conflict-dialog.tsx'
import {
  freeName,
  nameIn,
  OF_DRAFT,
  STARTING_DRAFT,
  textAt,
  textOf,
  unreadableIn,
  withValue,
} from '../editor/draft.ts'
import { Labelled, problemAt } from '../editor/fields.tsx'
import { namesOf, syncsThatUse } from '../editor/reused.ts'
import { DestinationStep } from '../editor/steps/destination-step.tsx'
import { ModelStep } from '../editor/steps/model-step.tsx'
import { SourceStep } from '../editor/steps/source-step.tsx'
import { useRested, type Editing } from '../editor/use-editing.ts'
import { useYamlShown, WaitsForYaml, YamlEditor, YamlPane } from '../editor/yaml-pane.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { many } from '../ui/format.ts'
import { keepText, keptText } from '../ui/kept-text.ts'
import { Loading, Page, Trouble } from '../ui/parts.tsx'
import { toast } from '../ui/toast.tsx'

export type FormKind = Exclude<ResourceView['kind'], 'sync'>

const STARTS: { readonly [kind in FormKind]: string } = {
  source: STARTING_DRAFT.source,
  model: withValue(STARTING_DRAFT.model, ['source'], undefined),
  destination: STARTING_DRAFT.destination,
  alert: STARTING_ALERT,
}

export function NewResourcePage(): ReactElement {
  const { kind } = useParams({ from: '/new/$kind' })
  return <NewResource key={kind} kind={kind} />
}

export function NewAlertPage(): ReactElement {
  return <NewResource kind="alert" />
}

function NewResource({ kind }: { readonly kind: FormKind }): ReactElement {
  const { data, error } = useQuery(resourcesQuery)
  if (data === undefined) return <Waits title={`New ${kind}`} error={error} />
  const name = freeName(
    nameIn(STARTS[kind]),
    data.resources.filter(each => each.kind === kind).map(each => each.name),
  )
  return (
    <ResourceForm
      kind={kind}
      start={withValue(STARTS[kind], ['name'], name)}
      stored={null}
      resources={data.resources}
    />
  )
}

export function EditResourcePage(): ReactElement {
  const { kind, name } = useParams({ from: '/resources/$kind/$name/edit' })
  const stored = useQuery({ ...resourceQuery(kind, name), staleTime: 0 })
  const all = useQuery(resourcesQuery)
  if (stored.data === undefined || all.data === undefined)
    return <Waits title={`Edit ${name}`} error={stored.error ?? all.error} />
  return (
    <ResourceForm
      key={`${kind}/${name}`}
      kind={kind}
      start={textOf(stored.data)}
      stored={stored.data}
      resources={all.data.resources}
    />
  )
}

function Waits({ title, error }: { readonly title: string; readonly error: unknown }): ReactElement {
  return <Page title={title}>{error === null ? <Loading lines={8} /> : <Trouble error={error} />}</Page>
}

interface FormProps {
  readonly kind: FormKind
  /** The text of the server, or the one that a new resource begins with. */
  readonly start: string
  /** Null for a new resource. */
  readonly stored: ResourceView | null
  readonly resources: readonly ResourceView[]
}

function ResourceForm(props: FormProps): ReactElement {
  const { kind, resources } = props
  const [stored] = useState(props.stored)
  const may = useMay('edit')
  const { text, setText, differs, kept, leave } = useKeptText(props)
  const project = stored?.project ?? ''
  const [taken, setTaken] = useState(project === '' || kept)
  const [tried, setTried] = useState(false)
  const problems = useProblems({ kind, text, isFresh: stored === null && !differs && !tried })
  const saving = useSaving({ ...props, stored, text, onSaved: leave })
  const yaml = useYamlShown()
  const readOnly = !taken || !may
  const broken = unreadableIn(text)
  const readable = useRef(text)
  if (broken === null) readable.current = text
  const editing: Editing = { kind, text, change: setText, problems, readOnly }
  const inForm = broken === null ? editing : { ...editing, text: readable.current, readOnly: true }
  const isYaml = yaml.shown || broken !== null
  const onSave = (): void => {
    setTried(true)
    if (problems.length === 0) void saving.ask()
  }
  return (
    <Page
      title={stored === null ? `New ${kind}` : `Edit ${stored.name}`}
      lead={<UsedBy kind={kind} name={stored?.name ?? null} resources={resources} />}
      actions={
        <>
          <button type="button" onClick={yaml.toggle}>
            {yaml.shown ? (yaml.beside ? 'Hide the YAML' : 'Show the form') : 'Show the YAML'}
          </button>
          {differs && stored !== null ? (
            <button type="button" onClick={() => setText(props.start)}>
              Discard changes
            </button>
          ) : (
            <Link to={kind === 'alert' ? '/alerts' : '/resources'} className="button">
              Leave
            </Link>
          )}
          <button
            type="button"
            className="primary"
            disabled={readOnly || saving.isBusy || problems.length > 0 || (stored !== null && !differs)}
            onClick={onSave}
          >
            {saving.isBusy ? 'Saving…' : 'Save'}
          </button>
        </>
      }
    >
      {project === '' ? null : (
        <div className="banner" role="note">
          <p>
            This {kind} comes from the files of the project <strong>{project}</strong>.{' '}
            {taken ? (
              'You take it over. Remove it from the project’s files, too, or its next apply is refused.'
            ) : (
              <button type="button" className="small" onClick={() => setTaken(true)}>
                Take it over
              </button>
            )}
          </p>
        </div>
      )}
      {saving.error === null ? null : <Trouble error={saving.error} onRetry={onSave} />}
      <div className={isYaml && yaml.beside ? 'editor with-yaml one' : 'editor one'}>
        <section className="card step" aria-label={`The ${kind}`}>
          {isYaml && !yaml.beside ? (
            <YamlEditor editing={editing} onSave={onSave} />
          ) : (
            <>
              {broken === null ? null : <WaitsForYaml />}
              <KindForm kind={kind} editing={inForm} resources={resources} />
              <Unplaced editing={editing} />
            </>
          )}
        </section>
        {isYaml && yaml.beside ? <YamlPane editing={editing} onSave={onSave} /> : null}
      </div>
      {saving.question}
    </Page>
  )
}

function KindForm({
  kind,
  editing,
  resources,
}: {
  readonly kind: FormKind
  readonly editing: Editing
  readonly resources: readonly ResourceView[]
}): ReactElement {
  if (kind === 'source') return <SourceStep editing={editing} />
  if (kind === 'destination') return <DestinationStep editing={editing} />
  if (kind === 'alert') return <AlertForm editing={editing} />
  const name = textAt(editing.text, ['source'])
  const source = resources.find(each => each.kind === 'source' && each.name === name)
  return (
    <>
      <SourceChoice editing={editing} resources={resources} />
      {source === undefined ? null : <ModelStep editing={editing} source={textOf(source)} />}
    </>
  )
}

function SourceChoice({
  editing,
  resources,
}: {
  readonly editing: Editing
  readonly resources: readonly ResourceView[]
}): ReactElement {
  const name = textAt(editing.text, ['source'])
  const names = namesOf(resources, 'source')
  return (
    <Labelled
      label="Source"
      problem={name === '' ? undefined : problemAt(editing, ['source'])}
      hint={
        names.length === 0 ? (
          <>
            There is no source yet.{' '}
            <Link to="/new/$kind" params={{ kind: 'source' }}>
              Make one
            </Link>{' '}
            first.
          </>
        ) : undefined
      }
    >
      {({ id, describedBy }) => (
        <select
          id={id}
          value={name}
          disabled={editing.readOnly}
          aria-describedby={describedBy}
          onChange={({ target }) =>
            editing.change(withValue(editing.text, ['source'], target.value || undefined))
          }
        >
          <option value="">Choose a source</option>
          {[...new Set([...names, ...(name === '' ? [] : [name])])].map(each => (
            <option key={each}>{each}</option>
          ))}
        </select>
      )}
    </Labelled>
  )
}

/** Problems without a field, which no field of the form can show. */
function Unplaced({ editing }: { readonly editing: Editing }): ReactElement | null {
  const unplaced = editing.problems.filter(({ field = '' }) => field === '')
  if (unplaced.length === 0) return null
  return (
    <ul className="field-error">
      {unplaced.map(({ message }, index) => (
        <li key={index}>{message}</li>
      ))}
    </ul>
  )
}

function UsedBy({
  kind,
  name,
  resources,
}: {
  readonly kind: FormKind
  readonly name: string | null
  readonly resources: readonly ResourceView[]
}): ReactElement | string {
  if (kind === 'alert') return 'It watches syncs, and notifies a webhook, Slack or people by e-mail.'
  if (name === null) return 'Syncs can use it once it is saved.'
  const users = syncsThatUse(kind, name, resources)
  return users.length === 0 ? 'No sync uses it.' : `Used by ${users.join(', ')}.`
}

interface KeptTextState {
  readonly text: string
  readonly setText: (text: string) => void
  readonly differs: boolean
  /** True if the browser kept the text of an earlier visit. */
  readonly kept: boolean
  /** Forgets the browser's copy. */
  readonly leave: () => void
}

/**
 * The text, which the browser keeps until it is saved. The page of the resource keeps it at the same place.
 */
function useKeptText({ kind, start, stored }: FormProps): KeptTextState {
  const place = stored === null ? `new-${kind}` : `${kind}.${stored.name}`
  const [begun] = useState(() => keptText(place))
  const [text, setText] = useState(begun?.text ?? start)
  const left = useRef(false)
  const version = begun?.version ?? stored?.version ?? null
  useEffect(() => {
    if (!left.current) keepText(place, text === start ? null : { text, version })
  }, [place, start, text, version])
  const leave = (): void => {
    left.current = true
    keepText(place, null)
  }
  return { text, setText, differs: text !== start, kept: begun !== null, leave }
}

const TYPED_MS = 300

interface Checked {
  readonly kind: FormKind
  readonly text: string
  /** True for a new resource that nobody has filled in yet. It has no mistakes. */
  readonly isFresh: boolean
}

/** The problems of the text, checked together with the stored resources. */
function useProblems({ kind, text, isFresh }: Checked): Editing['problems'] {
  const rested = useRested(text, TYPED_MS)
  const file = `${kind}.yaml`
  const wrong = unreadableIn(text)
  const { data } = useQuery({
    queryKey: ['checked', rested],
    queryFn: ({ signal }) => call('validateDocuments', { documents: [{ file, yaml: rested }] }, { signal }),
    enabled: !isFresh && unreadableIn(rested) === null,
    placeholderData: before => before,
    ...ONCE_WHEN_THERE_IS_ROOM,
    meta: OF_DRAFT,
  })
  if (wrong !== null) return [{ file, ...wrong }]
  return isFresh ? [] : (data?.problems.filter(problem => problem.file === file) ?? [])
}

interface SavingOptions extends FormProps {
  readonly text: string
  readonly onSaved: () => void
}

interface Saving {
  /** Saves, after a question if several syncs use the resource. */
  readonly ask: () => Promise<void>
  readonly isBusy: boolean
  readonly error: unknown
  readonly question: ReactElement | null
}

function useSaving({ kind, text, stored, resources, onSaved }: SavingOptions): Saving {
  const client = useQueryClient()
  const navigate = useNavigate()
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const [present, setPresent] = useState<number | null>(null)
  const [asks, setAsks] = useState(false)
  const name = nameIn(text)
  const isSame = stored !== null && name === stored.name
  const users = isSame ? syncsThatUse(kind, name, resources) : []
  const kept = keptText(`${kind}.${stored?.name ?? ''}`)
  const save = async (yaml = text, on = isSame ? (kept?.version ?? stored.version) : 0): Promise<void> => {
    setBusy(true)
    setError(null)
    setAsks(false)
    try {
      const own = nameIn(yaml)
      const version = on === undefined || on === null ? {} : { version: on }
      const takeOver = isSame && yaml === text && (stored.project ?? '') !== '' ? { takeOver: true } : {}
      await call('putResource', { kind, name: own, document: { yaml, ...version, ...takeOver } })
      onSaved()
      await client.invalidateQueries()
      toast(
        'done',
        kind === 'alert'
          ? `The alert ${own} is saved. Send a test notice to see it arrive.`
          : `The ${kind} ${own} is saved.`,
      )
      if (kind === 'alert') await navigate({ to: '/alerts' })
      else await navigate({ to: '/resources/$kind/$name', params: { kind, name: own } })
    } catch (failure) {
      const conflict = failure instanceof ApiError ? failure.problem?.versions?.present : undefined
      if (conflict === undefined) setError(failure)
      else setPresent(conflict)
    } finally {
      setBusy(false)
    }
  }
  const copy = (): string => {
    const taken = resources.filter(each => each.kind === kind).map(each => each.name)
    return withValue(text, ['name'], freeName(name, taken))
  }
  const question =
    present !== null ? (
      <ConflictDialog
        conflict={{ kind, name, mine: text, present }}
        onOverwrite={() => {
          setPresent(null)
          void save(text, present)
        }}
        onClose={() => setPresent(null)}
      />
    ) : asks ? (
      <Dialog
        title={`${many(users.length, 'sync uses', 'syncs use')} this ${kind}`}
        onClose={() => setAsks(false)}
      >
        <p>{users.join(', ')}: the change counts for all of them from their next run on.</p>
        <footer className="dialog-actions">
          <button type="button" onClick={() => setAsks(false)}>
            Go on editing
          </button>
          <button type="button" onClick={() => void save(copy(), 0)}>
            Make a copy
          </button>
          <button type="button" className="primary" onClick={() => void save()}>
            Change it for all {users.length}
          </button>
        </footer>
      </Dialog>
    ) : null
  return {
    ask: async () => {
      if (users.length > 1) setAsks(true)
      else await save()
    },
    ...{ isBusy, error, question },
  }
}
