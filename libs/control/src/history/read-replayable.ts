/** Finds the requests that a replay would send, as far as the topics have them (PROTOCOL.md §12). */
import type { ReplayView } from '@sluice/contracts/api'
import type { RunEvent } from '@sluice/contracts/records'
import { OPS, type Op, type ReplayScope } from '@sluice/contracts/state'
import { countsOf } from '@sluice/domain/counts'
import { isEnded } from '@sluice/domain/run-status'
import { RecordedRequests, type RecordedRequest, type RecordedSync } from '@sluice/topics/recorded-requests'
import { at, syncTopics } from '@sluice/topics/topics'
import type { TopicsDeps } from '@sluice/history/read-records'

/** At most this many requests are shown. */
const MAX_SHOWN = 10

/** `runs` are the runs of the sync that are known. */
export async function readReplayable(
  deps: TopicsDeps,
  asked: { readonly recorded: RecordedSync; readonly scope: ReplayScope; readonly runs: readonly RunEvent[] },
  signal: AbortSignal,
): Promise<ReplayView> {
  const { recorded, scope } = asked
  const chosen = await RecordedRequests.find(deps, recorded, scope, { signal })
  const triggers: ReplayView['triggers'] = {}
  const first: ReplayView['first'] = []
  let [requests, rows] = [0, 0]
  for await (const batch of chosen.requests({}, signal))
    for (const request of batch) {
      const { trigger, rows: own } = request.request
      const before = triggers[trigger] ?? { requests: 0, rows: 0 }
      triggers[trigger] = { requests: before.requests + 1, rows: before.rows + own.length }
      requests += 1
      rows += own.length
      if (first.length < MAX_SHOWN) first.push(shown(request))
    }
  const trimmed = await trimmedRuns(deps, asked, signal)
  const notRecorded = {
    runs: trimmed.length,
    requests: chosen.trimmed + trimmed.reduce((sum, run) => sum + requestsOf(run, scope), 0),
  }
  return {
    sync: recorded.sync,
    requests,
    rows,
    triggers,
    first,
    notRecorded,
    notices: noticesOf(asked, notRecorded),
  }
}

function shown({ runId, partition, request }: RecordedRequest): ReplayView['first'][number] {
  const { seq, trigger, method, path, rows } = request
  const requestId = `${runId}.${partition}.${seq}`
  return { requestId, run: runId, trigger, method, path, keys: rows.map(({ key }) => key) }
}

/** Finds the runs in the scope that sent requests, none of which is still recorded. */
async function trimmedRuns(
  { log, prefix }: TopicsDeps,
  {
    recorded,
    scope,
    runs,
  }: { readonly recorded: RecordedSync; readonly scope: ReplayScope; readonly runs: readonly RunEvent[] },
  signal: AbortSignal,
): Promise<readonly RunEvent[]> {
  const lows: number[] = []
  for (let partition = 0; partition < recorded.partitions; partition += 1)
    lows.push((await log.offsets(at(syncTopics(prefix, recorded.sync).requests, partition), { signal })).low)
  return runs.filter(
    run =>
      isEnded(run.status) &&
      run.ends.length > 0 &&
      run.ends.every(({ partition, requests }) => requests <= (lows[partition] ?? 0)) &&
      (scope.run === null || run.runId === scope.run) &&
      (scope.since === null || (run.endedAt ?? 0) >= scope.since) &&
      (scope.until === null || (run.startedAt ?? 0) < scope.until) &&
      requestsOf(run, scope) > 0,
  )
}

function requestsOf({ counts }: RunEvent, { trigger }: ReplayScope): number {
  const ops: readonly Op[] = trigger === null ? OPS : [trigger]
  return ops.reduce((sum, op) => sum + countsOf(counts, op).requests, 0)
}

function noticesOf(
  { scope, runs }: { readonly scope: ReplayScope; readonly runs: readonly RunEvent[] },
  { runs: gone }: ReplayView['notRecorded'],
): string[] {
  const notices: string[] = []
  if (gone > 0 && scope.keys !== null)
    notices.push('requests that are not recorded any more are counted whatever their rows were')
  const open = runs.find(({ status }) => status === 'running' || status === 'queued')
  if (open !== undefined) notices.push(`run ${open.runId} is ${open.status}: what it sends comes on top`)
  return notices
}
