/**
 * The editor of a sync and of what it stands on: steps in any order at the left, the live preview at the
 * right. Each step has its form and its YAML, which are the same text.
 */
import { Link } from '@tanstack/react-router'
import { useEffect, useMemo, useRef, useState, type ReactElement, type RefObject } from 'react'
import { LazyCodeEditor } from '../ui/lazy-code-editor.tsx'
import { Page } from '../ui/parts.tsx'
import { marksOf } from '../ui/places.ts'
import { toast } from '../ui/toast.tsx'
import { BehaviourStep } from './steps/behaviour-step.tsx'
import { DestinationStep } from './steps/destination-step.tsx'
import { documentOf, nameIn, type Draft, type Kind } from './draft.ts'
import { PreviewPane, usePreview } from './preview-pane.tsx'
import { ReviewStep, type Stored } from './steps/review-step.tsx'
import { ModelStep, SourceStep } from './steps/rows-steps.tsx'
import { TriggerStep, type Trigger } from './steps/trigger-step.tsx'
import { useModelRows } from './model-rows.ts'
import { useDraft, useEditings, type Editing } from './use-editing.ts'

const STEPS = [
  { id: 'source', name: 'Source', kind: 'source' },
  { id: 'model', name: 'Model', kind: 'model' },
  { id: 'destination', name: 'Destination', kind: 'destination' },
  { id: 'requests', name: 'Requests', kind: 'sync' },
  { id: 'behaviour', name: 'Schedule and errors', kind: 'sync' },
  { id: 'review', name: 'Review', kind: null },
] as const
type StepId = (typeof STEPS)[number]['id']

export interface EditorProps {
  readonly title: string
  /** Under this name the browser keeps what is typed. */
  readonly place: string
  readonly start: Draft
  /** What the server has of these resources, if it has any. */
  readonly stored: Stored
  readonly step: string | undefined
  readonly onStep: (step: StepId) => void
}

export function EditorPage(props: EditorProps): ReactElement {
  const { title, stored, onStep, start } = props
  const state = useDraft(props.place, start)
  const { draft } = state
  const step = STEPS.find(({ id }) => id === props.step) ?? STEPS[0]
  const [trigger, setTrigger] = useState<Trigger>('added')
  const [asYaml, setAsYaml] = useState(false)
  const previewed = usePreview(draft, trigger)
  const syntax = useSyntaxProblems(draft)
  const problems = syntax.length > 0 ? syntax : previewed.problems
  // Whoever wants to change what comes from a folder in Git says so first.
  const [taken, setTaken] = useState<readonly Kind[]>([])
  const readOnly = useMemo(
    () =>
      Object.values(stored).flatMap(of => (of.project !== '' && !taken.includes(of.kind) ? [of.kind] : [])),
    [stored, taken],
  )
  const editings = useEditings(state, { problems, readOnly })
  const columns = useModelRows(draft).data?.columns.map(({ name }) => name) ?? []
  useWasKept(state.wasKept)
  const isSaved = stored.sync !== undefined && JSON.stringify(draft) === JSON.stringify(start)
  const savedAs = isSaved ? nameIn(draft.sync) : undefined
  const onSave = (): void => onStep('review')
  const stepSection = useFocusOnNext(step.id)
  return (
    <Page
      title={title}
      actions={
        <button
          type="button"
          aria-pressed={asYaml}
          onClick={() => setAsYaml(!asYaml)}
          disabled={step.kind === null}
        >
          {asYaml ? 'Show the form' : 'Show the YAML'}
        </button>
      }
    >
      <nav className="steps" aria-label="Steps">
        <ol>
          {STEPS.map(({ id, name, kind }) => {
            const wrong = kind !== null && editings[kind].problems.length > 0
            return (
              <li key={id}>
                <button
                  type="button"
                  aria-current={id === step.id ? 'step' : undefined}
                  onClick={() => onStep(id)}
                >
                  {name}
                  {wrong ? <span className="bad"> — to mend</span> : null}
                </button>
              </li>
            )
          })}
        </ol>
      </nav>
      <div className={step.id === 'review' ? 'editor reviewing' : 'editor'}>
        <section ref={stepSection} className="card step" aria-label={step.name} tabIndex={-1}>
          {step.kind === null ? (
            <ReviewStep
              draft={draft}
              stored={stored}
              problems={problems}
              takeOver={taken}
              onSaved={state.forget}
              onThrowAway={() => {
                state.setDraft(start)
                state.forget()
              }}
            />
          ) : (
            <>
              <Origin
                of={stored[step.kind]}
                isTaken={taken.includes(step.kind)}
                onTake={kind => setTaken([...taken, kind])}
              />
              {asYaml || isBroken(draft[step.kind]) ? (
                <YamlOf editing={editings[step.kind]} onSave={onSave} />
              ) : (
                <StepForm
                  {...{ id: step.id, editings, draft, columns, trigger, onSave }}
                  onTrigger={setTrigger}
                />
              )}
              <StepFoot id={step.id} onStep={onStep} />
            </>
          )}
        </section>
        {step.id === 'review' ? null : (
          <PreviewPane previewed={previewed} trigger={trigger} savedAs={savedAs} />
        )}
      </div>
    </Page>
  )
}

