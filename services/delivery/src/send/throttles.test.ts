import { expect, it } from 'vitest'
import { Throttles } from './throttles.ts'

/** The pauses of attempts, each sent once the pause before it is over. */
function pauses(throttles: Throttles, asked: readonly (number | null)[]): readonly number[] {
  let nowMs = 0
  return asked.map(askedMs => {
    const pauseMs = throttles.pauseMs('d', { sentAtMs: nowMs + 1, nowMs: nowMs + 5, askedMs })
    nowMs += 5 + pauseMs
    return pauseMs
  })
}

const steady = (): Throttles => new Throttles({ random: () => 0 })

it('a pause has a floor and grows while every attempt is throttled, up to a minute', () => {
  const seconds = [1, 2, 4, 8, 16, 32, 60, 60, 60]
  expect(
    pauses(
      steady(),
      Array.from(seconds, () => null),
    ),
  ).toEqual(seconds.map(each => each * 1000))
})

it.each([0, 1, 500])('an answer that asks for %d ms gets no shorter one', askedMs => {
  expect(pauses(steady(), [askedMs, askedMs, askedMs])).toEqual([1000, 2000, 4000])
})

it('an answer that asks for more gets it', () => {
  expect(pauses(steady(), [30_000, 30_000, 3000])).toEqual([30_000, 30_000, 4000])
})

it('answers to requests that were under way together count once', () => {
  const throttles = steady()
  const of = { sentAtMs: 1, askedMs: null }
  expect([10, 11, 12].map(nowMs => throttles.pauseMs('d', { ...of, nowMs }))).toEqual([1000, 1000, 1000])
  expect(throttles.pauseMs('d', { sentAtMs: 1012, nowMs: 1020, askedMs: null })).toBe(2000)
  expect(throttles.pauseMs('d', { sentAtMs: 1013, nowMs: 1021, askedMs: 90_000 })).toBe(90_000)
})

it('a request that is served makes the next pause a first one, of its destination alone', () => {
  const throttles = steady()
  pauses(throttles, [null, null, null])
  throttles.pauseMs('other', { sentAtMs: 1, nowMs: 2, askedMs: null })
  throttles.served('d')
  expect(throttles.pauseMs('d', { sentAtMs: 9000, nowMs: 9001, askedMs: null })).toBe(1000)
  expect(throttles.pauseMs('other', { sentAtMs: 9000, nowMs: 9001, askedMs: null })).toBe(2000)
})

it('pauses of several processes drift apart', () => {
  const spread = new Throttles({ random: () => 0.999 })
  expect(pauses(spread, [null, null]).map(Math.round)).toEqual([1250, 2500])
})
