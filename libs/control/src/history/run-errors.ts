/** The errors of a run, for notices about it. */
import { errorGroups, type ErrorGroup } from '@sluice/domain/answers/error-groups'
import type { RunsView } from '@sluice/runs/runs-view'
import { syncTopics } from '@sluice/topics/topics'
import type { TopicsDeps } from '@sluice/history/read-records'
import { readFailedRows } from './read-failed-rows.ts'

/** The errors of at most this many rows are grouped. */
const MAX_ROWS = 10_000

/**
 * Groups the errors of the rows that a run did not deliver and that still wait, the most frequent first.
 * Returns no groups for a run that is no longer known.
 */
export async function runErrors(
  deps: TopicsDeps & { readonly runs: RunsView },
  { sync, run }: { readonly sync: string; readonly run: string },
  signal: AbortSignal,
): Promise<readonly ErrorGroup[]> {
  const { log, prefix, runs } = deps
  const known = runs.of(sync)
  const number = known?.events.get(run)?.run ?? null
  const partitions = (await log.partitionsOf(syncTopics(prefix, sync).changes, { signal })) ?? 0
  if (known === undefined || number === null || partitions === 0) return []
  const { incarnation } = known
  const filter = { run: number, key: null, status: null, group: null, limit: MAX_ROWS, after: null }
  const { rows } = await readFailedRows(deps, { sync, incarnation, partitions, ...filter }, { signal })
  return errorGroups(rows.map(({ row }) => row))
}
