/** The rows of the edited model, read through the draft's source. */
import type { RowsView } from '@sluice/contracts/api/resources'
import { useQuery, type UseQueryResult } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../api/client.ts'
import { ONCE_WHEN_THERE_IS_ROOM } from '../api/query-client.ts'
import { brokersIn } from './brokers.ts'
import { fileOf, keysIn, nameIn, OF_DRAFT, textAt, type Draft } from './draft.ts'
import { isServerType, serverParts } from './server-url.ts'
import { useRested } from './use-editing.ts'

/** A query is sent once nobody has typed for this time. */
export const TYPED_MS = 400

/** The rows of a model: a query, a table or a topic. A table and a topic may have a query, too. */
export interface ModelQuery {
  readonly sql?: string | undefined
  readonly table?: string | undefined
  readonly topic?: string | undefined
  readonly format?: 'debezium' | 'rows' | undefined
  readonly primaryKey?: readonly string[] | undefined
}

/** Rows that somebody chose: their query, table or topic, and the key of the table if it is known. */
export interface ChosenRows {
  readonly sql?: string
  /** As schema.name. */
  readonly table?: string
  readonly topic?: string
  readonly key?: readonly string[]
  /** The name of the table or file, without its ending. */
  readonly name: string
}

/** Null for a model that has neither a query nor a table nor a topic yet. */
export function queryOf(model: string): ModelQuery | null {
  const [sql, table, topic] = [textAt(model, ['sql']), textAt(model, ['table']), textAt(model, ['topic'])]
  const query = sql.trim() === '' ? {} : { sql }
  if (topic !== '') {
    const keys = keysIn(model)
    const format = textAt(model, ['format']) === 'rows' ? 'rows' : 'debezium'
    return { topic, format, ...query, ...(keys.length === 0 ? {} : { primaryKey: keys }) }
  }
  if (table !== '') return { table, ...query }
  return sql.trim() === '' ? null : query
}

/** True for the text of a source that can be asked for rows: it says where the rows are. */
export function isReachable(source: string): boolean {
  const parts = serverParts(textAt(source, ['url']))
  if (source === '') return false
  if (textAt(source, ['type']) === 'kafka') return brokersIn(source).length > 0
  if (!isServerType(textAt(source, ['type'])) || parts === null) return true
  return parts.host !== '' && parts.user !== '' && parts.database !== ''
}

/** True as long as nobody has said where the rows are, and which. Then there is no mistake to show. */
export function hasNoRowsYet({ source, model }: Pick<Draft, 'source' | 'model'>): boolean {
  return !isReachable(source) || queryOf(model) === null
}

/** Reads the first rows of a query through a source, which need not be stored. Throws like `call`. */
export async function queriedRows(
  source: string,
  query: ModelQuery & { readonly limit?: number },
  signal?: AbortSignal,
): Promise<RowsView> {
  const documents = [{ file: fileOf('source'), yaml: source }]
  return await call('sampleRows', { name: nameIn(source), ...query, documents }, { signal })
}

/**
 * The first rows of the model, which also give its columns. The last rows stay while the next rows are
 * loading.
 */
export function useModelRows(draft: Pick<Draft, 'source' | 'model'>): UseQueryResult<RowsView> {
  const query = queryOf(useRested(draft.model, TYPED_MS))
  const source = useRested(draft.source, TYPED_MS)
  return useQuery({
    queryKey: ['rows', source, query],
    queryFn: ({ signal }) => queriedRows(source, query ?? {}, signal),
    enabled: query !== null && isReachable(source),
    placeholderData: before => before,
    ...ONCE_WHEN_THERE_IS_ROOM,
    meta: OF_DRAFT,
  })
}

/** No query that somebody types has more columns. */
const MAX_COLUMNS = 500

interface KnownColumns {
  /** The columns of the last query that worked. While somebody types, the text is mostly no valid query. */
  readonly last: readonly string[]
  /** The columns of all queries, the newest first. */
  readonly seen: readonly string[]
}

/** The columns of a source that are known from rows that it has given. */
export function useKnownColumns(source: string, rows: RowsView | undefined): KnownColumns {
  const [known, setKnown] = useState({ source, rows, ...columnsSeen([], rows) })
  if (known.source === source && (rows === undefined || rows === known.rows)) return known
  const before = known.source === source ? known : { last: [], seen: [] }
  const next = {
    ...{ source, rows: rows ?? known.rows },
    ...(rows === undefined ? before : columnsSeen(before.seen, rows)),
  }
  setKnown(next)
  return next
}

function columnsSeen(before: readonly string[], rows: RowsView | undefined): KnownColumns {
  const last = rows?.columns.map(({ name }) => name) ?? []
  return { last, seen: [...new Set([...last, ...before])].slice(0, MAX_COLUMNS) }
}
