/** The form of a model: its rows, from a table, a file, a topic or a query, and their key. */
import { useQuery } from '@tanstack/react-query'
import { useState, type ReactElement } from 'react'
import { ApiError } from '../../api/client.ts'
import { resourcesQuery } from '../../api/queries.ts'
import { ONCE_WHEN_THERE_IS_ROOM } from '../../api/query-client.ts'
import { count, many } from '../../ui/format.ts'
import { LazyCodeEditor } from '../../ui/lazy-code-editor.tsx'
import { Trouble } from '../../ui/parts.tsx'
import { marksOf } from '../../ui/places.ts'
import { ServerMessage } from '../../ui/server-message.tsx'
import {
  freeName,
  keysIn,
  MAX_NUMBERED,
  nameFrom,
  nameIn,
  STARTING_DRAFT,
  textAt,
  valueAt,
  withValue,
} from '../draft.ts'
import { ChoiceField, NAME_HINT, problemAt, TextField } from '../fields.tsx'
import {
  isReachable,
  queriedRows,
  queryOf,
  TYPED_MS,
  useKnownColumns,
  useModelRows,
  type ChosenRows,
} from '../model-rows.ts'
import { namesOf } from '../reused.ts'
import { RowsTable } from '../rows-table.tsx'
import { columnsNamedIn, completions, quotedIn, useSourceTables } from '../source-tables.ts'
import { Ticks } from '../ticks.tsx'
import { useRested, type Editing } from '../use-editing.ts'
import { SourceBrowser } from './tables.tsx'

interface ModelStepProps {
  readonly editing: Editing
  /** The text of the source that the rows come from. */
  readonly source: string
}

export function ModelStep({ editing, source }: ModelStepProps): ReactElement {
  const { text } = editing
  const isOfTopic = textAt(source, ['type']) === 'kafka'
  const waits = useRested(queryOf(text) === null, TYPED_MS)
  const rows = useModelRows({ source, model: text })
  const columns = useKnownColumns(source, rows.data)
  const choose = useChoose(editing)
  const from = { editing, source, seen: columns.seen, error: rows.error }
  return (
    <>
      <TextField editing={editing} path={['name']} label="Name" hint={NAME_HINT} />
      {editing.readOnly ? null : <SourceBrowser source={source} onChoose={choose} />}
      {isOfTopic ? (
        <TopicFields {...from} />
      ) : textAt(text, ['table']) === '' ? (
        <QueryField {...from} />
      ) : (
        <TableFields {...from} />
      )}
      <KeyField
        editing={editing}
        columns={columns.last}
        {...(isOfTopic ? { ofRecords: rows.data?.key ?? [] } : {})}
      />
      {waits || !isReachable(source) ? (
        <p className="quiet">The first rows appear here.</p>
      ) : rows.error !== null ? (
        <Trouble error={rows.error} brief onRetry={() => void rows.refetch()} />
      ) : rows.data === undefined ? (
        <p className="quiet" aria-busy="true">
          Asking the source…
        </p>
      ) : (
        <RowsTable rows={rows.data} />
      )}
      {isOfTopic || isOfChanges(text) ? null : <KeyCheck source={source} model={text} />}
    </>
  )
}

interface FromProps extends ModelStepProps {
  /** The columns that rows of this source had lately. */
  readonly seen: readonly string[]
  /** Why there are no rows. */
  readonly error: Error | null
}

/** True for a model whose query is one of the changes of a table or topic. */
const isOfChanges = (model: string): boolean =>
  textAt(model, ['sql']) !== '' && (textAt(model, ['table']) !== '' || textAt(model, ['topic']) !== '')

function QueryField({ editing, source, seen, error }: FromProps): ReactElement {
  const { text, change } = editing
  const sql = textAt(text, ['sql'])
  const tables = useSourceTables(source).data?.tables ?? []
  const lacks = problemAt(editing, ['sql'])
  return (
    <div className="field">
      <span className="field-label">SQL</span>
      <LazyCodeEditor
        label="SQL of the model"
        language="sql"
        value={sql}
        tables={completions(source, tables)}
        words={[...new Set([...seen, ...columnsNamedIn(sql, tables)])]}
        {...(editing.readOnly ? {} : { onChange: value => change(withValue(text, ['sql'], value)) })}
        marks={marksIn(error)}
      />
      {sql.trim() === '' && lacks !== undefined ? (
        <p className="field-error">
          <ServerMessage text={lacks} />
        </p>
      ) : null}
    </div>
  )
}

function TableFields(props: FromProps): ReactElement {
  const { editing, source } = props
  const isFollowed = valueAt(source, ['follow']) !== undefined
  return (
    <>
      <TextField
        editing={editing}
        path={['table']}
        label="Table"
        hint="All columns of this table, as schema.name. Emptied, it makes room for a query."
      />
      {isFollowed || isOfChanges(editing.text) ? <ChangesQuery {...props} /> : null}
    </>
  )
}

function TopicFields(props: FromProps): ReactElement {
  const { editing } = props
  // A topic needs to say what its records are, and nothing else does.
  const change = (text: string): void =>
    editing.change(
      textAt(text, ['topic']) === ''
        ? withValue(text, ['format'], undefined)
        : textAt(text, ['format']) === ''
          ? withValue(text, ['format'], 'debezium')
          : text,
    )
  return (
    <>
      <TextField editing={{ ...editing, change }} path={['topic']} label="Topic" />
      <ChoiceField
        editing={editing}
        path={['format']}
        label="Its records"
        isWritten
        choices={[
          ['debezium', 'changes, as Debezium writes them', 'A delete of Debezium removes its row.'],
          ['rows', 'rows, each value is one', 'A record without a value removes its row.'],
        ]}
      />
      <ChangesQuery {...props} />
    </>
  )
}

