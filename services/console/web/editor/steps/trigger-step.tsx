/** The step for requests: one for added, changed and removed rows each, with its body. */
import { useState, type ReactElement } from 'react'
import { LazyCodeEditor } from '../../ui/lazy-code-editor.tsx'
import { textAt, valueAt, withValue } from '../draft.ts'
import { ChoiceField, PairsField, problemAt, SwitchField, TextField } from '../fields.tsx'
import { FieldMapper } from '../field-mapper.tsx'
import { ServerMessage } from '../../ui/server-message.tsx'
import type { Editing } from '../use-editing.ts'

export const TRIGGERS = ['added', 'changed', 'removed'] as const
export type Trigger = (typeof TRIGGERS)[number]

interface TriggerStepProps {
  readonly editing: Editing
  readonly trigger: Trigger
  readonly onTrigger: (trigger: Trigger) => void
  /** The columns of the model. */
  readonly columns: readonly string[]
  readonly onSave: () => void
}

const START: { readonly [trigger in Trigger]: unknown } = {
  added: { method: 'POST', path: '/', body: { json: '{"id": {{ row.id | json }}}\n' } },
  changed: { method: 'PUT', path: '/{{ row.id }}', body: { json: '{"id": {{ row.id | json }}}\n' } },
  removed: { method: 'DELETE', path: '/{{ row.id }}' },
}
const WHAT: { readonly [trigger in Trigger]: string } = {
  added: 'rows that are new in the model',
  changed: 'rows of which a column that is sent has changed',
  removed: 'rows that are no longer in the model',
}

export function TriggerStep(props: TriggerStepProps): ReactElement {
  const { editing, trigger, onTrigger } = props
  return (
    <>
      <div className="tabs" role="tablist" aria-label="Triggers">
        {TRIGGERS.map(each => (
          <button
            key={each}
            type="button"
            role="tab"
            id={`tab-${each}`}
            aria-selected={each === trigger}
            aria-controls="trigger"
            tabIndex={each === trigger ? 0 : -1}
            onClick={() => onTrigger(each)}
            onKeyDown={event => {
              const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
              if (step === undefined) return
              const next =
                TRIGGERS[(TRIGGERS.indexOf(each) + step + TRIGGERS.length) % TRIGGERS.length] ?? each
              onTrigger(next)
              document.getElementById(`tab-${next}`)?.focus()
            }}
          >
            {valueAt(editing.text, ['triggers', each]) === undefined ? `${each} (off)` : each}
          </button>
        ))}
      </div>
      <div id="trigger" role="tabpanel" aria-labelledby={`tab-${trigger}`} className="stack">
        <OneTrigger key={trigger} {...props} />
      </div>
    </>
  )
}

function OneTrigger({ editing, trigger, columns, onSave }: TriggerStepProps): ReactElement {
  const { text, change } = editing
  const path = ['triggers', trigger] as const
  const value = valueAt(text, path)
  const others = TRIGGERS.filter(
    other => typeof valueAt(text, ['triggers', other]) === 'object' && other !== trigger,
  )
  const mode = value === undefined ? 'off' : typeof value === 'string' ? value : 'own'
  return (
    <>
      <label className="field">
        <span>For {WHAT[trigger]}</span>
        <select
          value={mode}
          disabled={editing.readOnly}
          onChange={({ target }) => {
            const chosen = { off: undefined, own: START[trigger] }[target.value] ?? target.value
            change(withValue(text, path, target.value === 'off' ? undefined : chosen))
          }}
        >
          <option value="own">send a request</option>
          {others.map(other => (
            <option key={other} value={other}>
              send the same request as for {other} rows
            </option>
          ))}
          <option value="off">send nothing</option>
        </select>
      </label>
      {mode === 'own' ? (
        <>
          <div className="method-path">
            <ChoiceField
              editing={editing}
              path={[...path, 'method']}
              label="Method"
              isWritten
              choices={['POST', 'PUT', 'PATCH', 'DELETE', 'GET'].map(method => [method, method] as const)}
            />
            <TextField
              editing={editing}
              path={[...path, 'path']}
              label="Path"
              placeholder="/customers/{{ row.id }}"
              hint="Added to the destination’s address. Values in {{ }} are percent-encoded."
            />
          </div>
          <Batch editing={editing} path={path} />
          <Body editing={editing} path={path} columns={columns} onSave={onSave} />
          <details>
            <summary>Headers, and values to keep of the answer</summary>
            <PairsField
              editing={editing}
              path={[...path, 'headers']}
              label="Headers"
              suggested="header"
              hint="Only this trigger sends these headers. Put a secret into the destination’s headers."
            />
            <PairsField
              editing={editing}
              path={[...path, 'capture']}
              label="Captured values"
              suggested="value"
              hint="A name, and where the answer has it: $.id. Later requests of the row see it as captured.name."
            />
          </details>
        </>
      ) : null}
    </>
  )
}

interface PartProps {
  readonly editing: Editing
  readonly path: readonly string[]
}

