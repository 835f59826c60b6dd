import { expect, it } from 'vitest'
import { ERROR_CODES, SluiceError } from '@sluice/contracts/errors'
import { concernOf, FailuresOfRun, pauseAfter, SetAsides, Tries } from './failures.ts'
import { NO_FIGURES } from './figures.ts'

it.each(ERROR_CODES)('what may succeed by itself later passes, whatever it is called: %s', code => {
  expect(concernOf(new SluiceError(code, '', { retryable: true }))).toBe('passing')
})

it.each([
  ['passing', ['fenced', 'writer-dead']],
  ['process', ['disk', 'aborted', 'usage', 'internal']],
] as const)('%s: %j', (concern, codes) => {
  for (const code of codes) expect(concernOf(new SluiceError(code, ''))).toBe(concern)
})

it('all else is of one sync, and stops no other', () => {
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

/** Tries by a clock of their own; `pauses` says which pause in a row each failure has, from 1 on. */
function watchedTries() {
  const pauses: number[] = []
  let nowMs = 0
  const setAside = { failed: () => Promise.resolve(), works: () => undefined, left: () => undefined }
  const tries = new Tries({ onSetback: () => undefined, setAside, now: () => nowMs }, null)
  const failAfter = async (ms: number): Promise<void> => {
    tries.begins()
    nowMs += ms
    const pauseMs = await tries.failed(torn)
    // Each pause is twice the one before, less or more a quarter.
    pauses.push(Math.round(Math.log2(pauseMs / 1000)) + 1)
  }
  return { tries, pauses, failAfter }
}

it('failures that come soon one after the other have ever longer pauses', async () => {
  const { tries, pauses, failAfter } = watchedTries()
  using _ends = tries
  for (const ms of [10, 59_000, 10]) await failAfter(ms)
  expect(pauses).toEqual([1, 2, 3])
})

it('the pause is a first one again once a try has lasted for a minute', async () => {
  const { tries, pauses, failAfter } = watchedTries()
  using _ends = tries
  for (const ms of [10, 60_000, 10]) await failAfter(ms)
  expect(pauses).toEqual([1, 1, 2])
})

function watchedAsides() {
  const told: string[] = []
  const log = (level: string) => (_: object, text: string) => told.push(`${level}: ${text}`)
  const asides = new SetAsides({
    stage: 'requests',
    sync: 's',
    logger: { error: log('error'), info: log('info') } as never,
    figures: { ...NO_FIGURES, setAside: (stage, sync, now) => told.push(`${stage} ${sync} ${now}`) },
  })
  return { asides, told }
}

const denied = new SluiceError('unreachable', 'no right to write')

it('says once why, counts the partitions, and says once when it works again', () => {
  const { asides, told } = watchedAsides()
  asides.failed(0, denied)
  asides.failed(0, denied)
  asides.failed(1, denied)
  asides.works(0)
  asides.works(0)
  asides.works(1)
  expect(told).toEqual([
    'requests s 1',
    'error: the sync is set aside: no right to write',
    'requests s 2',
    'error: the sync is set aside: no right to write',
    'requests s 1',
    'info: the sync is worked on again',
    'requests s 0',
    'info: the sync is worked on again',
  ])
})

it('tells of another reason, and says nothing of what nobody tries any more', () => {
  const { asides, told } = watchedAsides()
  asides.failed(null, denied)
  asides.failed(null, new SluiceError('corrupt', 'no Avro'))
  asides.left(null)
  asides.left(null)
  asides.works(null)
  expect(told.slice(2)).toEqual(['requests s 1', 'error: the sync is set aside: no Avro', 'requests s 0'])
})

it('pauses grow up to a bound, and differ from sync to sync', () => {
  const middle = (): number => 0.5
  expect([1, 2, 3, 7, 8, 5000].map(failures => pauseAfter(failures, middle))).toEqual([
    1_000, 2_000, 4_000, 60_000, 60_000, 60_000,
  ])
  expect([pauseAfter(1, () => 0), pauseAfter(1, () => 0.999)]).toEqual([750, expect.closeTo(1250, -1)])
})
