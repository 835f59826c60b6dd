/** The rows of the edited model, read through the draft's source. */
import type { RowsView } from '@sluice/contracts/api/resources'
import { useQuery, type UseQueryResult } from '@tanstack/react-query'
import { useState } from 'react'
import { ApiError, call } from '../api/client.ts'
import { ONCE_WHEN_THERE_IS_ROOM } from '../api/query-client.ts'
import { documentsOf, nameIn, OF_DRAFT, textAt, type Draft } from './draft.ts'
import { useRested } from './use-editing.ts'

/** A query is sent once nobody has typed for this time. */
export const TYPED_MS = 400

/**
 * True while source and query are still those of the example that a new sync begins with. An existing sync
 * has no example.
 */
export function isUntouched(draft: Draft, example: Draft | null): boolean {
  if (example === null) return false
  return draft.source === example.source && textAt(draft.model, ['sql']) === textAt(example.model, ['sql'])
}

/** True if the error comes from the texts of a draft, and not from the server. */
export function isOfTexts(error: Error | null): boolean {
  return error instanceof ApiError && error.details.length > 0
}

/** Reads rows of a query through the draft's source. */
export async function rowsOf(draft: Draft, sql: string, signal?: AbortSignal): Promise<RowsView> {
  const source = documentsOf(draft).filter(({ file }) => file === 'source.yaml')
  return await call('sampleRows', { name: nameIn(draft.source), sql, documents: source }, { signal })
}

/**
 * The first rows of the model, which also give its columns. The last ones stay while the next are loading.
 */
export function useModelRows(draft: Draft): UseQueryResult<RowsView> {
  const sql = useRested(textAt(draft.model, ['sql']), TYPED_MS)
  const source = useRested(draft.source, TYPED_MS)
  return useQuery({
    queryKey: ['rows', source, sql],
    queryFn: ({ signal }) => rowsOf(draft, sql, signal),
    enabled: sql.trim() !== '',
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
