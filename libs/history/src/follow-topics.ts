/**
 * Follows the topics of all syncs into the index of history. It reads a sync's topics while one of its runs
 * is at work, and once after that. It reads the topics of all syncs now and then, since attempts may come
 * without a run.
 */
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { Attempt } from '@sluice/contracts/records'
import { isIntent } from '@sluice/domain/answers/intent'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { Notifier } from '@sluice/flow/notifier'
import { sleep } from '@sluice/flow/sleep'
import { runAtWork, type RunsView, type SyncRuns } from '@sluice/runs/runs-view'
import type { ReadBatch } from '@sluice/message-log/port'
import { decodeEach, type Placed } from '@sluice/topics/owned-reader'
import { at, isMarkerKey, keyText, SHARED_PARTITIONS, syncTopics } from '@sluice/topics/topics'
import { RECORDED_BODY_BYTES } from '@sluice/domain/bounded-text'
import { attemptDetails, bodyOf, keysOf } from './attempt-rows.ts'
import type { AttemptFacts, FollowedTopic, HistoryIndex, Mention, Place } from './port.ts'
import { readRequests, type TopicsDeps } from './read-records.ts'

/**
 * The index lies at most this far behind a run at work. Who asks for a search does not wait for the next
 * round: `caughtUp` begins one. More often would store fewer records together, and each would cost more.
 */
const ROUND_MS = 5_000
/** The topics of all syncs are read this often, even if they have no runs. */
const READ_ALL_MS = 60_000
const PAUSE_AFTER_FAILURE_MS = 1_000
const DAY_MS = 86_400_000
/** At most this many pieces are swept between two rounds. */
const MAX_PIECES = 100
/** At most this many attempts are decoded and stored together. */
const MAX_ATTEMPTS = 500
/**
 * About this many keys are stored together. Fewer of them write more pages of the index for each, and more
 * hold up the process for longer.
 */
const KEYS_TOGETHER = 10_000
const READ_AHEAD_BYTES = 1024 * 1024

const FOLLOWED: readonly FollowedTopic[] = ['attempts', 'changes', 'retry', 'captured']

export interface FollowerOptions extends TopicsDeps {
  readonly runs: RunsView
  readonly index: HistoryIndex
  /** Attempts are kept for this many days. */
  readonly days: number
  /** Called with a failure, after which the follower goes on by itself. */
  readonly onTransientFailure: (error: unknown) => void
  /** Milliseconds since 1970. */
  readonly now?: () => number
  readonly roundMs?: number
}

export class TopicsFollower implements AsyncDisposable {
  readonly #options: FollowerOptions
  readonly #stop = new AbortController()
  /** Notifies after each round. */
  readonly #rounds = new Notifier()
  /** The state of each sync's runs when its topics were last read to their end. */
  readonly #seen = new Map<string, string>()
  /** By place, its end when it was last read to it. */
  readonly #ends = new Map<string, number>()
  #ended: Promise<void> = Promise.resolve()
  #readAllAtMs = -Infinity
  /** Wakes the pause between two rounds. */
  #woken = new AbortController()

  private constructor(options: FollowerOptions) {
    this.#options = options
  }

  static start(options: FollowerOptions): TopicsFollower {
    const follower = new TopicsFollower(options)
    follower.#ended = follower.#follow()
    return follower
  }

