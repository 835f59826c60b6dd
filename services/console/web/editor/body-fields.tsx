/** The body of a trigger's requests: a template, a map of fields, a form, or a column. */
import { useEffect, useMemo, useRef, useState, type ReactElement } from 'react'
import { LazyCodeEditor } from '../ui/lazy-code-editor.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { textAt, valueAt, withValue } from './draft.ts'
import { FieldMapper } from './field-mapper.tsx'
import { docsOf } from './field-docs.ts'
import { ChoiceField, DocsLink, PairsField, problemAt, TextField } from './fields.tsx'
import { allColumns } from './mapped-values.ts'
import { placeIn } from './mistakes.ts'
import { SelectField } from './select-field.tsx'
import { columnIn, jsonOf, repeated } from './starting-requests.ts'
import type { Editing } from './use-editing.ts'

export interface PartProps {
  readonly editing: Editing
  readonly path: readonly string[]
}

interface BodyProps extends PartProps {
  readonly columns: readonly string[]
}

type BodyKind = 'none' | 'json' | 'fields' | 'jsonColumn' | 'xml' | 'form' | 'text'

const BODIES: readonly (readonly [kind: BodyKind, name: string])[] = [
  ['none', 'No body'],
  ['json', 'JSON from a template'],
  ['fields', 'JSON from a map of fields'],
  ['jsonColumn', 'A column that holds JSON'],
  ['xml', 'XML from a template'],
  ['form', 'A form'],
  ['text', 'Other text'],
]

/** A body of this kind with all columns. */
function startOf(kind: BodyKind, columns: readonly string[], isBatch: boolean): unknown {
  const named = columns.length === 0 ? ['id'] : columns
  const tagOf = (column: string): string =>
    column.replaceAll(/[^\w.-]+/g, '_').replace(/^(?=[^A-Za-z_])/, '_')
  const outputs = named.map(column => [column, `{{ ${columnIn(column)} }}`] as const)
  const row = outputs.map(([column, output]) => `  <${tagOf(column)}>${output}</${tagOf(column)}>\n`).join('')
  const line = `${outputs.map(([, output]) => output).join(',')}\n`
  const each = (one: string): string => `{%- for row in rows %}\n${one}{%- endfor %}\n`
  const starts: { readonly [kind in BodyKind]: unknown } = {
    none: undefined,
    json: { json: jsonOf({ columns: named, isBatch }) },
    fields: { fields: Object.fromEntries(columns.map(column => [column, column])) },
    jsonColumn: { jsonColumn: '' },
    xml: { xml: isBatch ? `<rows>\n${each(`<row>\n${row}</row>\n`)}</rows>\n` : `<row>\n${row}</row>\n` },
    form: { form: isBatch ? {} : Object.fromEntries(outputs) },
    text: { text: { contentType: 'text/plain', template: isBatch ? each(line) : line } },
  }
  return starts[kind]
}

