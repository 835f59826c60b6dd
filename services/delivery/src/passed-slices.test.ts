/**
 * Runs over a stream: the ends of slices are passed on to `retry`, and nothing but people ends the run
 * (docs/decisions/streams-in-the-code.md).
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import type { PartitionReport, Slice } from '@sluice/contracts/records'
import { abortable } from '@sluice/flow/abortable'
import { nextTurn } from '@sluice/flow/sleep'
import type { HttpSender } from '@sluice/http-sender/port'
import type { FencedWriter, MessageLog } from '@sluice/message-log/port'
import { recordsOf } from '@sluice/message-log/record-block'
import type { BeforeAppend } from '@sluice/testkit/watched-log'
import { sampleDefinition, SYNC } from '@sluice/testkit/sample-records'
import { at, sliceKey } from '@sluice/topics/topics'
import { resolveTarget } from './destination/target.ts'
import { always, OK, ScriptedDelivery, topics, type Fate } from '../test/scripted-delivery.ts'
import { lateAfterTakeover } from './run/maybe-sent.ts'

vi.setConfig({ testTimeout: 30_000 })

const never = new AbortController().signal
/** Long enough that a marker that does not wait comes first. */
const LATE_MS = 1_000
const REJECTED: Fate = { status: 422 }

let lives: ScriptedDelivery
beforeEach(async () => {
  lives = await ScriptedDelivery.open()
})
afterEach(() => lives[Symbol.asyncDispose]())

type Begun = Parameters<ScriptedDelivery['begin']>[1]
/** Writes a run over a stream, which goes on. */
const begin = (keys: string, slicesAt: (requests: number) => number, of: Begun = {}): Promise<void> =>
  lives.begin([...keys], { slicesAt, ends: false, ...of, sync: { schedule: 'continuous', ...of.sync } })
const report = (): PartitionReport | undefined => lives.world.runs.of(SYNC)?.reports.get(0)

async function untilPassed(slice: number): Promise<readonly string[]> {
  const found = await lives.world.readUntil(at(topics.retry, 0), all =>
    all.some(({ record }) => record?.name === 'sluice.Slice' && record.value.slice >= slice),
  )
  return found.flatMap(({ key, record }) => {
    if (record?.name === 'sluice.Slice') return [`slice ${record.value.slice}`]
    return record?.name === 'sluice.RetryEntry' ? [Buffer.from(key).toString()] : []
  })
}
async function passed(): Promise<readonly Slice[]> {
  const found = await lives.world.read(at(topics.retry, 0))
  return found.flatMap(({ record }) => (record?.name === 'sluice.Slice' ? [record.value] : []))
}
const isSlice: (...args: Parameters<BeforeAppend>) => boolean = ({ topic }, records) =>
  topic === topics.retry && records.some(({ key }) => Buffer.from(key).equals(sliceKey(0)))

