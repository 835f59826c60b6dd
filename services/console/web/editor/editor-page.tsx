/**
 * The editor of a sync and of its source, model and destination. The steps, in any order, are at the left,
 * the live preview is at the right. Form and YAML of a step are the same text; a wide screen shows both.
 */
import type { ResourceView } from '@sluice/contracts/api'
import {
  lazy,
  Suspense,
  useEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type ReactElement,
  type RefObject,
} from 'react'
import { useKeptPlace } from '../ui/kept-place.ts'
import { Loading, Page } from '../ui/parts.tsx'
import { toast } from '../ui/toast.tsx'
import { ConflictDialog } from './conflict-dialog.tsx'
import { BehaviourStep } from './steps/behaviour-step.tsx'
import { DestinationStep } from './steps/destination-step.tsx'
import {
  fileOf,
  keysIn,
  KINDS,
  nameIn,
  textAt,
  unreadableIn,
  withValue,
  type Draft,
  type Kind,
} from './draft.ts'
import { PreviewPane, usePreview, type Previewed } from './preview-pane.tsx'
import {
  isShared,
  isUnchosen,
  labelOf,
  namesOf,
  reusedBy,
  startBehind,
  takenName,
  unchosen,
  withNew,
  withStored,
  type SharedKind,
  type Stored,
} from './reused.ts'
import { SharedResource, useRights } from './shared-resource.tsx'
import { ReviewStep } from './steps/review-step.tsx'
import { ModelStep } from './steps/model-step.tsx'
import { SourceStep } from './steps/source-step.tsx'
import { TriggerStep, TRIGGERS, type Trigger } from './steps/trigger-step.tsx'
import { SelectField } from './select-field.tsx'
import { withColumns } from './starting-requests.ts'
import { StepFoot, StepList } from './step-list.tsx'
import { STEPS, type StepId } from './steps.ts'
import { useModelRows } from './model-rows.ts'
import {
  pinOf,
  useDraft,
  useEditings,
  type DraftState,
  type Editing,
  type Pins,
  type StartOf,
  type Versions,
} from './use-editing.ts'
import { changedKinds, useSaving } from './use-saving.ts'
import {
  useShownInForms,
  useYamlShown,
  WaitsForYaml,
  YamlButton,
  YamlEditor,
  YamlPane,
} from './yaml-pane.tsx'

/** The examples are loaded with the step that offers them. */
const StartFrom = lazy(async () => ({ default: (await import('./start-from.tsx')).StartFrom }))

const NO_RESOURCES: readonly ResourceView[] = []

export interface EditorProps {
  readonly title: string
  /** The name under which the browser keeps the unsaved draft. */
  readonly place: string
  readonly start: Draft
  /** The stored resources. Empty for a new sync. */
  readonly stored: Stored
  /** The resources that a new sync may use. */
  readonly resources?: readonly ResourceView[]
  readonly step: string | undefined
  readonly onStep: (step: StepId) => void
}

/** Each tab has a draft of its own. */
export function EditorPage(props: EditorProps): ReactElement {
  const place = useKeptPlace(`sluice.draft.${props.place}`)
  if (place !== null) return <Editor key={place} {...props} place={place} />
  return (
    <Page title={props.title}>
      <Loading lines={8} />
    </Page>
  )
}

