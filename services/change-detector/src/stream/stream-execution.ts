/**
 * A run over a stream, from the moment at which it has begun until all of it is published. It takes the place
 * of the diff and of the publishing of a run over a table (PROTOCOL.md §15).
 */
import { createHash } from 'node:crypto'
import { changeSchema } from '@sluice/contracts/avro/schemas'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { Fault, Restoring } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import { OPS, type OpCounts } from '@sluice/contracts/state'
import type { StreamState } from '@sluice/delivered-state/stream-port'
import { primaryKeyOf, triggeredOps } from '@sluice/domain/definition'
import { changedDestination, deliveredTo } from '@sluice/domain/held/delivered-to'
import { sinceOfBefore } from '@sluice/domain/stream-minutes'
import { Notifier } from '@sluice/flow/notifier'
import { sleep } from '@sluice/flow/sleep'
import { STREAMED_RESULTS } from '@sluice/partition/stage-metrics'
import type { AtWork, Found, Next } from '@sluice/runs/machine/sync-life'
import { purposeOf } from '@sluice/runs/machine/run-events'
import type { StreamBreak, StreamColumns, StreamSource } from '@sluice/sources/stream-port'
import type { Encoder } from '@sluice/schema-codec/port'
import type { StreamPosition, StreamProgress } from '@sluice/contracts/records'
import { tellsExists } from '../detect/detect-changes.ts'
import { templateColumns } from '../detect/template-columns.ts'
import { blockRowsOf } from '../publish/assign-partitions.ts'
import { endGone } from '../publish/publish-changes.ts'
import { beginOf } from '../run/await-reports.ts'
import type { RestoringReporter } from '../run/report-restoring.ts'
import type { Detection, OwnedSync } from '../sync/owned-sync.ts'
import type { StreamPorts } from '../sync/runner-deps.ts'
import { feedStreamState, openFaults } from './feed-stream-state.ts'
import { Hearing } from './hearing.ts'
import { type LastPosition, lastPosition } from './last-position.ts'
import { RemovalWindow, WINDOW_MS } from './removal-window.ts'
import { SlicePublisher } from './publish-slice.ts'
import { commandOf, isMeantBy } from './stream-command.ts'
import { StreamCounts } from './stream-counts.ts'
import { StreamLoop, type LoopEnd } from './stream-loop.ts'

/** The event of the run tells this often how the stream stands, if something has changed. */
const REPORT_MS = 5_000
const RETRY_AFTER_MS = 60_000

/** What a run over a stream has in common with one over a table. */
interface RunParts {
  readonly cancel: AbortSignal
  readonly reporter: () => RestoringReporter
  /** Leaves a run that is published in part to another takeover by this process. */
  readonly leaveToTakeover: (error: unknown) => Promise<never>
  readonly extractFile: () => Promise<string>
  readonly assertFirstRunChosen: (rows: number) => void
}

/** Resolves with what is to be done next. Rejects as the execution of a run does. */
export async function executeStream(
  owned: OwnedSync,
  definition: Definition,
  parts: RunParts,
): Promise<Detection> {
  const { streams } = owned.deps
  if (streams === undefined) throw new SluiceError('internal', 'this process runs no streams')
  if (atWorkOf(owned).run.cause === 'replay')
    throw new SluiceError('config', 'a replay over a stream is not possible')
  return await new StreamExecution(owned, definition, { ...parts, streams }).carryOut()
}

function atWorkOf({ life }: OwnedSync): AtWork {
  if (life.atWork === null) throw new SluiceError('internal', 'a run is carried out, and none is at work')
  return life.atWork
}

class StreamExecution {
  readonly #owned: OwnedSync
  readonly #definition: Definition
  readonly #parts: RunParts & { readonly streams: StreamPorts }
  readonly #changes = new Notifier()
  readonly #counts: StreamCounts
  /** Aborts once the work of the run is over. */
  readonly #over = new AbortController()
  #publisher: SlicePublisher | null = null
  #reported = ''
  /** Aborts once delivery has lost track of the run in a partition, or has ended it there. */
  readonly #cutShort = new AbortController()
  /** The faults of earlier runs that still concern a row. */
  #faults: readonly Fault[] = []