/** The optional query of the changes of a table or topic. */
function ChangesQuery({ editing, seen, error }: FromProps): ReactElement {
  const { text, change } = editing
  const sql = textAt(text, ['sql'])
  const [isOpen] = useState(sql !== '')
  return (
    <details open={isOpen}>
      <summary>Fewer rows, or other columns, by SQL</summary>
      <div className="field">
        <LazyCodeEditor
          label="SQL of the changes"
          language="sql"
          value={sql}
          words={['changes', ...seen]}
          {...(editing.readOnly
            ? {}
            : {
                onChange: value => change(withValue(text, ['sql'], value.trim() === '' ? undefined : value)),
              })}
          marks={marksIn(error)}
        />
        <small>
          For example <code>select id, upper(name) as name from changes where country = 'DE'</code>: each row
          becomes one row, or none.
        </small>
      </div>
    </details>
  )
}

const marksIn = (error: Error | null) => (error instanceof ApiError ? marksOf(error.details).slice(0, 1) : [])

/**
 * Writes the chosen rows into the model. A model that nobody has named yet takes their name, and a key that
 * the table has becomes the model's.
 */
function useChoose(editing: Editing): (rows: ChosenRows) => void {
  const { data } = useQuery(resourcesQuery)
  return ({ sql, table, topic, key = [], name }) => {
    const taken = namesOf(data?.resources ?? [], 'model')
    const present = nameIn(editing.text)
    const isUnnamed =
      present.replace(/-\d+$/, '') === nameIn(STARTING_DRAFT.model) && !taken.includes(present)
    let text = withValue(editing.text, ['table'], table)
    text = withValue(text, ['sql'], sql)
    text = withValue(text, ['topic'], topic)
    const format = textAt(text, ['format']) || 'debezium'
    text = withValue(text, ['format'], topic === undefined ? undefined : format)
    // The records of a topic have a key of their own.
    if (topic !== undefined) text = withValue(text, ['primaryKey'], undefined)
    if (key.length > 0) text = withKeys(text, key)
    if (isUnnamed) text = withValue(text, ['name'], freeName(nameFrom(name, MAX_NUMBERED) || present, taken))
    editing.change(text)
  }
}

function withKeys(text: string, chosen: readonly string[]): string {
  const [first, ...more] = chosen
  return withValue(text, ['primaryKey'], more.length === 0 ? first : chosen)
}

interface KeyFieldProps {
  readonly editing: Editing
  readonly columns: readonly string[]
  /** The key that the rows have without a choice. Undefined if somebody has to choose. */
  readonly ofRecords?: readonly string[]
}

function KeyField({ editing, columns, ofRecords }: KeyFieldProps): ReactElement {
  const keys = keysIn(editing.text)
  const unknown = keys.filter(key => columns.length > 0 && !columns.includes(key))
  return (
    <fieldset className="checks">
      <legend>Primary key: the columns that tell rows apart</legend>
      <Ticks
        names={columns}
        chosen={keys}
        readOnly={editing.readOnly}
        onChange={chosen => editing.change(withKeys(editing.text, chosen))}
      />
      {columns.length === 0 && keys.length === 0 && ofRecords === undefined ? (
        <small>The columns appear here with the rows.</small>
      ) : null}
      {ofRecords !== undefined && keys.length === 0 ? (
        <small>
          {ofRecords.length === 0
            ? 'Without a tick, the keys of the records tell rows apart.'
            : `Without a tick, the keys of the records tell rows apart: ${ofRecords.join(', ')}.`}
        </small>
      ) : unknown.length > 0 ? (
        <p className="field-error">The query has no column {unknown.join(', ')}.</p>
      ) : keys.length === 0 && columns.length > 0 ? (
        <p className="field-error">Tick at least one column.</p>
      ) : null}
    </fieldset>
  )
}

/** Counts rows with a null key or a duplicate one, which a run would leave out as invalid. */
function KeyCheck({
  source,
  model,
}: {
  readonly source: string
  readonly model: string
}): ReactElement | null {
  const keys = keysIn(model)
  const { sql, table } = queryOf(model) ?? {}
  const named = keys.map(key => quotedIn(source, key))
  const rows = `(${sql?.trim().replace(/;+$/, '') ?? `select * from ${table ?? ''}`}) model`
  const check = [
    `select count(*) as n, sum(case when ${named.map(key => `${key} is null`).join(' or ')} then 1 else 0 end) as nulls,`,
    `(select count(*) from (select ${named.join(', ')} from ${rows} group by ${named.join(', ')} having count(*) > 1) doubled) as doubled`,
    `from ${rows}`,
  ].join(' ')
  const [asked, setAsked] = useState<string | null>(null)
  const { data, error, isFetching } = useQuery({
    queryKey: ['key-check', source, asked],
    queryFn: ({ signal }) => queriedRows(source, { sql: asked ?? '' }, signal),
    enabled: asked !== null && asked === check,
    ...ONCE_WHEN_THERE_IS_ROOM,
  })
  if (keys.length === 0 || queryOf(model) === null) return null
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
