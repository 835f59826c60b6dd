import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import type { Lease, LeaseQueue, LimitWait } from '@sluice/rate-limit/lease-queue'
import { sampleDefinition } from '@sluice/testkit/sample-records'
import { DestinationGate } from './destination-gate.ts'
import { LastAnswers } from './last-answers.ts'
import { resolveTarget } from '../destination/target.ts'

const LEASE: Lease = { lease: 'one', permits: 1, useBeforeMs: Infinity, scopes: [], isProbe: false }
const { signal } = new AbortController()

describe('the way to a destination', () => {
  /** The result of the next calls. An error is thrown. */
  let answer: Lease | SluiceError = LEASE
  let wait: LimitWait | null = null
  const onError = vi.fn()
  const onUnreachable = vi.fn()
  const queue: LeaseQueue = {
    waiting: 0,
    acquire: () => (answer instanceof SluiceError ? Promise.reject(answer) : Promise.resolve(answer)),
    giveBack: () => Promise.resolve(),
    waitOf: () => wait,
    pause: () => Promise.resolve(),
    report: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const target = resolveTarget(sampleDefinition(), () => '')
  const answers = new LastAnswers()
  const open = () =>
    new DestinationGate(queue, {
      ...{ target, answers },
      owner: { partition: 'p', marker: 1 },
      onError,
      mayAct: () => true,
      onUnreachable,
    })
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
    vi.clearAllMocks()
    answer = LEASE
    wait = null
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it.each([
    ['does not answer', new SluiceError('unreachable', 'Redis is away', { retryable: true })],
    ['wants other settings now', new SluiceError('config', 'Redis denies a right', { retryable: true })],
  ])(
    'waits for a limits store that %s, says so, and lets others take over after a while',
    async (_, error) => {
      const gate = open()
      answer = error
      const acquired = gate.acquire(1, { signal })
      await vi.advanceTimersByTimeAsync(14_000)
      expect(onError.mock.calls, 'called once').toEqual([[error]])
      expect(gate.waitsFor(0)).toEqual({ kind: 'limits-store', until: null, detail: error.message })
      expect(onUnreachable).not.toHaveBeenCalled()
      await vi.advanceTimersByTimeAsync(2_000)
      expect(onUnreachable).toHaveBeenCalledWith(error)
      answer = LEASE
      await vi.advanceTimersByTimeAsync(1_000)
      expect(await acquired).toHaveLength(1)
      expect(gate.waitsFor(0)).toBeNull()
    },
  )

  it('counts outages one by one, not together', async () => {
    const gate = open()
    for (let n = 0; n < 3; n += 1) {
      answer = new SluiceError('unreachable', 'Redis is away', { retryable: true })
      const acquired = gate.acquire(1, { signal })
      await vi.advanceTimersByTimeAsync(10_000)
      answer = LEASE
      await vi.advanceTimersByTimeAsync(1_000)
      await acquired
    }
    expect(onUnreachable).not.toHaveBeenCalled()
  })

  it('ends with what no waiting mends', async () => {
    answer = new SluiceError('internal', 'the script is wrong')
    await expect(open().acquire(1, { signal })).rejects.toBe(answer)
  })

  it.each([
    ['forgotten', 3_600_000, 'limits-store', 'Redis was restarted'],
    ['paused', 60_000, 'throttled', 'asked for a pause'],
    ['rate', 60_000, 'limit', 'rate limit is used up'],
    ['concurrency', 60_000, 'limit', 'use all of the concurrency limit'],
  ] as const)('says until when nothing is sent where it is %s', (reason, leftMs, kind, why) => {
    vi.setSystemTime(Date.UTC(2026, 0, 2, 3, 4, 5))
    wait = { reason, leftMs, broken: null }
    const until = Date.now() + leftMs
    expect(open().waitsFor(0)).toEqual({ kind, until, detail: expect.stringContaining(why) })
  })

  it('says why the breaker is open, and when it tries again at the latest', () => {
    vi.setSystemTime(Date.UTC(2026, 0, 2, 3, 4, 5))
    const broken = { openedAt: Date.now(), failures: 53, failedProbes: 1, lastProbeMsAgo: 10 }
    answers.failed(target.destination, { status: 503, error: null })
    wait = { reason: 'broken', leftMs: 30_000, broken }
    expect(open().waitsFor(0)).toEqual({
      ...{ kind: 'breaker', until: Date.now() + 30_000 },
      detail: expect.stringMatching(/^`.+` answers HTTP 503[.] 53 requests in a row failed/),
    })
  })

  it('says nothing of waits that are short, or are what limits are for', () => {
    wait = { reason: 'rate', leftMs: 900, broken: null }
    expect(open().waitsFor(1)).toBeNull()
    wait = { reason: 'concurrency', leftMs: 35_000, broken: null }
    expect(open().waitsFor(1)).toBeNull()
  })
})