function Batch({ editing, path }: PartProps): ReactElement {
  const isOn = valueAt(editing.text, [...path, 'batch']) !== undefined
  return (
    <div className="columns">
      <SwitchField
        editing={editing}
        path={[...path, 'batch']}
        label="Several rows in one request"
        hint="The template then has rows instead of row."
        on={{ size: 100 }}
        off={undefined}
        isOn={isOn}
      />
      {isOn ? (
        <TextField
          editing={editing}
          path={[...path, 'batch', 'size']}
          label="Batch size"
          isNumber
          placeholder="100"
        />
      ) : null}
    </div>
  )
}

const BODIES: readonly (readonly [kind: string, name: string, start: unknown])[] = [
  ['none', 'No body', undefined],
  ['json', 'JSON from a template', { json: '{"id": {{ row.id | json }}}\n' }],
  ['fields', 'JSON from a map of fields', { fields: {} }],
  ['jsonColumn', 'A column that holds JSON', { jsonColumn: '' }],
  ['xml', 'XML from a template', { xml: '<row id="{{ row.id }}"/>\n' }],
  ['form', 'A form', { form: {} }],
  ['text', 'Other text', { text: { contentType: 'text/plain', template: '{{ row.id }}\n' } }],
]

interface BodyProps extends PartProps {
  readonly columns: readonly string[]
  readonly onSave: () => void
}

function Body({ editing, path, columns, onSave }: BodyProps): ReactElement {
  const { text, change, readOnly } = editing
  const at = [...path, 'body']
  const value = valueAt(text, at)
  const kind =
    typeof value === 'object' && value !== null
      ? (BODIES.find(([name]) => name in value)?.[0] ?? 'json')
      : 'none'
  // A body of another kind comes back when the user chooses that kind again.
  const [left, setLeft] = useState<{ readonly [kind: string]: unknown }>({})
  const choose = (chosen: string): void => {
    setLeft({ ...left, [kind]: value })
    const start = BODIES.find(([name]) => name === chosen)?.[2]
    change(withValue(text, at, chosen in left ? left[chosen] : start))
  }
  const isBatch = valueAt(text, [...path, 'batch']) !== undefined
  const row = isBatch
    ? columns.map(column => `row.${column}`)
    : columns.flatMap(column => [`row.${column}`, column])
  const words = [...row, ...(isBatch ? ['rows', 'items'] : ['previous', 'captured']), 'run.id', 'sync.name']
  const shared = { words, onSave }
  return (
    <>
      <label className="field">
        <span>Body</span>
        <select value={kind} disabled={readOnly} onChange={({ target }) => choose(target.value)}>
          {BODIES.map(([name, label]) => (
            <option key={name} value={name}>
              {label}
            </option>
          ))}
        </select>
      </label>
      {kind === 'json' ? (
        <Template
          {...shared}
          editing={editing}
          path={[...at, 'json']}
          language="json"
          label="JSON template"
        />
      ) : null}
      {kind === 'xml' ? (
        <Template {...shared} editing={editing} path={[...at, 'xml']} language="xml" label="XML template" />
      ) : null}
      {kind === 'text' ? (
        <>
          <TextField editing={editing} path={[...at, 'text', 'contentType']} label="Content type" />
          <Template
            {...shared}
            editing={editing}
            path={[...at, 'text', 'template']}
            language="text"
            label="Template"
          />
        </>
      ) : null}
      {kind === 'form' ? (
        <PairsField
          editing={editing}
          path={[...at, 'form']}
          label="Form fields"
          suggested="form"
          hint="Values are Liquid."
        />
      ) : null}
      {kind === 'jsonColumn' ? (
        <ChoiceField
          editing={editing}
          path={[...at, 'jsonColumn']}
          label="Column"
          isWritten
          choices={[['', 'choose one'], ...columns.map(column => [column, column] as const)]}
        />
      ) : null}
      {kind === 'fields' ? (
        <FieldMapper editing={editing} path={[...at, 'fields']} columns={columns} />
      ) : null}
    </>
  )
}

interface TemplateProps extends PartProps {
  readonly label: string
  readonly language: 'json' | 'xml' | 'text'
  readonly words: readonly string[]
  readonly onSave: () => void
}

function Template({ editing, path, label, language, words, onSave }: TemplateProps): ReactElement {
  const { text, change, readOnly } = editing
  const problem = problemAt(editing, path)
  const place = /line (\d+)(?:, (?:column|col:?) ?(\d+))?/.exec(problem ?? '')
  const marks =
    problem === undefined
      ? []
      : [{ line: Number(place?.[1] ?? 1), column: Number(place?.[2] ?? 1), message: problem }]
  return (
    <div className="field">
      <span className="field-label">{label}</span>
      <LazyCodeEditor
        label={label}
        language={language}
        value={textAt(text, path)}
        words={words}
        marks={marks}
        onSave={onSave}
        {...(readOnly ? {} : { onChange: value => change(withValue(text, path, value)) })}
      />
      {problem === undefined ? null : (
        <p className="field-error">
          <ServerMessage text={problem} />
        </p>
      )}
    </div>
  )
}