function Editor(props: EditorProps): ReactElement {
  const { title, onStep, start, resources = NO_RESOURCES } = props
  const state = useDraft(props.place, start, startsOf(props))
  const { draft, pins } = state
  const step = STEPS.find(({ id }) => id === props.step) ?? STEPS[0]
  const [trigger, setTrigger] = useState<Trigger>('added')
  const yaml = useYamlShown()
  const movedOn = useMovedOn(step.id)
  const isFresh = props.stored.sync === undefined && !movedOn
  const previewed = usePreview(draft, trigger, isFresh)
  const syntax = useSyntaxProblems(draft)
  const stored = useStoredAt(draft, props, pins)
  const own = [...unchosen(draft, passedBefore(step.id)), ...takenName(draft, resources)]
  const problems = syntax.length > 0 ? syntax : [...own, ...previewed.problems]
  const rights = useRights(state, stored, resources)
  const { readOnly, taken, take } = rights
  const editings = useEditings(state, { problems, readOnly, stored })
  const inForms = useShownInForms(draft, editings)
  const rows = useModelRows(draft).data
  const columns = useMemo(() => rows?.columns.map(({ name }) => name) ?? [], [rows])
  const ownKeys = keysIn(draft.model)
  const keys = ownKeys.length === 0 ? (rows?.key ?? []) : ownKeys
  useWasKept(state.wasKept)
  useFilledBody(state, movedOn && props.stored.sync === undefined ? columns : [])
  const isSaved = stored.sync !== undefined && JSON.stringify(draft) === JSON.stringify(start)
  const saving = useSaving({ draft, stored, takeOver: taken, onSaved: state.forget })
  const visited = useVisited(step.id)
  const onSave = (): void => onStep('review')
  const onMend = (to: StepId, field: string): void => {
    setTrigger(triggerOf(field) ?? trigger)
    onStep(to)
  }
  const canSave = problems.length === 0 && !saving.isBusy
  const onKeyDown = saveKey(() => (step.kind !== null ? onSave() : canSave && void saving.save(false)))
  const stepSection = useFocusOnNext(step.id)
  const isBroken = step.kind !== null && unreadableIn(draft[step.kind]) !== null
  // Only the YAML can show and mend a text that is not valid.
  const isYamlBeside = step.kind !== null && yaml.beside && (yaml.shown || isBroken)
  return (
    <Page title={title} actions={<YamlButton yaml={yaml} disabled={step.kind === null} />}>
      <StepList
        shown={step.id}
        problems={problems}
        isDone={id => id !== 'review' && (props.stored.sync !== undefined || visited.has(id))}
        onStep={onStep}
      />
      <div
        onKeyDown={onKeyDown}
        className={step.kind === null ? 'editor reviewing' : isYamlBeside ? 'editor with-yaml' : 'editor'}
      >
        <section ref={stepSection} className="card step" aria-label={step.name} tabIndex={-1}>
          {step.kind === null ? (
            <ReviewStep
              {...{ draft, stored, problems, saving, onMend }}
              onDiscard={() => {
                state.replaceWith(start)
                state.forget()
              }}
            />
          ) : (
            <>
              {isShared(step.kind) && props.stored.sync === undefined ? (
                <BeginWith kind={step.kind} draft={draft} resources={resources} onUse={state.replaceWith} />
              ) : null}
              <Origin resource={stored[step.kind]} isTaken={taken.includes(step.kind)} onTake={take} />
              <SharedResource kind={step.kind} draft={draft} rights={rights} onCopy={state.replaceWith} />
              {isUnchosen(draft, step.kind) ? null : step.id === 'model' && isUnchosen(draft, 'source') ? (
                <p className="quiet">Choose a source in the step before, or a model that is there.</p>
              ) : !yaml.beside && (yaml.shown || isBroken) ? (
                <YamlEditor editing={editings[step.kind]} onSave={onSave} />
              ) : (
                <>
                  {isBroken ? <WaitsForYaml /> : null}
                  <StepForm
                    {...{ id: step.id, editings: inForms, draft, columns, keys, trigger }}
                    onTrigger={setTrigger}
                  />
                </>
              )}
              <StepFoot
                id={step.id}
                onStep={onStep}
                save={changedKinds(draft, stored).length === 0 ? null : saving}
                isRight={problems.length === 0 && unchosen(draft, KINDS).length === 0}
              />
            </>
          )}
        </section>
        {step.kind === null ? null : (
          <div className="beside">
            {isYamlBeside ? <YamlPane editing={editings[step.kind]} onSave={onSave} /> : null}
            <PreviewPane {...{ previewed, step: step.id, trigger, draft, isSaved, onMend }} />
          </div>
        )}
      </div>
      {saving.conflict === null ? null : (
        <ConflictDialog conflict={saving.conflict} onOverwrite={saving.overwrite} onClose={saving.dismiss} />
      )}
    </Page>
  )
}