interface StepFormProps {
  readonly id: StepId
  readonly editings: { readonly [kind in Kind]: Editing }
  readonly draft: Draft
  readonly columns: readonly string[]
  readonly trigger: Trigger
  readonly onTrigger: (trigger: Trigger) => void
  readonly onSave: () => void
}

function StepForm({
  id,
  editings,
  draft,
  columns,
  trigger,
  onTrigger,
  onSave,
}: StepFormProps): ReactElement | null {
  if (id === 'source') return <SourceStep editing={editings.source} draft={draft} />
  if (id === 'model') return <ModelStep editing={editings.model} draft={draft} />
  if (id === 'destination') return <DestinationStep editing={editings.destination} />
  if (id === 'requests')
    return <TriggerStep editing={editings.sync} {...{ trigger, onTrigger, columns, onSave }} />
  if (id === 'behaviour') return <BehaviourStep editing={editings.sync} />
  return null
}

function StepFoot({
  id,
  onStep,
}: {
  readonly id: StepId
  readonly onStep: (step: StepId) => void
}): ReactElement {
  const at = STEPS.findIndex(step => step.id === id)
  const [before, after] = [STEPS[at - 1], STEPS[at + 1]]
  return (
    <footer className="step-foot">
      {before === undefined ? (
        <Link to="/" className="button">
          Leave
        </Link>
      ) : (
        <button type="button" onClick={() => onStep(before.id)}>
          ← {before.name}
        </button>
      )}
      {after === undefined ? null : (
        <button type="button" className="primary" onClick={() => onStep(after.id)}>
          {after.name} →
        </button>
      )}
    </footer>
  )
}

function YamlOf({
  editing,
  onSave,
}: {
  readonly editing: Editing
  readonly onSave: () => void
}): ReactElement {
  const marks = marksOf(editing.problems)
  return (
    <>
      <LazyCodeEditor
        label={`The ${editing.kind} as YAML`}
        language="yaml"
        value={editing.text}
        marks={marks}
        onSave={onSave}
        {...(editing.readOnly ? {} : { onChange: editing.change })}
      />
      {editing.problems.map(({ line, message }, index) => (
        <p key={index} className="field-error">
          {line === undefined ? '' : `Line ${line}: `}
          {message}
        </p>
      ))}
    </>
  )
}

interface OriginProps {
  readonly of: Stored[Kind]
  readonly isTaken: boolean
  readonly onTake: (kind: Kind) => void
}

/** Says that a resource comes from a folder in Git, whose next `apply` would undo a change made here. */
function Origin({ of, isTaken, onTake }: OriginProps): ReactElement | null {
  if (of === undefined || of.project === '') return null
  return (
    <div className="banner" role="note">
      {isTaken ? (
        <p>
          You take this {of.kind} over from the project <strong>{of.project}</strong>. Remove it from the
          project’s files, too, or its next <code>apply</code> is refused.
        </p>
      ) : (
        <p>
          This {of.kind} comes from the files of the project <strong>{of.project}</strong>, so it is edited
          there.{' '}
          <button type="button" className="small" onClick={() => onTake(of.kind)}>
            Take it over
          </button>
        </p>
      )}
    </div>
  )
}

function isBroken(text: string): boolean {
  return documentOf(text).errors.length > 0
}

function useSyntaxProblems(draft: Draft) {
  return useMemo(
    () =>
      Object.entries(draft).flatMap(([kind, text]) =>
        documentOf(text).errors.map(({ message, linePos }) => ({
          ...{ file: `${kind}.yaml`, message: message.split('\n')[0] ?? message },
          ...(linePos === undefined ? {} : { line: linePos[0].line, column: linePos[0].col }),
        })),
      ),
    [draft],
  )
}

/** Whoever goes to another step begins at its top, not at the button that led there. */
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
      toast('done', 'What you had typed here before is back. “Throw it away” on the last step forgets it.')
  }, [wasKept])
}
