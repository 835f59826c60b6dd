/** The steps for where rows come from and where requests go: source, model, destination. */
import { rowsView, type RowsView } from '@sluice/contracts/api/resources'
import { useQuery } from '@tanstack/react-query'
import { useState, type ReactElement } from 'react'
import { ApiError, call } from '../api/client.ts'
import { limitsInWords } from '../syncs/limits-in-words.ts'
import { Trouble } from '../ui/parts.tsx'
import { LazyCodeEditor } from '../ui/lazy-code-editor.tsx'
import { documentsOf, nameIn, textAt, valueAt, withValue, type Draft } from './draft.ts'
import { ChoiceField, PairsField, SecretField, SwitchField, TextField } from './fields.tsx'
import { RowsTable } from './rows-table.tsx'
import { useRested, type Editing } from './use-editing.ts'

const TYPED_MS = 400
const NAME_HINT = 'Lower case letters, digits and -'

/** Rows of a query on the source as it stands in the draft. */
async function rowsOf(draft: Draft, sql: string, signal?: AbortSignal): Promise<RowsView> {
  const source = documentsOf(draft).filter(({ file }) => file === 'source.yaml')
  return await call(`/sources/${encodeURIComponent(nameIn(draft.source))}/rows`, {
    ...{ method: 'POST', body: { sql, documents: source }, answer: rowsView },
    ...(signal === undefined ? {} : { signal }),
  })
}

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
          ['duckdb', 'Files: CSV, Parquet, JSON, or a DuckDB database'],
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

type Tested = { readonly kind: 'works' } | { readonly kind: 'failed'; readonly message: string } | null

function TestConnection({ draft }: { readonly draft: Draft }): ReactElement {
  const [tested, setTested] = useState<Tested>(null)
  const [busy, setBusy] = useState(false)
  const test = async (): Promise<void> => {
    setBusy(true)
    try {
      await rowsOf(draft, 'select 1 as works')
      setTested({ kind: 'works' })
    } catch (error) {
      setTested({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
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
          <span className="bad">{tested.message}</span>
        )}
      </span>
    </div>
  )
}

export function ModelStep({
  editing,
  draft,
}: {
  readonly editing: Editing
  readonly draft: Draft
}): ReactElement {
  const { text, change } = editing
  const sql = textAt(text, ['sql'])
  const rested = useRested(sql, TYPED_MS)
  const source = useRested(draft.source, TYPED_MS)
  const rows = useQuery({
    queryKey: ['rows', source, rested],
    queryFn: ({ signal }) => rowsOf(draft, rested, signal),
    enabled: rested.trim() !== '',
    placeholderData: before => before,
    retry: false,
  })
  const tables = useTables(draft)
  const columns = rows.data?.columns.map(({ name }) => name) ?? []
  const sqlError = rows.error instanceof ApiError ? rows.error : null
  const line = sqlError?.details.find(detail => detail.line !== undefined)
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
          {...(editing.readOnly ? {} : { onChange: value => change(withValue(text, ['sql'], value)) })}
          marks={
            line === undefined ? [] : [{ line: line.line ?? 1, column: line.column, message: line.message }]
          }
        />
      </div>
      <KeyField editing={editing} columns={columns} />
      {rested.trim() === '' ? (
        <p className="quiet">Rows appear here as you type a query.</p>
      ) : rows.error !== null ? (
        <Trouble error={rows.error} onRetry={() => void rows.refetch()} />
      ) : rows.data === undefined ? (
        <p className="quiet">Asking the source…</p>
      ) : (
        <RowsTable rows={rows.data} />
      )}
      <KeyCheck draft={draft} sql={rested} />
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
      <legend>Key: the column, or columns, that name a row for ever</legend>
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

/** Counts rows whose key is null or is that of another row: a run would take none of them. */
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
    retry: false,
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
          <span className="good">✓ Each of the {numberOf('n')} rows has a key of its own.</span>
        ) : (
          <span className="bad">
            {numberOf('nulls')} rows have no key, {numberOf('doubled')} keys stand in more than one row. A run
            leaves these rows out.
          </span>
        )}
      </span>
    </div>
  )
}

/** The tables of a database, for completion. */
function useTables(draft: Draft): { readonly [table: string]: readonly string[] } {
  const type = textAt(draft.source, ['type'])
  const list = type === 'postgres' ? "string_agg(column_name, ',')" : 'group_concat(column_name)'
  const sql = `select concat(table_schema, '.', table_name) as name, ${list} as columns from information_schema.columns where table_schema not in ('information_schema', 'pg_catalog', 'mysql', 'sys', 'performance_schema') group by table_schema, table_name limit 100`
  const { data } = useQuery({
    queryKey: ['tables', draft.source],
    queryFn: ({ signal }) => rowsOf(draft, sql, signal),
    enabled: type === 'postgres' || type === 'mysql',
    retry: false,
    staleTime: Infinity,
  })
  const entries =
    data?.rows.map(row => [String(row['name']), String(row['columns']).split(',')] as const) ?? []
  return Object.fromEntries(entries)
}

