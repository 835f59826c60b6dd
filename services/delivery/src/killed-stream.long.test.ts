/**
 * Deliveries of a run over a stream that die at any moment. A detector publishes a key again once it has read
 * the end of its slice. So no key goes back to an older version, though requests of dead processes arrive
 * late.
 */
import { expect, it } from 'vitest'
import type { Slice } from '@sluice/contracts/records'
import { abortable } from '@sluice/flow/abortable'
import { Notifier } from '@sluice/flow/notifier'
import { sleep } from '@sluice/flow/sleep'
import type { HttpSender, SendResult } from '@sluice/http-sender/port'
import type { FencedWriter, MessageLog } from '@sluice/message-log/port'
import { takeOver, type Ownership } from '@sluice/partition/take-over'
import { randomFrom, type Random } from '@sluice/testkit/random'
import { INCARNATION, sampleRequest, sampleRow, sampleSlice, SYNC } from '@sluice/testkit/sample-records'
import { at, sliceKey, textKey } from '@sluice/topics/topics'
import { ScriptedDelivery, topics } from '../test/scripted-delivery.ts'
import { lateAfterTakeover } from './run/maybe-sent.ts'

const HISTORIES = Number(process.env['SLUICE_TEST_HISTORIES'] ?? 12)
const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000)
const SLICES = 25
const KEYS = ['a', 'b', 'c', 'd', 'e']
/** Requests of a dead process arrive within this time. */
const LATE_MS = 60
const never = new AbortController().signal
const requests = at(topics.requests, 0)

/** An API that keeps the version of each key, and notices an older one that comes after a newer one. */
class Api implements HttpSender {
  readonly versions = new Map<string, number>()
  readonly wentBack: string[] = []
  readonly arrivals = new Notifier()
  readonly #random: Random
  fails = true

  constructor(random: Random) {
    this.#random = random
  }