  /**
   * Waits until the index holds what the topics of these syncs held when this was called. False if that takes
   * longer than `withinMs`.
   */
  async caughtUp(
    syncs: readonly string[],
    { withinMs, signal }: { readonly withinMs: number; readonly signal: AbortSignal },
  ): Promise<boolean> {
    const wanted = new Map(
      syncs.flatMap(name => {
        const runs = this.#options.runs.of(name)
        return runs === undefined ? [] : [[name, runs] as const]
      }),
    )
    const isDone = (): boolean => [...wanted.values()].every(runs => !this.#isBehind(runs))
    const until = elapsedMs() + withinMs
    // A run at work goes on writing. So one whole round that begins after this call is enough.
    for (let fullRounds = 0; !isDone() && fullRounds < 2; fullRounds += 1) {
      const seen = this.#rounds.version
      this.#woken.abort()
      const late = AbortSignal.timeout(Math.max(1, Math.ceil(until - elapsedMs())))
      try {
        await this.#rounds.after(seen, { signal: AbortSignal.any([signal, late, this.#stop.signal]) })
      } catch (error) {
        signal.throwIfAborted()
        if (late.aborted || this.#stop.signal.aborted) return false
        throw error
      }
    }
    return true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new SluiceError('aborted', 'The history is closed.'))
    await this.#ended
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop
    const { onTransientFailure, roundMs = ROUND_MS } = this.#options
    while (!signal.aborted) {
      this.#woken = new AbortController()
      let pauseMs = roundMs
      try {
        await this.#readRound()
        await this.#sweep()
      } catch (error) {
        if (signal.aborted) return
        onTransientFailure(error)
        // A damaged index is empty now, and is filled from the start of the topics.
        if (isSluiceError(error, 'corrupt')) {
          this.#seen.clear()
          this.#ends.clear()
        }
        pauseMs = PAUSE_AFTER_FAILURE_MS
      }
      await sleep(pauseMs, { signal: AbortSignal.any([signal, this.#woken.signal]) }).catch(() => undefined)
    }
  }

  async #readRound(): Promise<void> {
    if (this.#readAllAtMs === -Infinity)
      for (let partition = 0; partition < SHARED_PARTITIONS; partition += 1)
        await this.#options.runs.caughtUp(partition, { signal: this.#stop.signal })
    const all = elapsedMs() - this.#readAllAtMs >= READ_ALL_MS
    if (all) this.#ends.clear()
    for (const runs of [...this.#options.runs.all()]) {
      if (!all && !this.#isBehind(runs)) continue
      // The next round reads what is written after this.
      const state = stateOf(runs)
      await this.#readSync(runs)
      this.#seen.set(runs.sync, state)
    }
    if (all) this.#readAllAtMs = elapsedMs()
    this.#rounds.notify()
  }

  /** True if its topics may hold more than the index. */
  #isBehind(runs: SyncRuns): boolean {
    return runAtWork(runs) !== null || this.#seen.get(runs.sync) !== stateOf(runs)
  }

  async #readSync({ sync, incarnation }: SyncRuns): Promise<void> {
    const { log, prefix } = this.#options
    const { signal } = this.#stop
    const topics = syncTopics(prefix, sync)
    for (const topic of FOLLOWED) {
      const partitions = (await log.partitionsOf(topics[topic], { signal })) ?? 0
      for (let partition = 0; partition < partitions; partition += 1)
        await this.#readPlace({ sync, incarnation, topic, partition })
    }
  }

  /** Reads the rest of a partition, from the offset that the index has reached. */
  async #readPlace(place: Place): Promise<void> {
    const { log, prefix, index } = this.#options
    const { signal } = this.#stop
    const target = at(syncTopics(prefix, place.sync)[place.topic], place.partition)
    const { low, end } = await log.offsets(target, { signal })
    const name = `${place.incarnation} ${target.topic} ${target.partition}`
    if (this.#ends.get(name) === end) return
    const position = index.position(place) ?? 0
    // If the topic ends before that position, it was lost and created again. It is read from its start.
    const from = position > end ? low : Math.max(low, position)
    if (from < end) {
      const reading = log.read(target, { signal, from, to: end, bufferBytes: READ_AHEAD_BYTES })
      if (place.topic === 'attempts') await this.#addAttempts(place, reading)
      else await this.#addMentions(place, reading)
    }
    this.#ends.set(name, end)
  }

  async #addMentions(place: Place, reading: AsyncIterable<ReadBatch>): Promise<void> {
    const { index } = this.#options
    const { signal } = this.#stop
    const mentions: Mention[] = []
    let next: number | null = null
    for await (const { records, nextOffset } of reading) {
      for (const { key, offset, timestamp, unreadable } of records)
        if (!isMarkerKey(key) && unreadable === undefined)
          mentions.push({ key: keyText(key), offset, at: timestamp })
      next = nextOffset
      if (mentions.length < KEYS_TOGETHER) continue
      index.addMentions({ place, mentions: mentions.splice(0), next })
      await sleep(0, { signal })
    }
    if (next !== null) index.addMentions({ place, mentions, next })
  }

  async #addAttempts(place: Place, reading: AsyncIterable<ReadBatch>): Promise<void> {
    const { index, io } = this.#options
    const { signal } = this.#stop
    let stored: number | null = null
    for await (const { records, nextOffset } of reading) {
      for (let i = 0; i < records.length; i += MAX_ATTEMPTS) {
        const placed = await decodeEach(io, records.slice(i, i + MAX_ATTEMPTS), signal)
        for (const { offset, torn } of placed) if (torn !== undefined) this.#passOver(place, offset, torn)
        for (const attempts of byKeys(await this.#attemptsOf(place, placed))) {
          stored = (attempts.at(-1)?.offset ?? 0) + 1
          index.addAttempts({ place, attempts, next: stored })
          // Other work gets its turn.
          await sleep(0, { signal })
        }
      }
      // Markers, or records that nobody can read, may stand behind the last attempt.
      if (stored !== nextOffset) index.addAttempts({ place, attempts: [], next: nextOffset })
    }
  }

  async #attemptsOf(place: Place, placed: readonly Placed[]): Promise<readonly AttemptFacts[]> {
    const { index } = this.#options
    const found = placed.flatMap(({ record, offset }) => {
      if (record?.name !== 'sluice.Attempt') return []
      const attempt = record.value
      if (attempt.incarnation !== place.incarnation || isIntent(attempt)) return []
      const fault = implausible(attempt)
      if (fault === null) return [{ attempt, offset }]
      this.#passOver(place, offset, fault)
      return []
    })
    const requests = await readRequests(
      this.#options,
      {
        ...place,
        offsets: found.map(({ attempt }) => attempt.requestOffset),
        pick: ({ value }) => {
          const body = index.hasBodies ? bodyOf(value) : null
          return {
            keys: value.rows.map(({ key }) => ({ key })),
            body: body?.subarray(0, wholeCharacters(body, RECORDED_BODY_BYTES)) ?? null,
            bodyBytes: body?.length ?? 0,
          }
        },
      },
      this.#stop.signal,
    )
    return found.map(({ attempt, offset }) => {
      const request = requests.get(attempt.requestOffset)
      const details = index.hasBodies ? attemptDetails(attempt, request ?? null) : null
      return { ...attempt, offset, keys: keysOf(attempt, request?.keys ?? []), details }
    })
  }

  #passOver({ sync, topic, partition }: Place, offset: number, error: SluiceError): void {
    const { io, prefix } = this.#options
    io.foreign.take(at(syncTopics(prefix, sync)[topic], partition), offset, error)
  }

  async #sweep(): Promise<void> {
    const { index, runs, days, now = Date.now } = this.#options
    const before = now() - days * DAY_MS
    const lives = [...runs.all()].map(({ sync, incarnation }) => ({ sync, incarnation }))
    for (let piece = 0; piece < MAX_PIECES && index.sweep({ before, lives }); piece += 1) {
      // Searches get their turn.
      await sleep(0, { signal: this.#stop.signal })
    }
  }
}

/** Divides attempts into pieces of about `KEYS_TOGETHER` keys, in their order. */
function* byKeys(attempts: readonly AttemptFacts[]): Generator<readonly AttemptFacts[]> {
  let piece: AttemptFacts[] = []
  let keys = 0
  for (const attempt of attempts) {
    piece.push(attempt)
    keys += attempt.keys.length
    if (keys < KEYS_TOGETHER) continue
    yield piece
    piece = []
    keys = 0
  }
  if (piece.length > 0) yield piece
}

/** The state of a sync's runs as text, which differs once a run has changed. */
function stateOf({ incarnation, events, marker }: SyncRuns): string {
  const runs = [...events.values()].map(({ runId, status }) => `${runId} ${status}`)
  return `${incarnation} ${marker} ${runs.join()}`
}

/**
 * Returns the error of a record that has the shape of an attempt, but values that Sluice never writes. Null
 * for other records.
 */
function implausible({ startedAt, durationMs, requestOffset, seq }: Attempt): SluiceError | null {
  const isSound =
    Number.isFinite(startedAt) &&
    startedAt >= 0 &&
    Number.isFinite(durationMs) &&
    [requestOffset, seq].every(number => Number.isSafeInteger(number) && number >= 0)
  return isSound ? null : new SluiceError('corrupt', 'An attempt has a time or an offset that cannot be.')
}

/** The length of the longest beginning of at most `limitBytes` that ends with a whole character of UTF-8. */
function wholeCharacters(text: Uint8Array, limitBytes: number): number {
  if (text.length <= limitBytes) return text.length
  let end = limitBytes
  // The bytes within a character begin with the bits 10.
  while (end > 0 && ((text[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return end
}
