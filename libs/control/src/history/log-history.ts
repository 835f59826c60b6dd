/**
 * The history of a pipeline. Runs come from the topic `runs`. What they sent comes from the index or the
 * topics.
 */
import type {
  AttemptsPage,
  FailedPage,
  ReplayView,
  RequestView,
  RunsPage,
  RunView,
} from '@sluice/contracts/api'
import type { RowLife, RunAnswers, RunFigures } from '@sluice/contracts/views/history-views'
import type { RunEvent } from '@sluice/contracts/records'
import { streamView } from './stream-view.ts'
import { OPS } from '@sluice/contracts/state'
import type { HistoryReader, RunPlace, SyncLife } from '@sluice/history/port'
import { TopicsReader } from '@sluice/history/topics-reader'
import { parseGroup } from '@sluice/domain/answers/failed-group'
import { isEnded } from '@sluice/domain/run-status'
import type { Catalog } from '../catalog.ts'
import { parseRequestId } from './attempt-views.ts'
import { notACursor } from './cursor.ts'
import { emptyPast, EmptyHistory } from './empty-history.ts'
import { foldedView, foldStreams } from './fold-streams.ts'
import { keptColumns, readFailedColumns } from './read-failed-columns.ts'
import { failedPageOf, keptFailedRows, readFailedRows } from './read-failed-rows.ts'
import { readReplayable } from './read-replayable.ts'
import { readRequest } from './read-request.ts'
import { readMentions } from './row/read-mentions.ts'
import { rowLife } from './row/row-life.ts'
import { runAnswers } from './run-answers.ts'
import { runFigures } from './run-figures.ts'
import { isoTime } from '@sluice/domain/iso-time'
import { runSums, runView } from './run-views.ts'
import { filterOf, placeIn, searchAttempts } from './search-attempts.ts'
import { schedulePause } from '@sluice/runs/machine/deaths'
import { lastShown } from '@sluice/runs/machine/shown-certificates'
import { runAtWork, type SyncRuns } from '@sluice/runs/runs-view'
import { sharedTopics, syncTopics } from '@sluice/topics/topics'
import { findDefinition, caughtUpWithRuns } from '../runs/find-run.ts'
import { followRun, type SeenRun } from '../runs/follow-run.ts'
import { inTurns } from '@sluice/flow/sleep'
import type { Pipeline } from '../pipeline.ts'
import type {
  AttemptsQuery,
  FailedQuery,
  PastWanted,
  ReplayQuery,
  RunHistory,
  RunsQuery,
  SyncPast,
} from '../port.ts'
import { unknownRequest, unknownRow, unknownRun, unknownSync } from '../unknown-names.ts'
import { behindOf, isTelling } from '../syncs/behind-since.ts'
import { WaitingRows } from '../syncs/waiting-rows.ts'
import type { RunWaits } from '../waits/run-waits.ts'
import type { UntakenRuns } from '../waits/untaken-runs.ts'

/** Attempts that are shown with a row. */
const MAX_ATTEMPTS_OF_ROW = 100
/** Attempts of a run that are counted by their answers. More would keep other requests waiting. */
const MAX_ANSWERS = 200_000
/** A query waits for the index at most this long. Then it reads the topics. */
const CAUGHT_UP_WITHIN_MS = 3_000

interface HistoryOptions {
  readonly known: Catalog['syncs']
  readonly waits: RunWaits
  readonly untaken: UntakenRuns
}

export class LogHistory implements RunHistory {
  readonly #pipeline: Pipeline
  readonly #topics: TopicsReader
  /** The names of all syncs, including those that never ran. */
  readonly #known: Catalog['syncs']
  readonly #waits: RunWaits
  readonly #untaken: UntakenRuns
  readonly #waitingRows = new WaitingRows()
  readonly #keptFailedRows = keptFailedRows()
  readonly #keptColumns = keptColumns()

  private constructor(pipeline: Pipeline, { known, waits, untaken }: HistoryOptions) {
    this.#pipeline = pipeline
    this.#topics = new TopicsReader(pipeline)
    this.#known = known
    this.#waits = waits
    this.#untaken = untaken
  }

  static async open(pipeline: Pipeline, options: HistoryOptions, signal: AbortSignal): Promise<LogHistory> {
    await caughtUpWithRuns(pipeline, signal)
    return new LogHistory(pipeline, options)
  }