  async send({ url, body, signal }: Parameters<HttpSender['send']>[0]): Promise<SendResult> {
    const random = this.#random
    const key = url.split('/').at(-1) ?? ''
    const version = Number(Buffer.from(body ?? []).toString())
    const fate = this.fails ? random.below(8) : 7
    const took = { startedAt: Date.now(), durationMs: 0 }
    try {
      await sleep(random.below(8), { signal })
    } catch (error) {
      // The kernel may deliver what the process had written.
      if (random.chance(0.6)) setTimeout(() => this.#arrive(key, version), random.below(LATE_MS - 10))
      throw error
    }
    if (fate === 0) return { kind: 'answered', status: 422, headers: {}, body: '', ...took }
    if (fate === 1) return { kind: 'failed', reason: 'timeout', error: 'lost', ...took }
    this.#arrive(key, version)
    if (fate === 2) return { kind: 'failed', reason: 'broken', error: 'unanswered', ...took }
    return { kind: 'answered', status: 200, headers: {}, body: '', ...took }
  }

  #arrive(key: string, version: number): void {
    const before = this.versions.get(key) ?? 0
    if (version < before) this.wentBack.push(`${key} from ${before} to ${version}`)
    this.versions.set(key, version)
    this.arrivals.notify()
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Publishes versions of keys as detector and renderer do: a key whose slice is not passed on waits. */
class Publisher {
  readonly #lives: ScriptedDelivery
  readonly #owner: Ownership
  readonly #begin: number
  readonly #inFlight = new Map<string, number>()
  readonly #heard = new Notifier()
  readonly versions = new Map<string, number>()
  #lastHeard = 0
  #slice = 0
  #seq = 0

  private constructor(lives: ScriptedDelivery, owner: Ownership, begin: number) {
    this.#lives = lives
    this.#owner = owner
    this.#begin = begin
  }

  static async open(lives: ScriptedDelivery, signal: AbortSignal): Promise<Publisher> {
    const { log, io, prefix } = lives.world
    const written = await lives.world.read(requests)
    const begin = written.findLast(({ record }) => record?.name === 'sluice.Marker')?.offset ?? -1
    const place = { sync: SYNC, incarnation: INCARNATION, partition: 0, targets: [requests] }
    const owner = await takeOver({ log, io, prefix, stage: 'requests', ...place, signal: never })
    const publisher = new Publisher(lives, owner, begin)
    void publisher.#hear(signal)
    return publisher
  }

  async #hear(signal: AbortSignal): Promise<void> {
    const { world } = this.#lives
    const reading = world.log.read(at(topics.retry, 0), { from: 0, signal })
    try {
      for await (const { records } of reading)
        for (const { value } of records) {
          const [record] = value === null ? [] : await world.io.decode([value], { signal })
          if (record?.name === 'sluice.Slice' && record.value.slice > this.#lastHeard)
            this.#take(record.value)
        }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  #take({ slice }: Slice): void {
    this.#lastHeard = slice
    for (const [key, last] of this.#inFlight) if (last <= slice) this.#inFlight.delete(key)
    this.#heard.notify()
  }

  /** Publishes a slice with some of the keys that are free, once one is. */
  async publish(random: Random, share = 0.7): Promise<void> {
    const isFree = (key: string): boolean => !this.#inFlight.has(key)
    await this.#heard.until(() => KEYS.some(isFree), { signal: never })
    const free = KEYS.filter(isFree)
    const some = free.filter(() => random.chance(share))
    this.#slice += 1
    const { io } = this.#lives.world
    const owned = {
      incarnation: INCARNATION,
      owner: this.#owner.markerOffset(requests),
      run: 1,
      begin: this.#begin,
    }
    const records = (some.length === 0 ? free : some).map(key => {
      const version = (this.versions.get(key) ?? 0) + 1
      this.versions.set(key, version)
      this.#inFlight.set(key, this.#slice)
      const seq = this.#seq++
      const row = sampleRow({ key, seq })
      const fields = { ...owned, seq, path: `/rows/${key}`, body: Buffer.from(`${version}`), rows: [row] }
      return { key: textKey(`1/0/${seq}`), value: io.encode('Request', sampleRequest(fields)) }
    })
    const end = sampleSlice({ ...owned, slice: this.#slice, count: this.#seq })
    records.push({ key: sliceKey(0), value: io.encode('Slice', end) })
    await this.#owner.append(requests, records, { signal: never })
  }

  /** Resolves once the ends of all slices are passed on. */
  async heardAll(): Promise<void> {
    await this.#heard.until(() => this.#lastHeard === this.#slice, { signal: never })
  }
}

/** A log whose `appends`-th append is the last of its process. It is lost, or nobody hears of it any more. */
function mortalLog(log: MessageLog, of: { appends: number; isLost: boolean; kill: () => void }): MessageLog {
  const append = async (writer: FencedWriter, ...args: Parameters<FencedWriter['append']>) => {
    of.appends -= 1
    if (of.appends !== 0) return writer.append(...args)
    if (!of.isLost) await writer.append(args[0], args[1], { signal: never })
    of.kill()
    return abortable(new Promise<never>(() => undefined), args[2])
  }
  return new Proxy(log, {
    get(target, name) {
      if (name === 'openWriter')
        return async (...args: Parameters<MessageLog['openWriter']>): Promise<FencedWriter> => {
          const writer = await target.openWriter(...args)
          return {
            id: writer.id,
            get state() {
              return writer.state
            },
            append: (...appended) => append(writer, ...appended),
            [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
          }
        }
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => Reflect.apply(value, target, args)
    },
  })
}

/** Checks that each end of a slice stands behind all that the requests before it came to. */
async function assertEndsAreTrue(lives: ScriptedDelivery): Promise<void> {
  const finals = new Map<
    number,
    { readonly offset: number; readonly seq: number; readonly isDelivered: boolean }
  >()
  for (const { record, offset } of await lives.world.read(at(topics.attempts, 0)))
    if (record?.name === 'sluice.Attempt' && record.value.final) {
      const { requestOffset, seq, outcome } = record.value
      expect(finals.has(requestOffset), `the request at ${requestOffset} is finished twice`).toBe(false)
      finals.set(requestOffset, { offset, seq, isDelivered: outcome === 'delivered' })
    }
  const all = (await lives.world.read(requests)).filter(({ record }) => record?.name === 'sluice.Request')
  const entries = new Set<number>()
  for (const { record } of await lives.world.read(at(topics.retry, 0))) {
    if (record?.name === 'sluice.RetryEntry') entries.add(record.value.seq)
    if (record?.name !== 'sluice.Slice') continue
    const { requestsEnd, attemptsEnd } = record.value
    for (const { offset } of all) {
      if (offset >= (requestsEnd ?? 0)) break
      const final = finals.get(offset)
      expect(final?.offset ?? Infinity).toBeLessThan(attemptsEnd ?? 0)
      if (final?.isDelivered === false) expect(entries.has(final.seq)).toBe(true)
    }
  }
}

it.each(Array.from({ length: HISTORIES }, (_, history) => history))(
  `a delivery that is killed at random moments lets no key go back, and loses no slice (SLUICE_TEST_SEED=${SEED}, %i)`,
  async history => {
    const random = randomFrom(SEED + history)
    await using lives = await ScriptedDelivery.open()
    await lives.begin([], {
      ends: false,
      sync: { schedule: 'continuous', limits: { concurrency: 1 + random.below(4) } },
      errors: { attempts: 1 },
    })
    const api = new Api(random)
    const over = new AbortController()
    const publisher = await Publisher.open(lives, over.signal)
    let isPublished = false
    const publishing = (async () => {
      for (let slice = 0; slice < SLICES; slice += 1) await publisher.publish(random)
      await publisher.heardAll()
      isPublished = true
      api.arrivals.notify()
    })()
    const lateSends = lateAfterTakeover(() => LATE_MS)
    while (!isPublished) {
      const died = Promise.withResolvers<void>()
      const log = mortalLog(lives.world.log, {
        appends: 4 + random.below(40),
        isLost: random.chance(0.5),
        kill: died.resolve,
      })
      const life = lives.live({ log, sender: api, lateSends })
      const left = random.below(15)
      const seen = api.arrivals.version
      await Promise.race([
        api.arrivals.until(() => isPublished || api.arrivals.version > seen + left, { signal: never }),
        died.promise,
        life.done,
      ])
      if (random.chance(0.25)) await Promise.race([life.drain(), died.promise])
      await life.kill()
    }
    await publishing
    api.fails = false
    const last = lives.live({ sender: api, lateSends })
    await publisher.publish(random, 1)
    await publisher.heardAll()
    await last.drain()
    over.abort()
    expect(api.wentBack).toEqual([])
    expect(api.versions).toEqual(publisher.versions)
    await assertEndsAreTrue(lives)
  },
  120_000,
)
