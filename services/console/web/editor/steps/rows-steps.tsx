/** The steps for source and model. */
import { messageOf } from '@sluice/contracts/errors'
import { useQuery } from '@tanstack/react-query'
import { useState, type ReactElement } from 'react'
import { ApiError } from '../../api/client.ts'
import { ONCE_WHEN_THERE_IS_ROOM } from '../../api/query-client.ts'
import { Trouble } from '../../ui/parts.tsx'
import { ServerMessage } from '../../ui/server-message.tsx'
import { count, many } from '../../ui/format.ts'
import { marksOf } from '../../ui/places.ts'
import { isOfTexts, isUntouched, rowsOf, TYPED_MS, useKnownColumns, useModelRows } from '../model-rows.ts'
import { Files, useTables } from './tables.tsx'
import { LazyCodeEditor } from '../../ui/lazy-code-editor.tsx'
import { nameIn, textAt, valueAt, withValue, type Draft } from '../draft.ts'
import { NAME_HINT, ChoiceField, SecretField, TextField } from '../fields.tsx'
import { RowsTable } from '../rows-table.tsx'
import { useRested, type Editing } from '../use-editing.ts'

export function SourceStep({
  editing,
  draft,
}: {
  readonly editing: Editing
  readonly draft: Draft
}): ReactElement {
  const isFiles = (textAt(editing.text, ['type']) || 'duckdb') === 'duckdb'
  return (
    <>
      <TextField editing={editing} path={['name']} label="Name" hint={NAME_HINT} />
      <ChoiceField
        editing={editing}
        path={['type']}
        label="Where the rows are"
        isWritten
        choices={[
          ['duckdb', 'Files: CSV, Parquet, JSON, DuckDB'],
          ['postgres', 'PostgreSQL'],
          ['mysql', 'MySQL or MariaDB'],
        ]}
      />
      {isFiles ? (
        <TextField
          editing={editing}
          path={['path']}
          label="Folder, or .duckdb file"
          hint="File names in the SQL start from this folder. A server reads only below the folders that its operator allows."
        />
      ) : (
        <>
          <TextField
            editing={editing}
            path={['url']}
            label="Address"
            placeholder="postgres://reader@db.example.com:5432/crm"
            hint="With the user, without the password. A user that may only read is enough."
          />
          <SecretField
            editing={editing}
            path={['password']}
            label="Password"
            suggested={`${nameIn(editing.text)}-password`}
          />
        </>
      )}
      <TestConnection draft={draft} />
    </>
  )
}

/** The result of a test, and the text of the source that was tested. */
type Tested = { readonly source: string } & (
  { readonly kind: 'works' } | { readonly kind: 'failed'; readonly message: string }
)

function TestConnection({ draft }: { readonly draft: Draft }): ReactElement {
  const [lately, setLately] = useState<Tested | null>(null)
  const tested = lately?.source === draft.source ? lately : null
  const [busy, setBusy] = useState(false)
  const test = async (): Promise<void> => {
    setBusy(true)
    const { source } = draft
    try {
      await rowsOf(draft, 'select 1 as works')
      setLately({ source, kind: 'works' })
    } catch (error) {
      setLately({ source, kind: 'failed', message: messageOf(error) })
    } finally {
      setBusy(false)
    }
  }
  return (
    <div className="test-line">
      <button type="button" disabled={busy} onClick={() => void test()}>
        {busy ? 'Connecting…' : 'Test the connection'}
      </button>
      <span role="status">
        {tested === null ? null : tested.kind === 'works' ? (
          <span className="good">✓ The source answers.</span>
        ) : (
          <span className="bad">
            <ServerMessage text={tested.message} />
          </span>
        )}
      </span>
    </div>
  )
}

