/** The tables of a database, and the files of a folder. */
import { useQuery } from '@tanstack/react-query'
import { ONCE_WHEN_THERE_IS_ROOM } from '../../api/query-client.ts'
import type { ReactElement } from 'react'
import { OF_DRAFT, textAt, type Draft } from '../draft.ts'
import { rowsOf } from '../model-rows.ts'

/** The tables of a database, for completion. */
export function useTables(draft: Draft): { readonly [table: string]: readonly string[] } {
  const type = textAt(draft.source, ['type'])
  const list = type === 'postgres' ? "string_agg(column_name, ',')" : 'group_concat(column_name)'
  const sql = `select concat(table_schema, '.', table_name) as name, ${list} as columns from information_schema.columns where table_schema not in ('information_schema', 'pg_catalog', 'mysql', 'sys', 'performance_schema') group by table_schema, table_name limit 100`
  const { data } = useQuery({
    queryKey: ['tables', draft.source],
    queryFn: ({ signal }) => rowsOf(draft, sql, signal),
    enabled: type === 'postgres' || type === 'mysql',
    ...ONCE_WHEN_THERE_IS_ROOM,
    staleTime: Infinity,
  })
  const entries =
    data?.rows.map(row => [String(row['name']), String(row['columns']).split(',')] as const) ?? []
  return Object.fromEntries(entries)
}

const ENDINGS = ['csv', 'parquet', 'json', 'ndjson']
const MAX_FILES = 24
const FILES_SQL = `${ENDINGS.map(ending => `select file from glob('*.${ending}')`).join(' union all ')} order by file limit ${MAX_FILES}`

interface FilesProps {
  readonly draft: Draft
  /** Called with a query that reads the chosen file. */
  readonly onChoose: (sql: string) => void
}

/** The files of a folder. A click on one gives a query that reads it. Empty for a database. */
export function Files({ draft, onChoose }: FilesProps): ReactElement | null {
  const isFolder =
    (textAt(draft.source, ['type']) || 'duckdb') === 'duckdb' &&
    !/[.](?:duck)?db$/.test(textAt(draft.source, ['path']))
  const { data } = useQuery({
    queryKey: ['files', draft.source],
    queryFn: ({ signal }) => rowsOf(draft, FILES_SQL, signal),
    enabled: isFolder,
    ...ONCE_WHEN_THERE_IS_ROOM,
    meta: OF_DRAFT,
  })
  if (!isFolder || data === undefined) return null
  const files = data.rows.map(row => String(row['file']).replace(/^.*[/]/, ''))
  if (files.length === 0)
    return <p className="quiet">No CSV, Parquet or JSON file stands in the folder of the source.</p>
  return (
    <div className="actions" role="group" aria-label="Files of the source">
      <span className="quiet">Start from</span>
      {files.map(file => (
        <button
          key={file}
          type="button"
          className="small"
          onClick={() => onChoose(`select * from '${file.replaceAll("'", "''")}'`)}
        >
          {file}
        </button>
      ))}
    </div>
  )
}
