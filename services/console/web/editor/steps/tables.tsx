/**
 * The browser of what a source holds: the schemas, tables and columns of a database, topics, or the files of
 * a folder.
 */
import { useQuery, type UseQueryResult } from '@tanstack/react-query'
import { useState, type ReactElement } from 'react'
import { ONCE_WHEN_THERE_IS_ROOM } from '../../api/query-client.ts'
import { many } from '../../ui/format.ts'
import { OF_DRAFT, textAt, valueAt } from '../draft.ts'
import { isReachable, queriedRows, type ChosenRows } from '../model-rows.ts'
import { hasTables, queryOfTable, useSourceTables, type SourceTable } from '../source-tables.ts'
import { BrowserFrame, Unknown } from './browser-frame.tsx'
import { Topics } from './topics.tsx'

interface BrowserProps {
  readonly source: string
  readonly onChoose: (rows: ChosenRows) => void
}

/** Shows what the source holds. A click chooses the rows of a table or file. */
export function SourceBrowser(props: BrowserProps): ReactElement | null {
  if (hasTables(props.source)) return <Tables {...props} />
  if (textAt(props.source, ['type']) === 'kafka') return <Topics {...props} />
  return isFolder(props.source) ? <Files {...props} /> : null
}

/** Below this many tables nobody has to search. */
const FEW = 9

function Tables({ source, onChoose }: BrowserProps): ReactElement {
  const [search, setSearch] = useState('')
  const { data, error, isFetching } = useSourceTables(source, search)
  if (!isReachable(source))
    return <p className="quiet">The tables appear here once the source has a host, a database and a user.</p>
  if (data === undefined) return <Unknown one="table" {...{ source, error }} />
  const schemas = [...new Set(data.tables.map(({ schema }) => schema))]
  const mayHide = data.more || data.tables.length > FEW || search !== ''
  return (
    <BrowserFrame
      one="table"
      search={mayHide ? { text: search, set: setSearch } : undefined}
      isBusy={isFetching}
    >
      {schemas.map(schema => (
        <div key={schema}>
          {schemas.length === 1 ? null : <h4>{schema}</h4>}
          <ul>
            {data.tables
              .filter(table => table.schema === schema)
              .map(table => (
                <TableLine key={table.name} {...{ source, table, onChoose }} />
              ))}
          </ul>
        </div>
      ))}
      {data.tables.length > 0 ? null : search === '' ? (
        <p className="quiet">This user may read no table. A grant of SELECT at the database shows it here.</p>
      ) : (
        <p className="quiet">No table has this name.</p>
      )}
      {data.more ? <p className="quiet">There are more tables. The search finds them.</p> : null}
    </BrowserFrame>
  )
}

/** A stream follows a table, and knows no query. */
function rowsOf(source: string, table: SourceTable): Pick<ChosenRows, 'sql' | 'table'> {
  return valueAt(source, ['follow']) === undefined
    ? { sql: queryOfTable(source, table) }
    : { table: `${table.schema}.${table.name}` }
}

interface LineProps extends BrowserProps {
  readonly table: SourceTable
}

function TableLine({ source, table, onChoose }: LineProps): ReactElement {
  const { name, key, columns } = table
  const [isOpen, setOpen] = useState(false)
  return (
    <li>
      <div className="table-line">
        <button
          type="button"
          className="plain"
          aria-expanded={isOpen}
          aria-label={`Columns of ${name}`}
          onClick={() => setOpen(!isOpen)}
        >
          {isOpen ? '▾' : '▸'}
        </button>
        <span className="table-name">{name}</span>
        <small>{many(columns.length, 'column', 'columns')}</small>
        <button
          type="button"
          className="small"
          aria-label={`Use ${name}`}
          onClick={() => onChoose({ ...rowsOf(source, table), key, name })}
        >
          Use
        </button>
      </div>
      {isOpen ? (
        <ul className="table-columns" aria-label={`Columns of ${name}`}>
          {columns.map(column => (
            <li key={column.name}>
              {column.name} <small>{column.type}</small>
              {key.includes(column.name) ? <small className="good"> primary key</small> : null}
            </li>
          ))}
        </ul>
      ) : null}
    </li>
  )
}

const ENDINGS = ['csv', 'parquet', 'json', 'ndjson']
const MAX_FILES = 24
const FILES_SQL = `${ENDINGS.map(ending => `select file from glob('*.${ending}')`).join(' union all ')} order by file limit ${MAX_FILES}`

const isFolder = (source: string): boolean =>
  (textAt(source, ['type']) || 'duckdb') === 'duckdb' && !/[.](?:duck)?db$/.test(textAt(source, ['path']))

/** The names of the files in the folder of a source. Asks nothing for any other source. */
export function useFiles(source: string): UseQueryResult<readonly string[]> {
  return useQuery({
    queryKey: ['files', source],
    queryFn: async ({ signal }) => {
      const { rows } = await queriedRows(source, { sql: FILES_SQL, limit: MAX_FILES }, signal)
      return rows.map(row => String(row['file']).replace(/^.*[/]/, ''))
    },
    enabled: isFolder(source),
    ...ONCE_WHEN_THERE_IS_ROOM,
    meta: OF_DRAFT,
  })
}

function Files({ source, onChoose }: BrowserProps): ReactElement | null {
  const { data: files } = useFiles(source)
  if (files === undefined) return null
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
          onClick={() =>
            onChoose({
              sql: `select * from '${file.replaceAll("'", "''")}'`,
              name: file.replace(/[.][^.]*$/, ''),
            })
          }
        >
          {file}
        </button>
      ))}
    </div>
  )
}