/** The trigger that a field belongs to. Undefined for any other field. */
const triggerOf = (field: string): Trigger | undefined =>
  TRIGGERS.find(each => field.startsWith(`triggers.${each}.`))

/** The stored resources that the draft names, each with the version that its edit started from. */
function useStoredAt(
  draft: Draft,
  { stored, resources = NO_RESOURCES }: Pick<EditorProps, 'stored' | 'resources'>,
  pins: Pins,
): Stored {
  return useMemo(
    () => atVersions({ ...reusedBy(draft, resources), ...stored }, pins),
    [draft, resources, stored, pins],
  )
}

/** The kinds whose steps come before this one. */
function passedBefore(id: StepId): readonly Kind[] {
  const at = STEPS.findIndex(step => step.id === id)
  return STEPS.slice(0, at).flatMap(({ kind }) => (kind === null || kind === 'sync' ? [] : [kind]))
}

/** Saves on Ctrl-Enter in any field. Text editors and dialogs handle this key themselves. */
function saveKey(save: () => unknown): (event: KeyboardEvent) => void {
  return event => {
    const isSave = event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !event.defaultPrevented
    if (!isSave || (event.target instanceof Element && event.target.closest('dialog') !== null)) return
    event.preventDefault()
    save()
  }
}

/**
 * An existing sync always has the same start. The start of a new sync follows from the names in its texts.
 */
function startsOf({ stored, start, resources = NO_RESOURCES }: EditorProps): StartOf {
  if (stored.sync === undefined) return draft => startBehind(draft, resources)
  return () => ({ draft: start, versions: versionsOf(stored) })
}

function versionsOf(stored: Stored): Versions {
  return Object.fromEntries(Object.values(stored).map(({ kind, version }) => [kind, version]))
}

/** The stored resources, each with the version that its edit started from. */
function atVersions(stored: Stored, pins: Pins): Stored {
  return Object.fromEntries(
    Object.values(stored).map(resource => [
      resource.kind,
      { ...resource, version: pinOf(pins, resource.kind, resource.name) ?? resource.version },
    ]),
  )
}

/** No resource has this name. */
const UNCHOSEN = '?'

interface UseProps {
  readonly kind: SharedKind
  readonly draft: Draft
  readonly resources: readonly ResourceView[]
  readonly onUse: (draft: Draft) => void
}

/** The ways to begin a new sync: with a stored resource, or with the API of an example. */
function BeginWith(props: UseProps): ReactElement {
  const { kind, draft, resources, onUse } = props
  const names = namesOf(resources, kind)
  return (
    <>
      <UseStored {...props} />
      {kind === 'destination' && draft.destination !== '' && !names.includes(nameIn(draft.destination)) ? (
        <Suspense>
          <StartFrom draft={draft} taken={names} onStart={onUse} />
        </Suspense>
      ) : null}
    </>
  )
}

/** The choice of a stored resource for a new sync. */
function UseStored({ kind, draft, resources, onUse }: UseProps): ReactElement | null {
  const names = namesOf(resources, kind)
  if (names.length === 0) return null
  const name = nameIn(draft[kind])
  const isStored = names.includes(name)
  const waits = isUnchosen(draft, kind)
  const choose = (chosen: string): void => {
    const stored = resources.find(each => each.kind === kind && each.name === chosen)
    onUse(stored === undefined ? withNew(draft, kind, resources) : withStored(draft, kind, stored, resources))
  }
  return (
    <SelectField
      label={`Use this ${kind}`}
      value={waits ? UNCHOSEN : isStored ? name : ''}
      readOnly={false}
      options={[
        ...(waits ? [[UNCHOSEN, `Choose a ${kind}`] as const] : []),
        ['', 'A new one'],
        ...names.map(each => [each, labelOf(resources, kind, each)] as const),
      ]}
      onChoose={choose}
    />
  )
}