  async runs(query: RunsQuery, signal: AbortSignal): Promise<RunsPage> {
    const { sync, limit, after } = query
    if (sync !== undefined) await this.#runsOf(sync, signal)
    const all = newestFirst(this.#all()).filter(({ event }) => isAskedFor(event, query))
    const entries = query.each === true ? all.map(run => [run] as const) : foldStreams(all)
    const last =
      after === undefined ? null : entries.findIndex(runs => runs.some(({ event }) => event.runId === after))
    // Sluice forgets old runs. A cursor that names a forgotten run is no longer valid.
    if (last === -1) throw notACursor(after ?? '')
    const rest = entries.slice((last ?? -1) + 1)
    const runs = await inTurns(rest.slice(0, limit), async entry => {
      const { errors: _, ...view } = await this.#view(entry[0], signal)
      if (query.each === true) return view
      return await this.#withWaiting(foldedView(view, entry, Date.now()), entry[0], signal)
    })
    return { runs, next: rest.length > runs.length ? (runs.at(-1)?.id ?? null) : null }
  }

  async run(id: string, signal: AbortSignal): Promise<RunView> {
    const view = await this.#wholeView(this.#find(id), signal)
    return { ...view, ...(await this.#errorsOf(view, signal)) }
  }

  /**
   * The errors of all rows that the run did not deliver and that still wait. While the run is under way, and
   * for rows that no longer wait, the view has the errors that delivery reported.
   */
  async #errorsOf(view: RunView, signal: AbortSignal): Promise<Pick<RunView, 'errors'>> {
    const { id: run, sync, triggers, endedAt } = view
    const isWhole = OPS.every(op => triggers[op]?.detected === triggers[op]?.delivered)
    if (endedAt === null || isWhole) return {}
    const all = { sync, run, key: undefined, status: undefined, limit: 1, after: undefined }
    const { groups = [] } = await this.failed(all, signal)
    return groups.length === 0 ? {} : { errors: groups }
  }

  async *follow(id: string, signal: AbortSignal): AsyncGenerator<RunView> {
    const find = (runId: string): SeenRun => this.#find(runId)
    const viewOf = (run: SeenRun): Promise<RunView> => this.#wholeView(run, signal)
    yield* followRun(this.#pipeline, { runId: id, waits: this.#waits, find, viewOf }, signal)
  }

  async attempts(query: AttemptsQuery, signal: AbortSignal): Promise<AttemptsPage> {
    if (query.sync !== undefined) await this.#runsOf(query.sync, signal)
    const { limit, after = null, details = true, sync: only } = query
    const run = query.run === undefined ? null : this.#numberedRun(query.run)
    // A run that never began has sent nothing.
    if (run !== null && run.number === null) return { attempts: [], next: null }
    const numbered = run === null ? null : { id: run.id, number: run.number ?? 0 }
    // A test has an id of its own instead of a run.
    const id = query.run?.toUpperCase()
    const ofTest = id === undefined ? null : { id, number: 0 }
    const hasTests = run === null && (await this.#hasTests(signal))
    const tests = hasTests ? { sync: only ?? null, filter: filterOf(query, ofTest) } : null
    const isTest = query.run !== undefined && run === null
    const lives = isTest ? [] : this.#lives(only ?? run?.sync)
    const reader = await this.#readerFor(query, lives, signal)
    const search = { lives, filter: filterOf(query, numbered), tests, limit, after, details }
    const page = await searchAttempts(this.#pipeline, reader, search, signal)
    if (isTest && page.attempts.length === 0 && page.next === null && after === null)
      throw unknownRun(query.run)
    return page
  }

  /** A log from before there were tests lacks the topic. */
  async #hasTests(signal: AbortSignal): Promise<boolean> {
    const { log, prefix } = this.#pipeline
    return (await log.partitionsOf(sharedTopics(prefix).tests, { signal })) !== null
  }

  async request(id: string, signal: AbortSignal): Promise<RequestView> {
    const named = parseRequestId(id)
    const run = named === null ? null : this.#begunRun(named.run)
    if (named === null || run === null) throw unknownRequest(id)
    const reader = await this.#readerFor({}, [run], signal)
    const attempts = await reader.ofRequest(
      { ...run, partition: named.partition, seq: named.seq },
      { signal },
    )
    const view = await readRequest(this.#pipeline, attempts, signal)
    if (view === null) throw unknownRequest(id)
    return view
  }

  async past(
    sync: string,
    { runs: limit, deliveredSince }: PastWanted,
    signal: AbortSignal,
  ): Promise<SyncPast> {
    const runs = this.#untaken.beside(sync, this.#pipeline.runs.of(sync))
    if (runs === undefined) return emptyPast(deliveredSince)
    const events = newestFirst([runs])
      .map(({ event }) => event)
      .filter(event => event.errorCode !== 'conflict' || event.startedAt !== null)
    const telling = events.find(isTelling)
    const shown = events.filter((event, index) => index < 1 || event === telling || !isEnded(event.status))
    const begun = events.filter(({ startedAt }) => isoTime(startedAt) !== null).slice(0, limit)
    return {
      runs: await Promise.all(shown.map(event => this.#view({ event, runs }, signal))),
      telling: telling?.runId ?? null,
      figures: begun.map(event => runSums(event, runs.reports)),
      rows: await this.#waitingOf(sync, { events, runs }, signal),
      stream: streamView(events, Date.now()),
      certificates: lastShown(runs.events.values()),
      pausedUntil: schedulePause(runs.events.values(), Date.now())?.until ?? null,
      behind: behindOf(events),
      delivered: deliveredSince === null ? null : this.#deliveredSince(sync, runs, deliveredSince),
    }
  }

  async #waitingOf(
    sync: string,
    { events, runs }: { readonly events: readonly RunEvent[]; readonly runs: Pick<SyncRuns, 'reports'> },
    signal: AbortSignal,
  ): Promise<SyncPast['rows']> {
    const none = { run: undefined, key: undefined, status: undefined, after: undefined }
    const count = async (limit: number): Promise<number> =>
      (await this.failed({ sync, limit, ...none }, signal)).rows.length
    return await this.#waitingRows.of(events, runs.reports, count)
  }

  /** A stream at work, with the rows that wait. */
  async #withWaiting(view: RunView, { event, runs }: SeenRun, signal: AbortSignal): Promise<RunView> {
    if (view.stream === undefined || event.status !== 'running') return view
    const { failed, heldBack } = await this.#waitingOf(event.sync, { events: [event], runs }, signal)
    return { ...view, stream: { ...view.stream, waiting: failed + heldBack } }
  }

  /** Includes the rows that the run under way has delivered so far. */
  #deliveredSince(sync: string, runs: SyncRuns, since: number): SyncPast['delivered'] {
    const { rows, isWhole } = this.#pipeline.runs.deliveredSince(sync, since)
    const atWork = runAtWork(runs)
    return { rows: rows + (atWork === null ? 0 : runSums(atWork, runs.reports).delivered), isWhole }
  }

  async row(
    { sync, key }: { readonly sync: string; readonly key: string },
    signal: AbortSignal,
  ): Promise<RowLife> {
    const runs = await this.#runsOf(sync, signal)
    const partitions = await this.#partitions(sync, signal)
    if (runs === null || partitions === 0) throw unknownRow({ sync, key })
    const life = { sync, incarnation: runs.incarnation }
    const reader = await this.#readerFor({}, [life], signal)
    const records = await readMentions(this.#pipeline, reader, { ...life, key }, signal)
    const { attempts, next } = await this.attempts({ sync, key, limit: MAX_ATTEMPTS_OF_ROW }, signal)
    const view = rowLife({ sync, key, runs, records, attempts, more: records.more || next !== null })
    if (view === null) throw unknownRow({ sync, key })
    return view
  }

  async figures(id: string, limit: number, signal: AbortSignal): Promise<RunFigures> {
    const found = this.#numberedRun(id)
    if (found === null) throw unknownRun(id)
    const run = this.#begunRun(id)
    const rows = run === null ? [] : await (await this.#readerFor({}, [run], signal)).counts(run, { signal })
    return runFigures({ run: found.id, sync: found.sync, limit }, rows)
  }

  async answers(id: string, signal: AbortSignal): Promise<RunAnswers> {
    const found = this.#numberedRun(id)
    if (found === null) throw unknownRun(id)
    const run = this.#begunRun(id)
    const reader = run === null ? null : await this.#readerFor({}, [run], signal)
    const limit = MAX_ANSWERS + 1
    const counts = run === null ? [] : ((await reader?.answers({ ...run, limit }, { signal })) ?? [])
    return runAnswers({ run: found.id, sync: found.sync, most: MAX_ANSWERS }, counts)
  }

  async failed(query: FailedQuery, signal: AbortSignal): Promise<FailedPage> {
    const { sync, limit, after, key, status } = query
    const runs = await this.#runsOf(sync, signal)
    const partitions = await this.#partitions(sync, signal)
    if (runs === null || partitions === 0) return { rows: [], next: null, groups: [] }
    const run = query.run === undefined ? null : (this.#find(query.run).event.run ?? 0)
    const { incarnation } = runs
    const group = query.group === undefined ? null : parseGroup(query.group)
    const filter = { run, key: key ?? null, status: status ?? null, group, limit, after: after ?? null }
    const all = { sync, incarnation, partitions, ...filter }
    const found = await readFailedRows(this.#pipeline, all, { signal, kept: this.#keptFailedRows })
    if (query.columns !== true)
      return failedPageOf(
        found.rows.map(({ row }) => row),
        found,
      )
    const wanted = { sync, incarnation, rows: found.rows, ahead: found.ahead }
    const rows = await readFailedColumns(this.#pipeline, wanted, { signal, kept: this.#keptColumns })
    return failedPageOf(rows, { ...found, hasMore: found.hasMore || rows.length < found.rows.length })
  }

  /**
   * Returns the index if it holds all that the topics hold of these syncs, and also the bodies if bodies are
   * searched. Otherwise returns the topics. A search continues with the reader with which it began. Throws
   * `usage` for a cursor of an index that this process lacks.
   */
  async #readerFor(
    { after, searchesBodies }: Pick<AttemptsQuery, 'after' | 'searchesBodies'>,
    lives: readonly SyncLife[],
    signal: AbortSignal,
  ): Promise<HistoryReader> {
    const { indexed = null } = this.#pipeline
    const place = after === undefined ? null : placeIn(after)
    if (typeof place === 'number') {
      if (indexed === null) throw notACursor(after ?? '')
      return indexed.index
    }
    if (place !== null || indexed === null) return this.#topics
    if (searchesBodies === true && !indexed.index.hasBodies) return this.#topics
    const syncs = lives.map(({ sync }) => sync)
    const isWhole = await indexed.follower.caughtUp(syncs, { withinMs: CAUGHT_UP_WITHIN_MS, signal })
    return isWhole ? indexed.index : this.#topics
  }

  async replayable({ sync, scope }: ReplayQuery, signal: AbortSignal): Promise<ReplayView> {
    const runs = await this.#runsOf(sync, signal)
    const partitions = await this.#partitions(sync, signal)
    if (runs === null || partitions === 0)
      return await new EmptyHistory(new Set([sync])).replayable({ sync, scope })
    // The topics may still hold requests of a run that is no longer known.
    const recorded = { sync, incarnation: runs.incarnation, partitions }
    const view = await readReplayable(
      this.#pipeline,
      { recorded, scope, runs: [...runs.events.values()] },
      signal,
    )
    if (scope.run !== null && view.requests === 0 && !runs.events.has(scope.run)) throw unknownRun(scope.run)
    return view
  }

  /** A run by itself, which shows its own minutes if it is of a stream. */
  async #wholeView(run: SeenRun, signal: AbortSignal): Promise<RunView> {
    const view = await this.#view(run, signal)
    const stream = streamView([run.event], Date.now())
    return stream === null ? view : await this.#withWaiting({ ...view, stream }, run, signal)
  }

  async #view({ event, runs }: SeenRun, signal: AbortSignal): Promise<RunView> {
    const found = await findDefinition(this.#pipeline, event.definition, signal)
    const waiting = await this.#waits.of(event, runs, signal)
    const view = runView(event, found.definition, runs.reports, {
      ...{ elsewhere: waiting, events: runs.events.values() },
    })
    const idle = this.#pipeline.servicesElsewhere ? [] : idleNotices(event)
    const notices = [...idle, ...(found.why === null ? [] : [found.why])]
    return notices.length === 0 ? view : { ...view, notices: [...(view.notices ?? []), ...notices] }
  }

  async #partitions(sync: string, signal: AbortSignal): Promise<number> {
    const { log, prefix } = this.#pipeline
    return (await log.partitionsOf(syncTopics(prefix, sync).changes, { signal })) ?? 0
  }

  #all(): readonly SyncRuns[] {
    return this.#untaken.besideAll(this.#pipeline.runs.all())
  }

  #events(): { readonly event: RunEvent; readonly runs: SyncRuns }[] {
    return this.#all().flatMap(runs => [...runs.events.values()].map(event => ({ event, runs })))
  }

  /** All syncs that have ever run, or only the given sync. */
  #lives(only: string | undefined): readonly SyncLife[] {
    return [...this.#pipeline.runs.all()]
      .filter(({ sync }) => only === undefined || sync === only)
      .map(({ sync, incarnation }) => ({ sync, incarnation }))
  }

  /** A run of a sync's present life that may have sent something; null if there is none. */
  #begunRun(id: string): RunPlace | null {
    const run = this.#numberedRun(id)
    const incarnation = run === null ? undefined : this.#pipeline.runs.of(run.sync)?.incarnation
    if (run === null || run.number === null || incarnation === undefined) return null
    return { sync: run.sync, incarnation, run: { id: run.id, number: run.number } }
  }

  /**
   * A run of the topic `runs`, or a run that only the index remembers. Its number is null if it never began.
   */
  #numberedRun(
    id: string,
  ): { readonly id: string; readonly sync: string; readonly number: number | null } | null {
    const found = this.#runNamed(id)?.event
    if (found !== undefined) return { id: found.runId, sync: found.sync, number: found.run }
    const remembered = this.#pipeline.indexed?.index.run(id.toUpperCase()) ?? null
    return remembered === null ? null : { id: id.toUpperCase(), ...remembered }
  }

  #runNamed(id: string): { readonly event: RunEvent; readonly runs: SyncRuns } | undefined {
    return this.#events().find(({ event }) => event.runId === id.toUpperCase())
  }

  #find(id: string): { readonly event: RunEvent; readonly runs: SyncRuns } {
    const found = this.#runNamed(id)
    if (found !== undefined) return found
    throw unknownRun(id)
  }

