/**
 * Watches syncs for the alerts that name them, and sends notices when conditions begin and end. Exactly one
 * process does this at a time: the owner of the single partition of the topic `alerts`. A new owner fences
 * the old one.
 *
 * A state is stored with its notices before any of them is sent. It is stored again, without the notice, once
 * the notice was sent. So a process that dies in between sends a notice again, with the same id, and no
 * notice is lost.
 */
import type { AlertNotice } from '@sluice/contracts/specs/alert-views'
import { isSluiceError } from '@sluice/contracts/errors'
import type { AlertSpec } from '@sluice/contracts/resources'
import { endingOf, type Ends } from '@sluice/flow/ends'
import { Notifier } from '@sluice/flow/notifier'
import { sleep } from '@sluice/flow/sleep'
import type { Locks } from '@sluice/partition/port'
import type { FencedWriter, NewRecord } from '@sluice/message-log/port'
import { isMember, ownPartitions } from '@sluice/partition/own-partitions'
import { plainMarker } from '@sluice/partition/take-over'
import { at, markerKey, SHARED_PARTITIONS, sharedTopics } from '@sluice/topics/topics'
import type { AlertState, Trouble } from '../evaluate/alert-state.ts'
import { evaluate, mustBeStored } from '../evaluate/evaluate.ts'
import { sendNotice, type SendNoticeDeps } from '../send/send-notice.ts'
import type { AlertMetrics } from './alert-metrics.ts'
import { readAlertStates, stateRecord, watchKey, type AlertLog, type KeptState } from './alert-records.ts'
import { Courier, type NoticeAttempt } from './courier.ts'
import { KnownFacts, type KnownFactsDeps } from './known-facts.ts'
import { readWatched, type AllWatched } from './watched.ts'

/** Runs report progress twice a second. One evaluation covers all reports of this time. */
const GATHER_MS = 250
/** The longest wait, since somebody may set the clock in the meantime. */
const MAX_WAIT_MS = 60_000
/** An append has at most this many states. */
const MAX_RECORDS = 500
const PAUSE_AFTER_FAILURE_MS = 5_000
const AFTER_A_PAUSE = 'alerts are watched again after a pause'
/** A command that has finished waits at most this long for its notices. */
const LAST_LOOK_MS = 10_000

export interface KeepAlertsDeps extends AlertLog, SendNoticeDeps, KnownFactsDeps {
  readonly locks: Locks
  readonly logger: {
    info(fields: object, message: string): void
    warn(fields: object, message: string): void
  }
  readonly alertMetrics: AlertMetrics
  /** The pause after a first failure to send a notice; default 5 s. */
  readonly firstPauseMs?: number
  /** The watched syncs; absent for all. */
  readonly only?: Pick<ReadonlySet<string>, 'has'>
  /** True to look once more after `drain`, and to try each notice once. */
  readonly looksOnceMore?: boolean
}

/** The signals that end the work of one owner. */
interface OwnerEnds extends Ends {
  /** False once another process may have taken over. The owner sends no more notices then. */
  readonly isCurrent: () => boolean
}

/**
 * Watches alerts in a process that is the only user of the log. Resolves once drained. Begins again after a
 * transient failure, and rejects with any other failure.
 */
export async function keepAlertsAlone(deps: Omit<KeepAlertsDeps, 'locks'>, ends: Ends): Promise<void> {
  const ending = endingOf(ends)
  for (;;) {
    try {
      await new AlertKeeper(deps, { ...ends, isCurrent: () => true }).work()
      return
    } catch (error) {
      if (ending.aborted) return
      if (!isSluiceError(error) || !error.retryable) throw error
      deps.logger.warn({ err: error }, AFTER_A_PAUSE)
    }
    await sleep(PAUSE_AFTER_FAILURE_MS, { signal: ending }).catch(() => undefined)
    if (ending.aborted) return
  }
}

/**
 * Watches alerts in one of several processes. Resolves once drained. Rejects with a failure that a takeover
 * by another process would not solve.
 */
export async function keepAlerts(deps: KeepAlertsDeps, ends: Ends): Promise<void> {
  const { log, prefix, locks, logger } = deps
  await ownPartitions({
    ...{ log, locks, group: `${prefix}.alerts`, topic: sharedTopics(prefix).alerts },
    lockName: () => 'alerts',
    work: worker => new AlertKeeper(deps, { ...worker, isCurrent: () => isMember(worker) }).work(),
    onTransientFailure: (_target, err) => logger.warn({ err }, AFTER_A_PAUSE),
    ...ends,
  })
}