interface StepFormProps {
  readonly id: StepId
  readonly editings: { readonly [kind in Kind]: Editing }
  readonly draft: Draft
  readonly columns: readonly string[]
  /** The columns that tell rows apart. */
  readonly keys: readonly string[]
  readonly trigger: Trigger
  readonly onTrigger: (trigger: Trigger) => void
}

function StepForm(props: StepFormProps): ReactElement | null {
  const { id, editings, draft, columns, keys, trigger, onTrigger } = props
  if (id === 'source') return <SourceStep editing={editings.source} />
  if (id === 'model') return <ModelStep editing={editings.model} source={draft.source} />
  if (id === 'destination') return <DestinationStep editing={editings.destination} />
  if (id === 'requests')
    return <TriggerStep editing={editings.sync} {...{ trigger, onTrigger, columns, keys }} />
  if (id === 'behaviour') return <BehaviourStep editing={editings.sync} columns={columns} />
  return null
}

interface OriginProps {
  readonly resource: Stored[Kind]
  readonly isTaken: boolean
  readonly onTake: (kind: Kind) => void
}

/** Says that a resource comes from a folder in Git, whose next `apply` would undo a change made here. */
function Origin({ resource, isTaken, onTake }: OriginProps): ReactElement | null {
  if (resource === undefined || resource.project === '') return null
  const { kind, project } = resource
  return (
    <div className="banner" role="note">
      {isTaken ? (
        <p>
          You take this {kind} over from the project <strong>{project}</strong>. Remove it from the project’s
          files, too, or its next <code>apply</code> is refused.
        </p>
      ) : (
        <>
          <p>
            This {kind} comes from the files of the project <strong>{project}</strong>, so it is edited there.
          </p>
          <p className="actions">
            <button type="button" className="small" onClick={() => onTake(kind)}>
              Take it over
            </button>
          </p>
        </>
      )}
    </div>
  )
}

function useSyntaxProblems(draft: Draft): Previewed['problems'] {
  return useMemo(
    () =>
      KINDS.flatMap(kind => {
        const wrong = unreadableIn(draft[kind])
        return wrong === null ? [] : [{ file: fileOf(kind), ...wrong }]
      }),
    [draft],
  )
}

/** True once the user has gone beyond the steps for rows. From then on these steps show their mistakes. */
function useMovedOn(id: StepId): boolean {
  const isBeyond = id !== 'source' && id !== 'model'
  const [moved, setMoved] = useState(isBeyond)
  if (isBeyond && !moved) setMoved(true)
  return moved || isBeyond
}

/** The steps that somebody has been at since the editor was opened. */
function useVisited(id: StepId): ReadonlySet<StepId> {
  const [visited, setVisited] = useState<ReadonlySet<StepId>>(new Set([id]))
  if (!visited.has(id)) setVisited(new Set([...visited, id]))
  return visited
}

/** The body of a new sync has all columns, as long as nobody has written another one. */
function useFilledBody({ draft, setText }: DraftState, columns: readonly string[]): void {
  const before = useRef<readonly string[]>([])
  const names = JSON.stringify(columns)
  useEffect(() => {
    if (columns.length === 0) return
    const path = ['triggers', 'added', 'body', 'json']
    const body = withColumns(textAt(draft.sync, path), { before: before.current, columns })
    before.current = columns
    if (body !== null) setText('sync', withValue(draft.sync, path, body), [])
  }, [names])
}

/** Another step begins with the focus at its top, not at the button that led there. */
function useFocusOnNext(id: StepId): RefObject<HTMLElement | null> {
  const section = useRef<HTMLElement>(null)
  const shown = useRef(id)
  useEffect(() => {
    if (shown.current === id) return
    shown.current = id
    section.current?.focus()
  }, [id])
  return section
}

function useWasKept(wasKept: boolean): void {
  useEffect(() => {
    if (wasKept)
      toast('done', 'What you had typed here before is back. “Discard changes” on the last step forgets it.')
  }, [wasKept])
}