export function BodyFields({ editing, path, columns }: BodyProps): ReactElement {
  const { text, change, readOnly } = editing
  const at = [...path, 'body']
  const value = valueAt(text, at)
  const kind: BodyKind =
    typeof value === 'object' && value !== null
      ? (BODIES.find(([name]) => name in value)?.[0] ?? 'json')
      : 'none'
  const isBatch = valueAt(text, [...path, 'batch']) !== undefined
  // A body of another kind comes back when the user chooses that kind again.
  const [left, setLeft] = useState<{ readonly [kind: string]: unknown }>({})
  // A map that was chosen before the rows were read gets their columns.
  const waits = useRef(false)
  const filled = kind === 'fields' ? allColumns(valueAt(text, [...at, 'fields']), columns) : null
  useEffect(() => {
    if (columns.length === 0) return
    if (waits.current && filled !== null) change(withValue(text, [...at, 'fields'], filled))
    waits.current = false
  }, [columns])
  const choose = (chosen: string): void => {
    waits.current = columns.length === 0
    const next = BODIES.find(([name]) => name === chosen)?.[0] ?? 'none'
    setLeft({ ...left, [kind]: value })
    change(withValue(text, at, next in left ? left[next] : startOf(next, columns, isBatch)))
  }
  const words = useMemo(() => wordsOf(columns, isBatch), [columns, isBatch])
  const shared = { editing, words, columns, isBatch }
  return (
    <>
      <SelectField
        label="Body"
        docs={docsOf(editing, at)}
        value={kind}
        readOnly={readOnly}
        options={BODIES}
        onChoose={choose}
      />
      {kind === 'json' ? (
        <Template {...shared} path={[...at, 'json']} language="json" label="JSON template" />
      ) : null}
      {kind === 'xml' ? (
        <Template {...shared} path={[...at, 'xml']} language="xml" label="XML template" />
      ) : null}
      {kind === 'text' ? (
        <>
          <TextField editing={editing} path={[...at, 'text', 'contentType']} label="Content type" />
          <Template {...shared} path={[...at, 'text', 'template']} language="text" label="Template" />
        </>
      ) : null}
      {kind === 'form' ? (
        <PairsField
          editing={editing}
          path={[...at, 'form']}
          label="Form fields"
          hint="Values are Liquid, such as {{ row.email }}."
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
        <>
          <FieldMapper editing={editing} path={[...at, 'fields']} {...{ columns, words }} />
          <ChoiceField
            editing={editing}
            path={[...at, 'whenNull']}
            label="A column that is null"
            choices={[
              ['keep', 'is sent as null'],
              ['empty', 'is sent as empty text'],
              ['omit', 'is left out'],
            ]}
          />
        </>
      ) : null}
      {kind === 'fields' || kind === 'jsonColumn' ? (
        <TextField
          editing={editing}
          path={[...at, 'wrap']}
          label="Around it"
          placeholder={isBatch ? '{"inputs": {{ items }}}' : '{"data": {{ items }}}'}
          hint={`JSON with {{ items }} where ${isBatch ? 'the list of rows' : 'the object'} belongs; empty for nothing around it.`}
        />
      ) : null}
    </>
  )
}

function wordsOf(columns: readonly string[], isBatch: boolean): readonly string[] {
  const row = columns.flatMap(column => (isBatch ? [columnIn(column)] : [columnIn(column), column]))
  const previous = isBatch ? [] : columns.map(column => columnIn(column, 'previous'))
  return [...row, ...previous, ...(isBatch ? ['rows', 'row.captured'] : ['captured']), 'run.id', 'sync.name']
}

interface TemplateProps extends PartProps {
  readonly label: string
  readonly language: 'json' | 'xml' | 'text'
  readonly words: readonly string[]
  readonly columns: readonly string[]
  readonly isBatch: boolean
}

function Template({ editing, path, label, language, words, columns, isBatch }: TemplateProps): ReactElement {
  const { text, change, readOnly, problems } = editing
  const problem = problemAt(editing, path)
  const detail = problems.find(({ field }) => field === path.join('.'))
  const place = detail === undefined ? null : placeIn(text, detail)
  const marks = problem === undefined ? [] : [{ line: 1, ...place, message: problem }]
  const template = textAt(text, path)
  const isOfOneRow = isBatch && template.trim() !== '' && !/\brows\b/.test(template)
  return (
    <div className="field">
      <div className="label-line">
        <span className="field-label">{label}</span>
        <DocsLink docs={docsOf(editing, path)} of={label} />
      </div>
      <LazyCodeEditor
        label={label}
        language={language}
        value={template}
        words={words}
        variables={columns.map(column => [column, columnIn(column)] as const)}
        marks={marks}
        {...(readOnly ? {} : { onChange: value => change(withValue(text, path, value)) })}
      />
      {isOfOneRow ? (
        <p className="test-line">
          <span>This template is for one row, and the request has several.</span>
          <button
            type="button"
            className="small"
            disabled={readOnly}
            onClick={() =>
              change(
                withValue(
                  text,
                  path,
                  language === 'json'
                    ? repeated(template)
                    : `{%- for row in rows %}\n${template}{%- endfor %}\n`,
                ),
              )
            }
          >
            Repeat it for each row
          </button>
        </p>
      ) : null}
      {problem === undefined ? null : (
        <p className="field-error">
          {place === null ? null : <b>Line {place.line}: </b>}
          <ServerMessage text={problem} />
        </p>
      )}
    </div>
  )
}