export function ModelStep({
  editing,
  draft,
  example,
}: {
  readonly editing: Editing
  readonly draft: Draft
  /** The example that a new sync begins with. Null once the user has chosen something else. */
  readonly example: Draft | null
}): ReactElement {
  const { text, change } = editing
  const sql = textAt(text, ['sql'])
  const rested = useRested(sql, TYPED_MS)
  const rows = useModelRows(draft)
  const asked = useRested(draft, TYPED_MS)
  const waits = isOfTexts(rows.error) && isUntouched(asked, example)
  const tables = useTables(draft)
  const columns = useKnownColumns(draft.source, rows.data)
  const marks = rows.error instanceof ApiError && !waits ? marksOf(rows.error.details).slice(0, 1) : []
  return (
    <>
      <TextField editing={editing} path={['name']} label="Name" hint={NAME_HINT} />
      <div className="field">
        <span className="field-label">SQL</span>
        <LazyCodeEditor
          label="SQL of the model"
          language="sql"
          value={sql}
          tables={tables}
          words={columns.seen}
          {...(editing.readOnly ? {} : { onChange: value => change(withValue(text, ['sql'], value)) })}
          marks={marks}
        />
      </div>
      {editing.readOnly ? null : (
        <Files draft={draft} onChoose={file => change(withValue(text, ['sql'], file))} />
      )}
      <KeyField editing={editing} columns={columns.last} />
      {rested.trim() === '' ? (
        <p className="quiet">Rows appear here as you type a query.</p>
      ) : waits ? (
        <p className="quiet">
          This query is an example. Choose a file or write your own query, and its rows appear here.
        </p>
      ) : rows.error !== null ? (
        <Trouble error={rows.error} brief onRetry={() => void rows.refetch()} />
      ) : rows.data === undefined ? (
        <p className="quiet" aria-busy="true">
          Asking the source…
        </p>
      ) : (
        <RowsTable rows={rows.data} />
      )}
      <KeyCheck draft={draft} sql={sql} />
    </>
  )
}

const keysIn = (text: string): readonly string[] => {
  const value = valueAt(text, ['primaryKey'])
  if (Array.isArray(value)) return value.map(String)
  return typeof value === 'string' && value !== '' ? [value] : []
}

function KeyField({
  editing,
  columns,
}: {
  readonly editing: Editing
  readonly columns: readonly string[]
}): ReactElement {
  const keys = keysIn(editing.text)
  const unknown = keys.filter(key => columns.length > 0 && !columns.includes(key))
  const write = (chosen: readonly string[]): void => {
    const [first, ...more] = chosen
    editing.change(withValue(editing.text, ['primaryKey'], more.length === 0 ? first : chosen))
  }
  return (
    <fieldset className="checks">
      <legend>Key: what names a row for ever</legend>
      {[...new Set([...columns, ...keys])].map(column => (
        <label key={column}>
          <input
            type="checkbox"
            disabled={editing.readOnly}
            checked={keys.includes(column)}
            onChange={() =>
              write(keys.includes(column) ? keys.filter(key => key !== column) : [...keys, column])
            }
          />
          {column}
        </label>
      ))}
      {unknown.length === 0 ? null : (
        <p className="field-error">The query has no column {unknown.join(', ')}.</p>
      )}
    </fieldset>
  )
}

/** Counts rows with a null key or a duplicate one, which a run would leave out as invalid. */
function KeyCheck({ draft, sql }: { readonly draft: Draft; readonly sql: string }): ReactElement | null {
  const keys = keysIn(draft.model)
  const quote = textAt(draft.source, ['type']) === 'mysql' ? '`' : '"'
  const named = keys.map(key => `${quote}${key.replaceAll(quote, quote + quote)}${quote}`)
  const model = `(${sql.trim().replace(/;+$/, '')}) model`
  const check = [
    `select count(*) as n, sum(case when ${named.map(key => `${key} is null`).join(' or ')} then 1 else 0 end) as nulls,`,
    `(select count(*) from (select ${named.join(', ')} from ${model} group by ${named.join(', ')} having count(*) > 1) doubled) as doubled`,
    `from ${model}`,
  ].join(' ')
  const [asked, setAsked] = useState<string | null>(null)
  const { data, error, isFetching } = useQuery({
    queryKey: ['key-check', draft.source, asked],
    queryFn: ({ signal }) => rowsOf(draft, asked ?? '', signal),
    enabled: asked !== null && asked === check,
    ...ONCE_WHEN_THERE_IS_ROOM,
  })
  if (keys.length === 0 || sql.trim() === '') return null
  const found = asked === check ? data?.rows[0] : undefined
  const numberOf = (name: string): number => Number(found?.[name] ?? 0)
  const bad = numberOf('nulls') + numberOf('doubled')
  return (
    <div className="test-line">
      <button type="button" disabled={isFetching} onClick={() => setAsked(check)}>
        {isFetching ? 'Counting…' : 'Check the key'}
      </button>
      <span role="status">
        {error !== null && asked === check ? <span className="bad">{error.message}</span> : null}
        {found === undefined ? null : bad === 0 ? (
          <span className="good">✓ Each of the {count(numberOf('n'))} rows has a key of its own.</span>
        ) : (
          <span className="bad">
            {many(numberOf('nulls'), 'row has', 'rows have')} no key,{' '}
            {many(numberOf('doubled'), 'key stands', 'keys stand')} in more than one row. A run leaves these
            rows out.
          </span>
        )}
      </span>
    </div>
  )
}
