/** The rules of a sync about answers: their meaning, and the results of single rows of a batch. */
import type { ReactElement, ReactNode } from 'react'
import { isMap } from '../ui/fields-of.ts'
import { textAt, valueAt, withValue, type Path } from './draft.ts'
import { docsOf } from './field-docs.ts'
import { ChoiceField, DocsLink, TextField } from './fields.tsx'
import { takesEveryItem } from './row-rules.ts'
import { ModeField, SelectField } from './select-field.tsx'
import type { Editing } from './use-editing.ts'

interface RulesProps {
  readonly editing: Editing
  readonly columns: readonly string[]
}

const MEANINGS = [
  ['delivered', 'delivered'],
  ['rejected', 'rejected', 'It was not applied.'],
  ['unknown', 'unknown', 'It may have been applied.'],
  ['throttled', 'throttled', 'The API asks to wait.'],
  ['exists', 'exists', 'The row is there already.'],
  ['missing', 'missing', 'The row is not there.'],
] as const

export function AnswerRules({ editing }: { readonly editing: Editing }): ReactElement {
  return (
    <Rules
      editing={editing}
      path={['errors', 'answers']}
      legend="Answers that mean something else than usual"
      hint="The first rule that fits decides. Otherwise 2xx is delivered, 429 throttled, 408 and 5xx unknown, and all others rejected."
      start={{ status: 409, as: 'exists' }}
      action="Add a rule for answers"
    >
      {path => (
        <>
          <StatusField editing={editing} path={[...path, 'status']} />
          <Meaning editing={editing} path={path} label="It means" />
          <Found editing={editing} path={path} where="the body" />
        </>
      )}
    </Rules>
  )
}

export function RowRules({ editing, columns }: RulesProps): ReactElement {
  return (
    <Rules
      editing={editing}
      path={['errors', 'rowResults']}
      legend="Results of single rows of a batch"
      hint="For an API that says of each row what became of it. Rows that no rule names share what the answer means."
      start={{ items: '$.errors[*]', row: { index: '$.index' }, as: 'rejected', error: '$.message' }}
      action="Add a rule for rows"
    >
      {path => (
        <>
          <TextField
            editing={editing}
            path={[...path, 'items']}
            label="Items of the answer"
            hint="JSONPath, such as $.results[*]"
          />
          <RowField editing={editing} path={[...path, 'row']} columns={columns} />
          <Meaning editing={editing} path={path} label="The row is" />
          <Found {...{ editing, path }} where="the item" hint={takesEveryItem(valueAt(editing.text, path))} />
        </>
      )}
    </Rules>
  )
}

interface ListProps {
  readonly editing: Editing
  readonly path: Path
  readonly legend: string
  readonly hint: string
  readonly start: unknown
  readonly action: string
  readonly children: (path: Path) => ReactNode
}

function Rules({ editing, path, legend, hint, start, action, children }: ListProps): ReactElement {
  const { text, change, readOnly } = editing
  const value = valueAt(text, path)
  const rules: readonly unknown[] = Array.isArray(value) ? value : []
  const write = (next: readonly unknown[]): void =>
    change(withValue(text, path, next.length === 0 ? undefined : next))
  return (
    <fieldset>
      <legend>{legend}</legend>
      <div className="label-line">
        <small>{hint}</small>
        <DocsLink docs={docsOf(editing, path)} of={legend} />
      </div>
      {rules.map((_, index) => (
        <div key={index} className="columns rule" role="group" aria-label={`Rule ${index + 1}`}>
          {children([...path, index])}
          <button
            type="button"
            disabled={readOnly}
            aria-label={`Remove rule ${index + 1}`}
            onClick={() => write(rules.filter((__, at) => at !== index))}
          >
            Remove
          </button>
        </div>
      ))}
      <div className="actions">
        <button type="button" disabled={readOnly} onClick={() => write([...rules, start])}>
          {action}
        </button>
      </div>
    </fieldset>
  )
}

interface PartProps {
  readonly editing: Editing
  readonly path: Path
}

function StatusField({ editing, path }: PartProps): ReactElement {
  const { change } = editing
  // The YAML has statuses as numbers, also in a list.
  const typed = (text: string): void => {
    const value = valueAt(text, path)
    const numbers = Array.isArray(value) ? value.map(numberOf) : numberOf(value)
    change(withValue(text, path, numbers))
  }
  return (
    <TextField
      editing={{ ...editing, change: typed }}
      path={path}
      label="Status"
      isList
      hint="409, 4xx, or several: 404, 410"
    />
  )
}

const numberOf = (value: unknown): unknown =>
  typeof value === 'string' && /^\d{1,3}$/.test(value) ? Number(value) : value

function Meaning({ editing, path, label }: PartProps & { readonly label: string }): ReactElement {
  return <ChoiceField editing={editing} path={[...path, 'as']} label={label} isWritten choices={MEANINGS} />
}

/** The fields for what the rule looks for, and for the place of the reason. */
function Found({
  editing,
  path,
  where,
  hint,
}: PartProps & { readonly where: string; readonly hint?: string | undefined }): ReactElement {
  const as = textAt(editing.text, [...path, 'as'])
  return (
    <>
      <TextField editing={editing} path={[...path, 'body']} label={`If ${where} has the text`} />
      <TextField
        editing={editing}
        path={[...path, 'json']}
        label={`If ${where} has a value at`}
        placeholder="$.error"
        hint={hint}
      />
      <TextField editing={editing} path={[...path, 'error']} label="Reason at" placeholder="$.message" />
      {as === 'rejected' || as === 'unknown' ? (
        <ChoiceField
          editing={editing}
          path={[...path, 'retry']}
          label="Try again"
          choices={[
            ['', 'as all others'],
            ['next-run', 'on the next run only'],
          ]}
        />
      ) : null}
    </>
  )
}

function RowField({
  editing,
  path,
  columns,
}: PartProps & { readonly columns: readonly string[] }): ReactElement {
  const value = valueAt(editing.text, path)
  const [column = ''] = isMap(value) ? Object.keys(value) : []
  const first = columns[0] ?? 'id'
  return (
    <ModeField
      editing={editing}
      path={path}
      label="Its row is found by"
      modes={[
        { id: 'position', name: 'its position', start: undefined, fits: each => !isMap(each) },
        {
          ...{ id: 'index', name: 'an index in the item', start: { index: '$.index' } },
          fits: each => isMap(each) && column === 'index',
        },
        { id: 'column', name: 'a column', start: { [first]: `$.${first}` }, fits: isMap },
      ]}
    >
      {mode =>
        mode === 'position' ? null : (
          <>
            {mode === 'column' ? (
              <SelectField
                label="Column of the model"
                value={column}
                readOnly={editing.readOnly}
                options={[...new Set([...columns, column])].map(each => [each, each] as const)}
                onChoose={chosen => {
                  const at = textAt(editing.text, [...path, column])
                  editing.change(withValue(editing.text, path, { [chosen]: at }))
                }}
              />
            ) : null}
            <TextField
              editing={editing}
              path={[...path, column]}
              label="Where the item has it"
              placeholder="$.id"
              keepsEmpty
            />
          </>
        )
      }
    </ModeField>
  )
}
