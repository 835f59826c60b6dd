/** Rows of the model that is edited, from the source as it stands in the draft. */
import type { RowsView } from '@sluice/contracts/api/resources'
import { useQuery, type UseQueryResult } from '@tanstack/react-query'
import { useState } from 'react'
import { ApiError, call } from '../api/client.ts'
import { ONCE_WHEN_THERE_IS_ROOM } from '../api/query-client.ts'
import { documentsOf, nameIn, OF_DRAFT, textAt, type Draft } from './draft.ts'
import { useRested } from './use-editing.ts'

/** A query is asked for once the typing has rested for so long. */
export const TYPED_MS = 400

/**
 * True while the source and the query are those that a new sync begins with. Null for a sync that is there.
 */
export function isUntouched(draft: Draft, example: Draft | null): boolean {
  if (example === null) return false
  return draft.source === example.source && textAt(draft.model, ['sql']) === textAt(example.model, ['sql'])
}

/** True for what is wrong in the texts of a draft, and not with the server. */
export function isOfTexts(error: Error | null): boolean {
  return error instanceof ApiError && error.details.length > 0
}

/** Rows of a query on the source as it stands in the draft. */
export async function rowsOf(draft: Draft, sql: string, signal?: AbortSignal): Promise<RowsView> {
  const source = documentsOf(draft).filter(({ file }) => file === 'source.yaml')
  return await call('sampleRows', { name: nameIn(draft.source), sql, documents: source }, { signal })
}

/**
 * The first rows of the model, and with them its columns. While the next are asked for, the last ones stay.
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

/** More than a query has that somebody types. */
const MAX_COLUMNS = 500

interface KnownColumns {
  /** Of the last query that the source has answered: one that is being typed is mostly no query yet. */
  readonly last: readonly string[]
  /** Of all of them, the newest first. */
  readonly seen: readonly string[]
}

/** The columns that are known of a source, by the rows that it has given. */
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