/** A log in which no append that fits gets an answer, or is in the log. Tells of each. */
function silentLog(fits: (...args: Parameters<BeforeAppend>) => boolean) {
  const reached = Promise.withResolvers<void>()
  const asked: string[] = []
  const unanswered = async (writer: FencedWriter, ...args: Parameters<FencedWriter['append']>) => {
    const [target, records] = args
    const all = recordsOf(records)
    if (isSlice(target, all)) asked.push('slice')
    if (!fits(target, all)) return writer.append(...args)
    reached.resolve()
    return abortable(new Promise<never>(() => undefined), args[2])
  }
  const log = new Proxy(lives.world.log, {
    get(target, name) {
      if (name !== 'openWriter') {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        return (...args: unknown[]): unknown => Reflect.apply(value, target, args)
      }
      return async (...args: Parameters<MessageLog['openWriter']>): Promise<FencedWriter> => {
        const writer = await target.openWriter(...args)
        return {
          id: writer.id,
          get state() {
            return writer.state
          },
          append: (...of) => unanswered(writer, ...of),
          [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
        }
      }
    },
  })
  return { log, reached: reached.promise, asked }
}

/** The API, which answers a key late. */
function slow(late: string, until: Promise<void>): HttpSender {
  return {
    send: async request => {
      if (request.url.endsWith(`/${late}`)) await until
      return lives.api.send(request)
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

describe('the end of a slice', () => {
  it('is passed on once all requests before it are finished, behind their effects', async () => {
    await begin('abcd', count => (count === 2 || count === 4 ? 1 : 0))
    lives.api.script = key => (key === 'b' || key === 'd' ? REJECTED : OK)
    const life = lives.live()
    const found = await untilPassed(2)
    // The first slice may go by itself, and two keys have no order.
    const others = found.filter(each => each !== 'slice 1')
    expect(others.at(-1)).toBe('slice 2')
    expect(others.slice(0, -1).toSorted()).toEqual(['b', 'd'])
    expect(found.indexOf('slice 1')).not.toBe(0)
    await life.drain()
    const last = (await passed()).at(-1)
    const { end } = await lives.world.log.offsets(at(topics.requests, 0), { signal: never })
    expect(last).toMatchObject({ run: 1, slice: 2, begin: null, count: null, input: null, committedAt: 2 })
    expect(last?.requestsEnd).toBe(end)
    const attempts = (await lives.world.read(at(topics.attempts, 0))).flatMap(({ record, offset }) =>
      record?.name === 'sluice.Attempt' ? [offset] : [],
    )
    expect(last?.attemptsEnd).toBeGreaterThan(attempts.at(-1) ?? Infinity)
  })

  it.each([
    ['retry', REJECTED],
    ['captured', { status: 200, body: '{"id":7}' }],
  ] as const)('waits until the log has acknowledged their effects in %s', async (topic, fate) => {
    const triggers = {
      added: { method: 'POST', path: '/rows/{{ id }}', capture: { id: '$.id' } },
    }
    const errors = { retry: 'next-run', backoff: undefined }
    await begin('a', count => count, { sync: { triggers }, errors })
    lives.api.script = always(fate)
    const silent = silentLog(
      (target, records) =>
        target.topic === topics[topic] && records.some(({ key }) => Buffer.from(key).toString() === 'a'),
    )
    const life = lives.live({ log: silent.log })
    await silent.reached
    await lives.untilAttempts(1)
    for (const _ of [1, 2, 3]) await nextTurn()
    expect(silent.asked).toEqual([])
    await life.kill()
    const next = lives.live()
    await untilPassed(1)
    await next.drain()
    expect(lives.api.keys).toEqual(['a'])
  })

  it('waits for each request before it, and the newest that may go stands for the others', async () => {
    await begin('abc', count => (count === 0 ? 0 : 1))
    const isLetGo = Promise.withResolvers<void>()
    const life = lives.live({ sender: slow('a', isLetGo.promise) })
    await lives.untilAttempts(2)
    expect(await passed()).toEqual([])
    isLetGo.resolve()
    await untilPassed(3)
    await life.drain()
    expect((await passed()).map(({ slice }) => slice)).toEqual([3])
  })

  it('is not passed on before requests of a killed process can arrive no more, while other requests go out', async () => {
    await begin('abc', count => (count === 1 || count === 3 ? 1 : 0))
    lives.api.script = always('silent')
    const first = lives.live()
    await lives.api.until(3)
    await first.kill()
    lives.api.script = always(OK)
    const sinceMs = performance.now()
    const next = lives.live({ lateSends: lateAfterTakeover(() => LATE_MS) })
    await lives.untilAttempts(3)
    expect(await passed()).toEqual([])
    // Nothing waits but the slices.
    expect(report()?.waits ?? []).toEqual([])
    await untilPassed(2)
    expect(performance.now() - sinceMs).toBeGreaterThanOrEqual(LATE_MS)
    await next.drain()
    // Nothing of the first process is left, so a successor has nothing to wait for.
    const last = (await lives.world.read(at(topics.attempts, 0))).at(-1)?.record
    expect(last?.value).toMatchObject({ kind: 'release' })
  })

  it('is passed on again by a successor, though its predecessor has come further', async () => {
    await begin('ab', count => (count === 1 ? 1 : 0))
    const isLetGo = Promise.withResolvers<void>()
    const silent = silentLog(isSlice)
    const first = lives.live({
      log: silent.log,
      sender: slow('b', isLetGo.promise),
    })
    await silent.reached
    isLetGo.resolve()
    // Its checkpoint lies behind the slice.
    await lives.untilAttempts(2)
    await first.kill()
    expect(await passed()).toEqual([])
    const life = lives.live()
    await untilPassed(1)
    await life.drain()
    expect(lives.api.keys).toEqual(['a', 'b'])
  })

  it('comes before the report of the end of the run, which has its number', async () => {
    await begin('ab', count => (count === 1 || count === 2 ? 1 : 0), { ends: true })
    await lives.finish()
    expect((await passed()).at(-1)?.slice).toBe(2)
    expect(report()).toMatchObject({ ended: true, slice: 2, faultedFrom: null })
    expect(lives.counts).toMatchObject({ delivered: 2 })
  })

  it('ends the run in its partition at once if requests are missing before it', async () => {
    const isLost = (key: string) => (key === 'c' ? { seq: 3 } : {})
    await begin('abc', count => (count === 1 || count === 3 ? 1 : 0), { fields: isLost })
    const life = lives.live()
    await lives.world.runs.until(() => report()?.ended === true, { signal: never })
    await life.drain()
    expect(report()).toMatchObject({ faultedFrom: 2, error: expect.stringContaining('requests lack seq 2') })
    expect((await passed()).map(({ slice }) => slice)).toEqual([1])
  })
})

describe('a run over a stream', () => {
  it('ends a request with its last outcome rather than let it wait for more than ten seconds', async () => {
    const backoff = { first: '30s', max: '30s' }
    await begin('ab', count => (count === 2 ? 1 : 0), { errors: { backoff } })
    lives.api.script = key => (key === 'a' ? { status: 500 } : OK)
    const life = lives.live({ random: () => 0.99 })
    expect(await untilPassed(1)).toEqual(['a', 'slice 1'])
    await life.drain()
    expect(lives.api.keys).toEqual(['a', 'b'])
    expect((await lives.entries()).map(({ outcome, status }) => [outcome, status])).toEqual([
      ['unknown', 500],
    ])
  })

  it('tries a request again within ten seconds, and leaves one of another run waiting for longer', async () => {
    await begin('a', count => count, { errors: { backoff: { first: '20ms', max: '20ms' } } })
    lives.api.script = always({ status: 500 }, OK)
    const life = lives.live({ random: () => 0.99 })
    expect(await untilPassed(1)).toEqual(['slice 1'])
    await life.drain()
    expect(lives.api.keys).toEqual(['a', 'a'])
    await using table = await ScriptedDelivery.open()
    await table.begin(['a'], { ends: false, errors: { backoff: { first: '30s', max: '30s' } } })
    table.api.script = always({ status: 500 }, OK)
    const waiting = table.live({ random: () => 0.99 })
    await table.untilAttempts(1)
    await waiting.drain()
    expect(await table.attempts()).toMatchObject([{ final: false, outcome: 'unknown' }])
  })

  it('waits for a secret that is missing, says so, and goes on', async () => {
    await begin('a', count => count)
    const missing = new SluiceError('config', 'the secret TOKEN is not set')
    let asked = 0
    const target = resolveTarget(sampleDefinition(), () => '')
    const life = lives.live({
      resolveTarget: () => Promise.resolve((asked += 1) === 1 ? Promise.reject(missing) : target),
    })
    await lives.world.runs.until(() => report()?.waits?.[0]?.kind === 'secret', { signal: never })
    expect(report()?.waits).toMatchObject([{ until: null, detail: missing.message }])
    await untilPassed(1)
    await life.drain()
    expect([asked, lives.api.keys]).toEqual([2, ['a']])
  })

  it('probes a destination that does not answer for as long as it takes', async () => {
    const breaker = { failures: 2, pause: '20ms' }
    const errors = { retry: 'next-run', backoff: undefined }
    await begin('abcdefgh', count => (count === 8 ? 1 : 0), {
      errors,
      destination: { breaker, limits: { concurrency: 1 } },
    })
    let tried = 0
    lives.api.script = () => ((tried += 1) <= 7 ? 'refused' : OK)
    const life = lives.live()
    await untilPassed(1)
    await life.drain()
    expect((await lives.entries()).map(({ error }) => error)).toHaveLength(7)
    expect(lives.api.keys).toHaveLength(8)
  })

  it('has no maximum duration', async () => {
    const startedAt = Date.now() - 7_200_000
    await begin('a', count => count, { sync: { maxDuration: '1h' }, begin: { startedAt } })
    const life = lives.live()
    await untilPassed(1)
    await life.drain()
    expect(lives.api.keys).toEqual(['a'])
  })
})
