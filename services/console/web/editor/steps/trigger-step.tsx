/** The step for requests: one for added, changed and removed rows each, with its body. */
import { useState, type ReactElement } from 'react'
import { BodyFields, type PartProps } from '../body-fields.tsx'
import { textAt, valueAt, withValue } from '../draft.ts'
import { docsOf } from '../field-docs.ts'
import { ChoiceField, PairsField, SwitchField, TextField } from '../fields.tsx'
import { SelectField } from '../select-field.tsx'
import { jsonOf, pathOfOne, rewritten } from '../starting-requests.ts'
import { SizeField } from '../unit-fields.tsx'
import type { Editing } from '../use-editing.ts'

export const TRIGGERS = ['added', 'changed', 'removed'] as const
export type Trigger = (typeof TRIGGERS)[number]

interface TriggerStepProps {
  readonly editing: Editing
  readonly trigger: Trigger
  readonly onTrigger: (trigger: Trigger) => void
  /** The columns of the model. */
  readonly columns: readonly string[]
  /** The key columns of the model. */
  readonly keys: readonly string[]
}

const WHAT: { readonly [trigger in Trigger]: string } = {
  added: 'rows that are new in the model',
  changed: 'rows of which a column that is sent has changed',
  removed: 'rows that are no longer in the model',
}

/** The text before a trigger was taken away, and after it. */
type Left = { readonly [trigger in Trigger]?: { readonly before: string; readonly after: string } }

export function TriggerStep(props: TriggerStepProps): ReactElement {
  const { editing, trigger, onTrigger } = props
  const [left, setLeft] = useState<Left>({})
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
        <OneTrigger key={trigger} {...props} left={left} onLeft={setLeft} />
      </div>
    </>
  )
}

interface OneTriggerProps extends TriggerStepProps {
  readonly left: Left
  readonly onLeft: (left: Left) => void
}

function OneTrigger(props: OneTriggerProps): ReactElement {
  const { editing, trigger, columns, left, onLeft } = props
  const { text, change } = editing
  const path = ['triggers', trigger] as const
  const value = valueAt(text, path)
  const others = TRIGGERS.filter(
    other => typeof valueAt(text, ['triggers', other]) === 'object' && other !== trigger,
  )
  const mode = value === undefined ? 'off' : typeof value === 'string' ? value : 'own'
  const choose = (chosen: string): void => {
    if (chosen === 'own') {
      change(withOwn(props))
      return
    }
    const after = withValue(text, path, chosen === 'off' ? undefined : chosen)
    if (mode === 'own') onLeft({ ...left, [trigger]: { before: text, after } })
    change(after)
  }
  return (
    <>
      <SelectField
        label={`For ${WHAT[trigger]}`}
        docs={docsOf(editing, path)}
        value={mode}
        readOnly={editing.readOnly}
        options={[
          ['own', 'send a request'],
          ...others.map(other => [other, `send the request of ${other} rows`] as const),
          ['off', 'send nothing'],
        ]}
        onChoose={choose}
      />
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
          <BodyFields editing={editing} path={path} columns={columns} />
          <details>
            <summary>Headers, values to keep of the answer, and empty bodies</summary>
            <PairsField
              editing={editing}
              path={[...path, 'headers']}
              label="Headers"
              hint="Only this trigger sends these headers. Put a secret into the destination’s headers."
            />
            <PairsField
              editing={editing}
              path={[...path, 'capture']}
              label="Captured values"
              hint="A name, and where the answer has it: $.id. Later requests of the row see it as captured.name."
            />
            <SwitchField
              editing={editing}
              path={[...path, 'allowEmpty']}
              label="Send a batch whose body is empty, too"
              hint="Otherwise its rows are rejected, and so is a DELETE that names no row."
            />
          </details>
        </>
      ) : null}
    </>
  )
}

/**
 * The text with a request for this trigger: the request that was there before, or a new request that begins
 * with what the other triggers have.
 */
function withOwn({ editing, trigger, columns, keys, left }: OneTriggerProps): string {
  const { text } = editing
  const path = ['triggers', trigger]
  const before = left[trigger]
  if (before?.after === text) return before.before
  if (before !== undefined) return withValue(text, path, valueAt(before.before, path))
  const other = trigger === 'added' ? 'changed' : 'added'
  const key = keys.length === 0 ? ['id'] : keys
  const of = textAt(text, ['triggers', other, 'path']) || '/'
  if (trigger === 'removed') return withValue(text, path, { method: 'DELETE', path: pathOfOne(of, key) })
  const isBatch = valueAt(text, ['triggers', other, 'batch']) !== undefined
  const body = valueAt(text, ['triggers', other, 'body'])
  const start = { json: jsonOf({ columns: columns.length === 0 ? key : columns, isBatch: false }) }
  const own = { body: isBatch || body === undefined ? start : body }
  if (trigger === 'added') return withValue(text, path, { method: 'POST', path: of, ...own })
  return withValue(text, path, { method: 'PUT', path: pathOfOne(of, key), ...own })
}

/** Switching the batch also rewrites a template that nobody has edited. */
function Batch({ editing, path }: PartProps): ReactElement {
  const isOn = valueAt(editing.text, [...path, 'batch']) !== undefined
  const json = [...path, 'body', 'json']
  const change = (text: string): void => {
    const isBatch = valueAt(text, [...path, 'batch']) !== undefined
    const template = rewritten(textAt(text, json), isBatch)
    editing.change(template === null ? text : withValue(text, json, template))
  }
  return (
    <>
      <SwitchField
        editing={{ ...editing, change }}
        path={[...path, 'batch']}
        label="Several rows in one request"
        hint="The template then has rows instead of row."
        on={{ size: 100 }}
        isOn={isOn}
      />
      {isOn ? (
        <div className="columns">
          <TextField
            editing={editing}
            path={[...path, 'batch', 'size']}
            label="Batch size"
            isNumber
            placeholder="100"
            hint="At most this many rows"
          />
          <SizeField
            editing={editing}
            path={[...path, 'batch', 'bytes']}
            label="Body size"
            placeholder="1"
            hint="At most this much"
          />
        </div>
      ) : null}
    </>
  )
}