export function DestinationStep({ editing }: { readonly editing: Editing }): ReactElement {
  const { text } = editing
  const name = nameIn(text)
  return (
    <>
      <TextField editing={editing} path={['name']} label="Name" hint={NAME_HINT} />
      <TextField
        editing={editing}
        path={['baseUrl']}
        label="Address of the API"
        placeholder="https://api.example.com/v1"
        hint="Each trigger adds a path to it."
      />
      <PairsField editing={editing} path={['headers']} label="Headers" suggested={name} />
      <AuthFields editing={editing} />
      <fieldset className="columns">
        <legend>Limits, over all syncs of this destination</legend>
        <TextField
          editing={editing}
          path={['limits', 'rate', 'requests']}
          label="At most so many requests"
          isNumber
          placeholder="1000"
        />
        <ChoiceField
          editing={editing}
          path={['limits', 'rate', 'per']}
          label="in each"
          isWritten
          choices={[
            ['second', 'second'],
            ['minute', 'minute'],
            ['hour', 'hour'],
          ]}
        />
        <TextField
          editing={editing}
          path={['limits', 'concurrency']}
          label="At once"
          isNumber
          placeholder="100"
        />
        <p className="quiet spanning">That is {limitsInWords(valueAt(text, ['limits']))}.</p>
      </fieldset>
      <details>
        <summary>Certificates</summary>
        <TlsFields editing={editing} />
      </details>
    </>
  )
}

const GRANTS = ['client-credentials', 'authorization-code', 'password', 'refresh-token'] as const

function AuthFields({ editing }: { readonly editing: Editing }): ReactElement {
  const { text, change, readOnly } = editing
  const auth = valueAt(text, ['auth'])
  const kind = typeof auth === 'object' && auth !== null ? (Object.keys(auth)[0] ?? 'none') : 'none'
  const name = nameIn(text)
  const start: { readonly [kind: string]: unknown } = {
    none: undefined,
    basic: { basic: { username: '', password: `\${secret:${name}-password}` } },
    bearer: { bearer: `\${secret:${name}-token}` },
    oauth2: {
      oauth2: {
        grant: 'client-credentials',
        tokenUrl: '',
        clientId: '',
        clientSecret: `\${secret:${name}-client}`,
      },
    },
  }
  const at = (...path: readonly string[]): readonly string[] => ['auth', kind, ...path]
  return (
    <fieldset>
      <legend>How to sign in there</legend>
      <label className="field">
        <span>Kind</span>
        <select
          value={kind}
          disabled={readOnly}
          onChange={({ target }) =>
            change(withValue(withValue(text, ['auth'], undefined), ['auth'], start[target.value]))
          }
        >
          <option value="none">Not at all, or by a header</option>
          <option value="basic">User and password</option>
          <option value="bearer">A bearer token</option>
          <option value="oauth2">OAuth 2</option>
        </select>
      </label>
      {kind === 'basic' ? (
        <>
          <TextField editing={editing} path={at('username')} label="User" />
          <SecretField
            editing={editing}
            path={at('password')}
            label="Password"
            suggested={`${name}-password`}
          />
        </>
      ) : null}
      {kind === 'bearer' ? (
        <SecretField editing={editing} path={['auth', 'bearer']} label="Token" suggested={`${name}-token`} />
      ) : null}
      {kind === 'oauth2' ? (
        <>
          <ChoiceField
            editing={editing}
            path={at('grant')}
            label="Grant"
            isWritten
            choices={GRANTS.map(grant => [grant, grant])}
          />
          <TextField editing={editing} path={at('tokenUrl')} label="Token URL" />
          {textAt(text, at('grant')) === 'authorization-code' ? (
            <>
              <TextField editing={editing} path={at('authorizationUrl')} label="Authorization URL" />
              <p className="quiet">
                Once it is saved, sign in with <code>sluice auth {name}</code>: it opens the API’s own page.
              </p>
            </>
          ) : null}
          <TextField editing={editing} path={at('clientId')} label="Client id" />
          <SecretField
            editing={editing}
            path={at('clientSecret')}
            label="Client secret"
            suggested={`${name}-client`}
          />
          <TextField editing={editing} path={at('scopes')} label="Scopes" isList hint="Separated by commas" />
        </>
      ) : null}
    </fieldset>
  )
}

function TlsFields({ editing }: { readonly editing: Editing }): ReactElement {
  const name = nameIn(editing.text)
  return (
    <>
      <SecretField
        editing={editing}
        path={['tls', 'ca']}
        label="Authority (PEM)"
        suggested={`${name}-ca`}
        hint="For a server whose certificate no public authority has signed."
      />
      <SecretField
        editing={editing}
        path={['tls', 'cert']}
        label="Client certificate (PEM)"
        suggested={`${name}-cert`}
      />
      <SecretField editing={editing} path={['tls', 'key']} label="Its key (PEM)" suggested={`${name}-key`} />
      <SecretField
        editing={editing}
        path={['tls', 'passphrase']}
        label="Passphrase of the key"
        suggested={`${name}-passphrase`}
      />
      <SwitchField
        editing={editing}
        path={['tls', 'insecure']}
        label="Accept any certificate"
        hint="Only for trying things: anybody on the way can read along."
        on={true}
        off={undefined}
        isOn={valueAt(editing.text, ['tls', 'insecure']) === true}
      />
    </>
  )
}
