import { expect, it } from 'vitest'
import { ERROR_CODES, SluiceError } from '@sluice/contracts/errors'
import { concernOf, FailuresOfRun, pauseAfter, Suspensions, WorkAttempts } from './failures.ts'
import { NO_STAGE_METRICS } from './stage-metrics.ts'

it.each(ERROR_CODES)('a retryable error is transient, whatever its code: %s', code => {
  expect(concernOf(new SluiceError(code, '', { retryable: true }))).toBe('transient')
})

it.each([
  ['transient', ['fenced', 'writer-dead']],
  ['process', ['disk', 'aborted', 'usage', 'internal']],
] as const)('%s: %j', (concern, codes) => {
  for (const code of codes) expect(concernOf(new SluiceError(code, ''))).toBe(concern)
})

it('every other error concerns one sync, and stops no other', () => {
  const others = ['fenced', 'writer-dead', 'disk', 'aborted', 'usage', 'internal']
  for (const code of ERROR_CODES)
    if (!others.includes(code)) expect(concernOf(new SluiceError(code, '')), code).toBe('sync')
})

it('an error that nobody threw on purpose is a bug, and ends the process', () => {
  expect(concernOf(new TypeError('x is not a function'))).toBe('process')
  expect(concernOf('a text')).toBe('process')
})

it('counts the failures of a place in one run, and begins anew with each run and place', () => {
  const failures = new FailuresOfRun()
  const told: readonly (readonly [number | null, number | null])[] = [
    ...([
      [0, 7],
      [0, 7],
      [1, 7],
      [null, 7],
      [0, 8],
      [0, 8],
      [0, null],
      [0, null],
    ] as const),
  ]
  expect(told.map(([place, run]) => failures.failed(place, run))).toEqual([1, 2, 1, 1, 1, 2, 1, 2])
})

const torn = new SluiceError('corrupt', 'no Avro')

/** Attempts by a clock of their own; `pauses` says which pause in a row each failure has, from 1 on. */
function watchedAttempts() {
  const pauses: number[] = []
  let nowMs = 0
  const suspender = { failed: () => Promise.resolve(), works: () => undefined, left: () => undefined }
  const attempts = new WorkAttempts(
    { onTransientFailure: () => undefined, suspender, now: () => nowMs },
    null,
  )
  const failAfter = async (ms: number): Promise<void> => {
    attempts.begins()
    nowMs += ms
    const pauseMs = await attempts.failed(torn)
    // Each pause is twice the one before, less or more a quarter.
    pauses.push(Math.round(Math.log2(pauseMs / 1000)) + 1)
  }
  return { attempts, pauses, failAfter }
}

it('failures that come soon one after the other have ever longer pauses', async () => {
  const { attempts, pauses, failAfter } = watchedAttempts()
  using _ends = attempts
  for (const ms of [10, 59_000, 10]) await failAfter(ms)
  expect(pauses).toEqual([1, 2, 3])
})

it('pauses begin with the shortest again once an attempt has lasted for a minute', async () => {
  const { attempts, pauses, failAfter } = watchedAttempts()
  using _ends = attempts
  for (const ms of [10, 60_000, 10]) await failAfter(ms)
  expect(pauses).toEqual([1, 1, 2])
})

function watchedSuspensions() {
  const told: string[] = []
  const log = (level: string) => (_: object, text: string) => told.push(`${level}: ${text}`)
  const suspensions = new Suspensions({
    stage: 'requests',
    sync: 's',
    logger: { error: log('error'), info: log('info') } as never,
    stageMetrics: {
      ...NO_STAGE_METRICS,
      suspended: (stage, sync, now) => told.push(`${stage} ${sync} ${now}`),
    },
  })
  return { suspensions, told }
}

const denied = new SluiceError('unreachable', 'no right to write')

it('logs the reason once, counts the partitions, and logs once that it works again', () => {
  const { suspensions, told } = watchedSuspensions()
  suspensions.failed(0, denied)
  suspensions.failed(0, denied)
  suspensions.failed(1, denied)
  suspensions.works(0)
  suspensions.works(0)
  suspensions.works(1)
  expect(told).toEqual([
    'requests s 1',
    'error: the sync is suspended: no right to write',
    'requests s 2',
    'error: the sync is suspended: no right to write',
    'requests s 1',
    'info: the sync is worked on again',
    'requests s 0',
    'info: the sync is worked on again',
  ])
})

it('logs another reason, and nothing about a place that nobody works on any more', () => {
  const { suspensions, told } = watchedSuspensions()
  suspensions.failed(null, denied)
  suspensions.failed(null, new SluiceError('corrupt', 'no Avro'))
  suspensions.left(null)
  suspensions.left(null)
  suspensions.works(null)
  expect(told.slice(2)).toEqual(['requests s 1', 'error: the sync is suspended: no Avro', 'requests s 0'])
})

it('pauses grow up to a bound, and differ from sync to sync', () => {
  const middle = (): number => 0.5
  expect([1, 2, 3, 7, 8, 5000].map(failures => pauseAfter(failures, middle))).toEqual([
    1_000, 2_000, 4_000, 60_000, 60_000, 60_000,
  ])
  expect([pauseAfter(1, () => 0), pauseAfter(1, () => 0.999)]).toEqual([750, expect.closeTo(1250, -1)])
})
