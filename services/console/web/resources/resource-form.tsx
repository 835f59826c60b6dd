/** The form of one source, model, destination or alert, with its YAML beside. Both are the same text. */
import type { ResourceView } from '@sluice/contracts/api'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { useEffect, useRef, useState, type ReactElement } from 'react'
import { AlertForm } from '../alerts/alert-form.tsx'
import { STARTING_ALERT } from '../alerts/starting-alert.ts'
import { call } from '../api/client.ts'
import { ONCE_WHEN_THERE_IS_ROOM } from '../api/query-client.ts'
import { resourceQuery, resourcesQuery } from '../api/queries.ts'
import { useMay } from '../api/session.ts'
import { ConflictDialog, presentVersion } from '../editor/conflict-dialog.tsx'
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
import { problemAt } from '../editor/fields.tsx'
import { labelOf, namesOf, syncsThatUse } from '../editor/reused.ts'
import { SelectField } from '../editor/select-field.tsx'
import { DestinationStep } from '../editor/steps/destination-step.tsx'
import { ModelStep } from '../editor/steps/model-step.tsx'
import { SourceStep } from '../editor/steps/source-step.tsx'
import { useRested, type Editing } from '../editor/use-editing.ts'
import { useYamlShown, WaitsForYaml, YamlButton, YamlEditor, YamlPane } from '../editor/yaml-pane.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { many } from '../ui/format.ts'
import { titleIn } from '../ui/named.tsx'
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
  const name = freeName(nameIn(STARTS[kind]), namesOf(data.resources, kind))
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
  /** The text of the server, or the first text of a new resource. */
  readonly start: string
  /** Null for a new resource. */
  readonly stored: ResourceView | null
  readonly resources: readonly ResourceView[]
}

function ResourceForm(props: FormProps): ReactElement {
  const { kind, resources } = props
  const [stored] = useState(props.stored)
  const may = useMay('edit')
  const { text, setText, version, differs, discard, kept, leave } = useKeptText(props)
  const project = stored?.project ?? ''
  const [taken, setTaken] = useState(project === '' || kept)
  const [tried, setTried] = useState(false)
  const problems = useProblems({ kind, text, isFresh: stored === null && !differs && !tried })
  const saving = useSaving({ ...props, stored, version, text, onSaved: leave })
  const yaml = useYamlShown()
  const readOnly = !taken || !may
  const broken = unreadableIn(text)
  const readable = useRef(text)
  if (broken === null) readable.current = text
  const isNew = stored === null && !namesOf(resources, kind).includes(nameIn(text))
  const editing: Editing = { kind, text, change: setText, problems, readOnly, isNew }
  const inForm = broken === null ? editing : { ...editing, text: readable.current, readOnly: true }
  const isYaml = yaml.shown || broken !== null
  const onSave = (): void => {
    setTried(true)
    if (problems.length === 0) void saving.ask()
  }
  return (
    <Page
      title={stored === null ? `New ${kind}` : `Edit ${titleIn(stored.spec) ?? stored.name}`}
      lead={<UsedBy kind={kind} name={stored?.name ?? null} resources={resources} />}
      actions={
        <>
          <YamlButton yaml={yaml} />
          {differs && stored !== null ? (
            <button type="button" onClick={discard}>
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
            This {kind} comes from the files of the project <strong>{project}</strong>.
            {taken
              ? ' You take it over. Remove it from the project’s files, too, or its next apply is refused.'
              : ''}
          </p>
          {taken ? null : (
            <p className="actions">
              <button type="button" className="small" onClick={() => setTaken(true)}>
                Take it over
              </button>
            </p>
          )}
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
    <SelectField
      label="Source"
      problem={name === '' ? undefined : problemAt(editing, ['source'])}
      value={name}
      readOnly={editing.readOnly}
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
      options={[
        ['', 'Choose a source'],
        ...[...new Set([...names, ...(name === '' ? [] : [name])])].map(
          each => [each, labelOf(resources, 'source', each)] as const,
        ),
      ]}
      onChoose={chosen => editing.change(withValue(editing.text, ['source'], chosen || undefined))}
    />
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
  /** The version that the edit started from. Null for a new resource, and if the server keeps none. */
  readonly version: number | null
  readonly differs: boolean
  readonly discard: () => void
  /** True if the browser kept the text of an earlier visit. */
  readonly kept: boolean
  /** Forgets the browser's copy. */
  readonly leave: () => void
}

/**
 * The text, which the browser keeps until it is saved. The page of the resource keeps it at the same place.
 * An edit keeps the version that it started from, even if others save meanwhile.
 */
function useKeptText({ kind, start, stored }: FormProps): KeptTextState {
  const place = stored === null ? `new-${kind}` : `${kind}.${stored.name}`
  const [begun] = useState(() => keptText(place))
  const [text, setText] = useState(begun?.text ?? start)
  const left = useRef(false)
  const present = stored?.version ?? null
  const [base, setBase] = useState({ start, version: begun?.version ?? present })
  const differs = text !== base.start
  if (!differs && (start !== base.start || present !== base.version)) {
    setBase({ start, version: present })
    setText(start)
  }
  useEffect(() => {
    if (!left.current) keepText(place, differs ? { text, version: base.version } : null)
  }, [base.version, differs, place, text])
  const leave = (): void => {
    left.current = true
    keepText(place, null)
  }
  const discard = (): void => setText(base.start)
  return { text, setText, version: base.version, differs, discard, kept: begun !== null, leave }
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
  readonly version: number | null
  readonly onSaved: () => void
}

interface Saving {
  /** Saves, after a question if several syncs use the resource. */
  readonly ask: () => Promise<void>
  readonly isBusy: boolean
  readonly error: unknown
  readonly question: ReactElement | null
}

function useSaving({ kind, text, version, stored, resources, onSaved }: SavingOptions): Saving {
  const client = useQueryClient()
  const navigate = useNavigate()
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const [present, setPresent] = useState<number | null>(null)
  const [asks, setAsks] = useState(false)
  const name = nameIn(text)
  const isSame = stored !== null && name === stored.name
  const users = isSame ? syncsThatUse(kind, name, resources) : []
  const save = async (yaml = text, on = isSame ? version : 0): Promise<void> => {
    setBusy(true)
    setError(null)
    setAsks(false)
    try {
      const own = nameIn(yaml)
      const from = on === null ? {} : { version: on }
      const takeOver = isSame && yaml === text && (stored.project ?? '') !== '' ? { takeOver: true } : {}
      await call('putResource', { kind, name: own, document: { yaml, ...from, ...takeOver } })
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
      const conflict = presentVersion(failure)
      if (conflict === undefined) setError(failure)
      else setPresent(conflict)
    } finally {
      setBusy(false)
    }
  }
  const copy = (): string => withValue(text, ['name'], freeName(name, namesOf(resources, kind)))
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