  /** The sync's runs, null if it never ran. Throws for a sync that does not exist. */
  async #runsOf(sync: string, signal: AbortSignal): Promise<SyncRuns | null> {
    const runs = this.#pipeline.runs.of(sync)
    if (runs !== undefined) return runs
    const known = await this.#known(signal)
    if (known.has(sync)) return null
    throw unknownSync(sync, known)
  }
}

/**
 * The notices of an open run of a project whose services run only in `sluice run`, while no such process
 * works.
 */
function idleNotices({ status, sync }: RunEvent): readonly string[] {
  if (status === 'running')
    return [
      `its process has ended: the next \`sluice run ${sync}\` brings it to its end, and then starts a new run`,
    ]
  return status === 'queued' ? [`it waits for the next \`sluice run ${sync}\``] : []
}

function isAskedFor(
  { sync, status, cause, queuedAt }: RunEvent,
  query: Pick<RunsQuery, 'sync' | 'syncs' | 'status' | 'cause' | 'since' | 'until'>,
): boolean {
  const { since = -Infinity, until = Infinity } = query
  return (
    (query.sync === undefined || sync === query.sync) &&
    (query.syncs === undefined || query.syncs.has(sync)) &&
    (query.status === undefined || status === query.status) &&
    (query.cause === undefined || cause === query.cause) &&
    queuedAt >= since &&
    queuedAt < until
  )
}

interface PlacedRun {
  readonly event: RunEvent
  readonly runs: SyncRuns
  /** The sort key: ms since 1970. */
  readonly sortedAs: number
  /** Its place among the runs of its sync. */
  readonly place: number
}

/**
 * Sorts runs, the newest first. Runs of one sync keep the order in which they were asked for, even if a clock
 * was set back. Only runs of different syncs are sorted by the clock.
 */
export function newestFirst(syncs: Iterable<SyncRuns>): readonly PlacedRun[] {
  const placed = [...syncs].flatMap(runs => {
    let sortedAs = -Infinity
    return [...runs.events.values()].map((event, place) => {
      sortedAs = Math.max(sortedAs, event.queuedAt)
      return { event, runs, sortedAs, place }
    })
  })
  return placed.sort((a, b) => {
    if (a.sortedAs !== b.sortedAs) return b.sortedAs - a.sortedAs
    if (a.event.sync !== b.event.sync) return a.event.sync < b.event.sync ? -1 : 1
    return b.place - a.place
  })
}