  constructor(owned: OwnedSync, definition: Definition, parts: RunParts & { readonly streams: StreamPorts }) {
    this.#owned = owned
    this.#definition = definition
    this.#parts = parts
    this.#counts = new StreamCounts(triggeredOps(definition.sync), owned.deps.now)
  }

  get #signal(): AbortSignal {
    return AbortSignal.any([this.#owned.ends.drain, this.#parts.cancel])
  }

  async carryOut(): Promise<Detection> {
    const { streams } = this.#parts
    const { deps, sync, ownership, ends } = this.#owned
    const { incarnation, partitions } = ownership
    let whyEmpty = 'there is no cache of it here'
    const onDiscard = (why: string): void => void (whyEmpty = `its cache cannot be used: ${why}`)
    await using source = await streams.openSource(this.#definition)
    const described = await source.describe(this.#definition.model, { signal: this.#signal })
    const { compare, needed } = this.#columnsOf(described)
    await using state = await streams.openState({ sync, incarnation, partitions, onDiscard })
    await this.#feed(state, whyEmpty)
    state.setColumns(described.columns)
    this.#faults = openFaults(state, atWorkOf(this.#owned).run.faults)
    const to = deliveredTo(this.#definition.destination)
    const { believed } = state.count()
    const destination = changedDestination(this.#owned.life.deliveredTo, to, believed)
    if (destination !== null)
      return await this.#hold({ removed: 0, rows: believed, samples: [], destination })
    const modelHash = hashOf(this.#definition, { compare, needed })
    const last = await lastPosition({
      ...{ log: deps.log, io: deps.io, topic: ownership.topics.changes, partitions, incarnation },
      signal: this.#signal,
    })
    const position = last?.position ?? null
    const why = whyCompared(position, { modelHash, newestEpoch: state.newestEpoch() })
    const publisher = new SlicePublisher({
      ...{ io: deps.io, ownership, begin: beginOf(atWorkOf(this.#owned).run), abort: ends.abort },
      blockRows: blockRowsOf(this.#definition.sync),
      onMarked: (...marked) => loop.marked(...marked),
    })
    this.#publisher = publisher
    const hearing = new Hearing(state.positions().retry, {
      ...{ log: deps.log, io: deps.io, topics: ownership.topics, incarnation },
      ...{ run: beginOf(atWorkOf(this.#owned).run).run, signal: this.#over.signal },
      onHeard: () => this.#changes.notify(),
      onFailure: error => loop.fail(error),
    })
    const parts = { source, state, publisher, hearing, described, compare, needed, modelHash, last, why }
    const loop = this.#loopOf(parts)
    const following = this.#follow(loop, hearing)
    const watching = this.#watchReports().catch(() => undefined)
    try {
      const end = await loop.run()
      return await this.#end(end, loop, hearing)
    } catch (error) {
      if (!publisher.hasBegun && !atWorkOf(this.#owned).isWritten) throw error
      return await this.#parts.leaveToTakeover(error)
    } finally {
      this.#owned.heard = null
      this.#owned.deps.stageMetrics?.stream(sync, 'not here')
      this.#over.abort(new SluiceError('aborted', 'the run over the stream has ended'))
      await following
      await watching
      await hearing.stopped()
    }
  }

  #loopOf(of: {
    readonly source: StreamSource
    readonly state: StreamState
    readonly publisher: SlicePublisher
    readonly hearing: Hearing
    readonly described: StreamColumns
    readonly compare: readonly string[]
    readonly needed: readonly string[]
    readonly modelHash: string
    readonly last: LastPosition | null
    readonly why: StreamBreak | null
  }): StreamLoop {
    const { deps, sync, ownership, life } = this.#owned
    const { described, compare, needed } = of
    const definition = this.#definition
    const { run } = atWorkOf(this.#owned)
    const { incarnation, partitions } = ownership
    const { errors, firstRun } = definition.sync
    const command = commandOf(run)
    const primaryKey = described.primaryKey ?? primaryKeyOf(definition.model)
    const isFirst = purposeOf(run) === undefined && run.first
    return new StreamLoop({
      ...of,
      ...{ definition, partitions, command, primaryKey, columns: described.columns },
      ...{ counts: this.#counts, changes: this.#changes, removals: this.#removals(of.state) },
      rules: {
        ...{
          compare,
          needed,
          sent: triggeredOps(definition.sync),
          tellsExists: tellsExists(definition.sync),
        },
        giveUpAfter: errors?.giveUpAfter ?? null,
        command: command && {
          ...{ kind: command.kind, as: command.as },
          isMeant: known => isMeantBy(command, known, incarnation),
        },
      },
      approved: life.atWork?.run.approved ?? null,
      // The run keeps who asked for it only once somebody else has approved it.
      isAskedFor: command !== null || (run.asked ?? null) !== null,
      isBaseline: isFirst && firstRun === 'skip-existing' && of.why?.why === 'first',
      retryAfterMs: errors?.retryAfter ?? RETRY_AFTER_MS,
      compared: ({ file, columns, primaryKey: own }, signal) =>
        this.#parts.streams.openRows({ file, columns, primaryKey: own ?? primaryKey, signal }),
      extractFile: this.#parts.extractFile,
      turn: async signal => await deps.detections?.take({ signal }),
      assertFirstRunChosen: rows => {
        if (isFirst) this.#parts.assertFirstRunChosen(rows)
      },
      begin: columns => this.#begin(columns, of.state),
      stopping: this.#signal,
      asked: this.#owned.asked,
      // It ends at once for an edit, and once it is cut short.
      edited: AbortSignal.any([this.#owned.edited, this.#cutShort.signal]),
      now: deps.now,
      steadyNow: deps.steadyNow ?? (() => performance.now()),
      warn: (err, what) => deps.logger.warn({ sync, err }, what),
    })
  }

  /** Removals of earlier runs within the window count, in whatever process they were made (R6). */
  #removals(state: StreamState): RemovalWindow {
    const { deps, sync } = this.#owned
    const from = deps.now() - WINDOW_MS
    const known = triggeredOps(this.#definition.sync).has('removed') ? state.removedSince(from) : []
    // A run that replaces an interrupted one has the rest of the same approval.
    const approvals = [...(deps.runs.of(sync)?.events.values() ?? [])].map(({ approved, endedAt }) =>
      endedAt !== null && endedAt >= from ? (approved ?? 0) : 0,
    )
    const approved = approvals.reduce((most, each) => Math.max(most, each), 0)
    return new RemovalWindow(known, { believed: state.count().believed, approved })
  }

  /**
   * Returns the columns whose differences count, and those that are needed at all. The topics keep the values
   * of these. But SQL needs all values of a row that it may leave out: throws `config` if an entry may lack
   * one.
   */
  #columnsOf({ columns, mayLack }: StreamColumns): {
    readonly compare: readonly string[]
    readonly needed: readonly string[]
  } {
    const used = templateColumns(this.#definition)
    used.assertKnown(columns)
    const compare = used.compared(columns)
    const needed = [...new Set([...compare, ...used.rendered(columns)])]
    const { sync, model } = this.#definition
    const lost = model.sql === undefined ? [] : mayLack.filter(column => needed.includes(column))
    if (lost.length === 0) return { compare, needed }
    throw new SluiceError(
      'config',
      `sync ${sync.name}: entries of the log may lack ${lost.join(', ')}, and the rows from before are not ` +
        'kept with it. Set `REPLICA IDENTITY FULL` on the table',
    )
  }

  /** Brings the state up to date. A damaged one is built again, once. */
  async #feed(state: StreamState, whyEmpty: string): Promise<void> {
    const { deps, ownership } = this.#owned
    const { incarnation, partitions, topics } = ownership
    const { run, faults } = atWorkOf(this.#owned).run
    const feed = async (why: string | undefined): Promise<void> => {
      const reporter = this.#parts.reporter()
      await feedStreamState(state, {
        ...{ log: deps.log, io: deps.io, topics, partitions, incarnation, faults, signal: this.#signal },
        fedFor: () => ({ run: run ?? 0, at: deps.now() }),
        onProgress: (progress: Restoring) => reporter.report(progress),
        ...(why === undefined ? {} : { whyEmpty: why }),
      })
      await reporter.end()
    }
    try {
      await feed(run === 1 ? undefined : whyEmpty)
    } catch (error) {
      if (!isSluiceError(error, 'corrupt')) throw error
      state.reset()
      await feed(error.message)
    } finally {
      await this.#owned.step({ kind: 'restored' })
    }
  }

  #found(): Found {
    const faults = this.#faults
    const none = { rowsRead: 0, rowsInvalid: 0, invalidSamples: [], undecided: 0, counts: {}, notices: [] }
    return { ...none, ...this.#counts.found, faults }
  }

  async #hold(toApprove: NonNullable<Detection['toApprove']>): Promise<Detection> {
    const to = deliveredTo(this.#definition.destination)
    const found = this.#found()
    const { next } = await this.#owned.step({ kind: 'detected', found, records: 1, toApprove, to })
    return { next, toApprove }
  }

  /** Begins to publish the run. */
  async #begin(columns: StreamColumns['columns'], state: StreamState): Promise<Encoder> {
    const owned = this.#owned
    const { deps, sync, ownership, ends } = owned
    const { incarnation } = ownership
    const to = deliveredTo(this.#definition.destination)
    await owned.step({ kind: 'detected', found: this.#found(), records: 1, toApprove: null, to })
    const schema = changeSchema(columns)
    const encoder = await deps.io.changeEncoder({ sync, incarnation, schema }, { signal: ends.drain })
    await owned.step({ kind: 'prepared', at: deps.now() })
    this.#signal.throwIfAborted()
    await endGone(state, owned, this.#signal)
    await owned.step({ kind: 'publishing', at: deps.now() })
    await this.#publisher?.begin()
    return encoder
  }

  /**
   * Resolves once delivery passes no more ends of slices on in a partition. The run then ends, and the next
   * one decides what is lost. Rejects when the run is over.
   */
  async #watchReports(): Promise<void> {
    const { deps, sync } = this.#owned
    const { run } = atWorkOf(this.#owned).run
    const isCutShort = (): boolean =>
      [...(deps.runs.of(sync)?.reports.values() ?? [])].some(
        report => report.run === run && (report.ended || report.faultedFrom !== null),
      )
    await deps.runs.until(isCutShort, { signal: this.#over.signal })
    this.#cutShort.abort(new SluiceError('aborted', 'delivery passes on no more ends of slices'))
  }

  /** Says how the stream stands, until the run is over. */
  async #follow(loop: StreamLoop, hearing: Hearing): Promise<void> {
    const { signal } = this.#over
    await this.#report(loop, hearing, signal).catch((error: unknown) => {
      if (!signal.aborted) loop.fail(error)
    })
  }

  async #report(loop: StreamLoop, hearing: Hearing, signal: AbortSignal): Promise<void> {
    for (;;) {
      this.#owned.heard = loop.heard
      await this.#tellProgress(loop, hearing)
      await sleep(REPORT_MS, { signal })
    }
  }

  async #tellProgress(loop: StreamLoop, hearing: Hearing): Promise<void> {
    const { life } = this.#owned
    const { atWork } = life
    if (atWork === null || (atWork.phase !== 'detecting' && atWork.phase !== 'publishing')) return
    this.#counts.finished(this.#finished())
    const stream = this.#counts.progress(this.#since(), loop.lag(), hearing.committedAt)
    this.#showMetrics(stream, loop)
    const { found } = this.#counts
    // A lag that grows is told, and one that stays small is not.
    const lagMs = stream.lagMs === null ? null : Math.floor(stream.lagMs / REPORT_MS)
    const told = JSON.stringify([{ ...stream, lagMs }, found, atWork.phase])
    if (told === this.#reported) return
    this.#reported = told
    await this.#owned.step({ kind: 'streamed', stream, found })
  }

  #showMetrics({ lagRecords, lagMs }: StreamProgress, { held, inFlight }: StreamLoop): void {
    const { deps, sync } = this.#owned
    deps.stageMetrics?.stream(sync, { lagRecords, lagMs, held, inFlight })
    const { entries, comparisons } = this.#counts.sinceShown()
    for (const result of STREAMED_RESULTS) deps.stageMetrics?.streamRead(sync, result, entries[result])
    for (const reason of comparisons) deps.stageMetrics?.streamCompares(sync, reason)
  }

  /** Returns how many rows of the run delivery has reported as finished. */
  #finished(): { readonly delivered: number; readonly failed: number } {
    const { deps, sync } = this.#owned
    const { run } = atWorkOf(this.#owned).run
    const reports = [...(deps.runs.of(sync)?.reports.values() ?? [])].filter(report => report.run === run)
    const counts = reports.flatMap(report => Object.values(report.counts))
    const sum = (of: (each: OpCounts) => number): number => counts.reduce((all, each) => all + of(each), 0)
    const failed = sum(({ rejected, unknown, unsent }) => rejected + unknown + unsent)
    return { delivered: sum(({ delivered }) => delivered), failed }
  }

  /** When the stream began: at the beginning of its first run without a pause between. */
  #since(): number {
    const { deps, sync } = this.#owned
    const { run, startedAt } = atWorkOf(this.#owned).run
    const events = [...(deps.runs.of(sync)?.events.values() ?? [])]
    const before = events.find(event => event.run === (run ?? 0) - 1)
    const began = startedAt ?? deps.now()
    return sinceOfBefore(before, began) ?? began
  }

  async #end(end: LoopEnd, loop: StreamLoop, hearing: Hearing): Promise<Detection> {
    const owned = this.#owned
    const { deps, sync, ends } = owned
    const publisher = this.#publisher
    if (end.kind === 'held') return await this.#hold(end.toApprove)
    if (publisher === null || !publisher.hasBegun) {
      this.#signal.throwIfAborted()
      const { run } = atWorkOf(owned)
      // Whatever else it was for, the next run of the stream does.
      if (!end.isWhole && (run.first || commandOf(run) !== null)) throw endedEarly()
      await this.#tellProgress(loop, hearing)
      const to = deliveredTo(this.#definition.destination)
      const found = this.#found()
      const { next } = await owned.step({ kind: 'detected', found, records: 0, toApprove: null, to })
      return { next, toApprove: null }
    }
    await publisher.end(!end.isWhole)
    for (const op of OPS) deps.stageMetrics?.published(sync, op, publisher.counts[op])
    await this.#tellProgress(loop, hearing)
    // If this process drains, its successor writes that the run is published.
    ends.drain.throwIfAborted()
    const done = (next: Next): Detection => ({ next, toApprove: null })
    if (this.#parts.cancel.aborted)
      return done((await owned.step({ kind: 'publishing-cancelled', at: deps.now() })).next)
    // A takeover sees that the run was ended early, and has another one do the rest.
    if (!end.isWhole) throw endedEarly()
    return done((await owned.step({ kind: 'published', at: deps.now() })).next)
  }
}

function endedEarly(): SluiceError {
  return new SluiceError('writer-dead', 'the run over a stream was ended before it was done', {
    retryable: true,
  })
}

function hashOf(
  { model, source }: Definition,
  { compare, needed }: { readonly compare: readonly string[]; readonly needed: readonly string[] },
): string {
  const text = JSON.stringify([model, source.name, compare, needed])
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

/**
 * Returns why the table has to be compared before the log is read. Null if the log goes on where it was left.
 */
function whyCompared(
  position: StreamPosition | null,
  { modelHash, newestEpoch }: { readonly modelHash: string; readonly newestEpoch: number },
): StreamBreak | null {
  if (position === null || position.partitions.length === 0)
    return (position?.epoch ?? 0) === 0
      ? { kind: 'break', why: 'first', detail: 'nothing was compared before' }
      : { kind: 'break', why: 'lost', detail: 'the log broke off in an earlier run' }
  if (newestEpoch > position.epoch)
    return { kind: 'break', why: 'lost', detail: 'a comparison was not finished' }
  if (position.model !== modelHash)
    return {
      kind: 'break',
      why: 'columns',
      detail: 'the model is another one, or other columns are compared or used',
    }
  return null
}