class AlertKeeper {
  readonly #deps: Omit<KeepAlertsDeps, 'locks'>
  readonly #ends: OwnerEnds
  readonly #states = new Map<string, KeptState>()
  /** The states as they are stored. */
  readonly #stored = new Map<string, AlertState>()
  readonly #couriers = new Map<string, Courier>()
  readonly #attempts: NoticeAttempt[] = []
  readonly #changes = new Notifier()
  readonly #facts: KnownFacts
  readonly #maySend: AbortSignal
  /** Aborts everything that runs beside the loop of `work`. */
  readonly #stop = new AbortController()
  /** Aborts notices on their way to a target. */
  readonly #givingUp = new AbortController()
  #failure: unknown = null
  #isStale = true
  /** The syncs watched so far, if `only` is set. */
  readonly #mine = new Set<string>()
  #all: AllWatched = { watched: [], knows: () => true }

  constructor(deps: Omit<KeepAlertsDeps, 'locks'>, ends: OwnerEnds) {
    this.#deps = deps
    this.#ends = ends
    this.#facts = new KnownFacts(deps)
    this.#maySend = AbortSignal.any([ends.abort, this.#givingUp.signal])
  }

  async work(): Promise<void> {
    const { log, prefix, runs } = this.#deps
    // With `looksOnceMore`, the work begins even if the command has already finished.
    const signal = this.#deps.looksOnceMore === true ? this.#ends.abort : endingOf(this.#ends)
    await using writer = await log.openWriter(`${prefix}.alerts`, { signal })
    const marker = this.#deps.io.encode('Marker', plainMarker('takeover', '', -1))
    const record = { key: markerKey('takeover', 'alerts'), value: marker }
    const { alerts } = sharedTopics(prefix)
    await writer.append(at(alerts, 0), [this.#deps.io.signed(alerts, record)], { signal })
    for (const [key, kept] of await readAlertStates(this.#deps, signal)) {
      this.#states.set(key, kept)
      this.#stored.set(key, kept.state)
    }
    for (let partition = 0; partition < SHARED_PARTITIONS; partition += 1)
      await runs.caughtUp(partition, { signal })
    const watching = [this.#watchRuns(), this.#watchResources()]
    try {
      await this.#loop(writer)
      if (this.#deps.looksOnceMore === true) await this.#lastLook(writer)
    } finally {
      this.#stop.abort()
      await Promise.allSettled(watching)
      await Promise.all([...this.#couriers.values()].map(courier => courier.idle()))
      if (writer.state === 'open' && !this.#ends.abort.aborted)
        await this.#storeAttempts(writer, this.#ends.abort).catch(() => undefined)
    }
  }

  async #loop(writer: FencedWriter): Promise<void> {
    const { drain, abort } = this.#ends
    const signal = endingOf(this.#ends)
    try {
      while (!signal.aborted) {
        const seen = this.#changes.version
        const dueAt = await this.#look(writer, abort)
        await this.#wait(seen, dueAt, signal)
      }
    } catch (error) {
      if (!drain.aborted && !abort.aborted) throw error
      if (writer.state !== 'open') throw error
    }
  }

  /** Resolves once something has changed, or at `dueAt`. */
  async #wait(seen: number, dueAt: number | null, signal: AbortSignal): Promise<void> {
    const { now } = this.#deps
    const untilMs = Math.min(Math.max((dueAt ?? Infinity) - now(), GATHER_MS), MAX_WAIT_MS)
    const woken = new AbortController()
    const waiting = AbortSignal.any([signal, woken.signal])
    await Promise.race([
      this.#changes.after(seen, { signal: waiting }),
      sleep(untilMs, { signal: waiting }),
    ]).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
    woken.abort()
    if (!signal.aborted) await sleep(GATHER_MS, { signal }).catch(() => undefined)
  }

  /**
   * Evaluates all runs that have ended, and tries each notice once. The next process sends the notices that
   * no target accepts in time.
   */
  async #lastLook(writer: FencedWriter): Promise<void> {
    const timer = setTimeout(() => this.#givingUp.abort(new Error('nobody waits any longer')), LAST_LOOK_MS)
    try {
      await this.#lookAndSend(writer)
    } finally {
      clearTimeout(timer)
    }
  }

  async #lookAndSend(writer: FencedWriter): Promise<void> {
    const { abort } = this.#ends
    const { runs } = this.#deps
    for (let partition = 0; partition < SHARED_PARTITIONS; partition += 1)
      await runs.caughtUp(partition, { signal: abort })
    for (let more = true; more;) {
      await this.#look(writer, abort)
      await Promise.all([...this.#couriers.values()].map(courier => courier.idle()))
      more = this.#attempts.some(({ trouble }) => trouble === null)
    }
    await this.#storeAttempts(writer, abort)
  }

  /**
   * Evaluates everything, stores new states, and gives notices to the couriers. Resolves with the time of the
   * next look.
   */
  async #look(writer: FencedWriter, signal: AbortSignal): Promise<number | null> {
    if (this.#failure !== null) throw this.#failure
    await this.#storeAttempts(writer, signal)
    if (this.#isStale) await this.#readWatched(writer, signal)
    const news = new Map<string, KeptState>()
    let dueAt: number | null = null
    const isDue = (when: number | null): void => {
      if (when !== null) dueAt = Math.min(dueAt ?? when, when)
    }
    for (const watched of this.#watched()) {
      const { alert, sync } = watched
      const key = watchKey({ alert: alert.name, sync })
      const before = this.#states.get(key)?.state ?? null
      const facts = await this.#facts.of(watched, before, signal)
      const { state, notices, dueAt: due } = evaluate({ alert, facts, state: before, now: this.#deps.now() })
      isDue(due)
      const outbox = await this.#facts.completed(state, notices, signal)
      const kept = { alert: alert.name, sync, state: { ...state, outbox } }
      this.#states.set(key, kept)
      if (mustBeStored(this.#stored.get(key) ?? null, kept.state)) news.set(key, kept)
    }
    await this.#store(writer, [...news], signal)
    this.#offerNotices()
    for (const courier of this.#couriers.values()) isDue(courier.nextAt)
    this.#updateMetrics()
    return dueAt
  }

  /** Returns the watched syncs. Their set may grow, and a sync stays watched to the end. */
  #watched(): AllWatched['watched'] {
    const { only } = this.#deps
    if (only === undefined) return this.#all.watched
    for (const { sync } of this.#all.watched) if (only.has(sync)) this.#mine.add(sync)
    return this.#all.watched.filter(({ sync }) => this.#mine.has(sync))
  }

  async #readWatched(writer: FencedWriter, signal: AbortSignal): Promise<void> {
    this.#isStale = false
    const before = new Map(this.#all.watched.map(({ alert }) => [alert.name, JSON.stringify(alert)]))
    const all = await readWatched(this.#deps, signal)
    this.#all = all
    for (const { alert } of this.#all.watched) {
      const was = before.get(alert.name)
      if (was !== undefined && was !== JSON.stringify(alert)) this.#couriers.get(alert.name)?.hurry()
    }
    const gone = [...this.#states.values()].filter(watch => !all.knows(watch))
    if (gone.length === 0) return
    const { alerts } = sharedTopics(this.#deps.prefix)
    const tombstones = gone.map(watch => stateRecord(this.#deps, watch, null))
    for (const some of slices(tombstones)) await writer.append(at(alerts, 0), some, { signal })
    for (const watch of gone) {
      this.#states.delete(watchKey(watch))
      this.#stored.delete(watchKey(watch))
      this.#deps.alertMetrics.gone(watch.alert)
    }
  }

  async #store(
    writer: FencedWriter,
    news: readonly (readonly [string, KeptState])[],
    signal: AbortSignal,
  ): Promise<void> {
    const { alerts } = sharedTopics(this.#deps.prefix)
    const records = news.map(([, kept]) => stateRecord(this.#deps, kept, kept.state))
    for (const some of slices(records)) await writer.append(at(alerts, 0), some, { signal })
    for (const [key, { state }] of news) this.#stored.set(key, state)
  }

  /** Stores the results of the attempts since the last call. */
  async #storeAttempts(writer: FencedWriter, signal: AbortSignal): Promise<void> {
    const news = new Map<string, KeptState>()
    for (const { key, notice, trouble } of this.#attempts.splice(0)) {
      const kept = this.#states.get(key)
      if (kept === undefined) continue
      const state =
        trouble === null
          ? {
              ...kept.state,
              outbox: kept.state.outbox.filter(({ id }) => id !== notice.id),
              trouble: null,
              lastSent: { id: notice.id, at: this.#deps.now() },
            }
          : { ...kept.state, trouble }
      const next = { ...kept, state }
      this.#states.set(key, next)
      news.set(key, next)
    }
    await this.#store(writer, [...news], signal)
  }

  /** Offers each courier the oldest notice of its alert, which is stored already. */
  #offerNotices(): void {
    if (!this.#ends.isCurrent()) return
    for (const [key, alert, notice] of this.#oldest()) {
      if (this.#attempts.some(attempt => attempt.notice.id === notice.id)) continue
      this.#courierOf(alert.name).offer(alert, key, notice)
    }
  }

  /** Returns the oldest notice of each alert. */
  #oldest(): readonly (readonly [string, AlertSpec, AlertNotice])[] {
    const oldest = new Map<string, readonly [string, AlertSpec, AlertNotice]>()
    for (const { alert, sync } of this.#watched()) {
      const key = watchKey({ alert: alert.name, sync })
      const notice = this.#states.get(key)?.state.outbox[0]
      if (notice === undefined) continue
      const known = oldest.get(alert.name)
      if (known === undefined || notice.at < known[2].at) oldest.set(alert.name, [key, alert, notice])
    }
    return [...oldest.values()]
  }

  #courierOf(name: string): Courier {
    const known = this.#couriers.get(name)
    if (known !== undefined) return known
    const courier = new Courier(this.#troubleOf(name), {
      now: this.#deps.now,
      firstPauseMs: this.#deps.firstPauseMs,
      send: (alert, notice) => sendNotice(alert, notice, this.#deps, { signal: this.#maySend }),
      onAttempt: attempt => {
        this.#attempts.push(attempt)
        this.#noteAttempt(name, attempt)
        this.#changes.notify()
      },
      onFault: error => {
        if (!this.#maySend.aborted) this.#failure = error
        this.#changes.notify()
      },
    })
    this.#couriers.set(name, courier)
    return courier
  }

  /** Returns the latest failure to send a notice of this alert, among all its syncs. */
  #troubleOf(name: string): Trouble | null {
    const all = [...this.#states.values()].flatMap(({ alert, state }) =>
      alert === name && state.trouble !== null ? [state.trouble] : [],
    )
    return all.sort((a, b) => b.nextAt - a.nextAt)[0] ?? null
  }

  #noteAttempt(alert: string, { notice, trouble }: NoticeAttempt): void {
    const { logger, alertMetrics } = this.#deps
    const { id, sync, condition, state } = notice
    alertMetrics.tried(alert, trouble === null ? 'told' : 'failed')
    if (trouble === null) logger.info({ alert, sync, condition, state, id }, 'a notice was sent')
    else
      logger.warn(
        { alert, sync, condition, state, id, tries: trouble.tries, why: trouble.error },
        'a notice cannot be sent for now',
      )
  }

  #updateMetrics(): void {
    const firing = new Map<string, number>()
    const waiting = new Map<string, number>()
    for (const { alert, state } of this.#states.values()) {
      firing.set(alert, (firing.get(alert) ?? 0) + Object.keys(state.firing).length)
      waiting.set(alert, (waiting.get(alert) ?? 0) + state.outbox.length)
    }
    for (const [alert, count] of firing) this.#deps.alertMetrics.firing(alert, count)
    for (const [alert, count] of waiting) this.#deps.alertMetrics.undelivered(alert, count)
  }

  async #watchRuns(): Promise<void> {
    const { runs } = this.#deps
    const { signal } = this.#stop
    try {
      for (let seen = runs.changes.version; !signal.aborted; seen = runs.changes.version) {
        await runs.until(() => runs.changes.version !== seen, { signal })
        this.#changes.notify()
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  async #watchResources(): Promise<void> {
    const { log, prefix } = this.#deps
    const { signal } = this.#stop
    const target = at(sharedTopics(prefix).resources, 0)
    try {
      const { end } = await log.offsets(target, { signal })
      this.#isStale = true
      for await (const _batch of log.read(target, { from: end, signal })) {
        this.#isStale = true
        this.#changes.notify()
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    if (this.#stop.signal.aborted) return
    this.#failure ??= error
    this.#changes.notify()
  }
}

function slices(records: readonly NewRecord[]): readonly (readonly NewRecord[])[] {
  return Array.from({ length: Math.ceil(records.length / MAX_RECORDS) }, (_, index) =>
    records.slice(index * MAX_RECORDS, (index + 1) * MAX_RECORDS),
  )
}
