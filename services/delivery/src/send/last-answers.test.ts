import { describe, expect, it } from 'vitest'
import { LastAnswers } from './last-answers.ts'

const broken = {
  openedAt: Date.UTC(2026, 0, 2, 3, 4, 5),
  ...{ failures: 53, failedProbes: 1, lastProbeMsAgo: 10 },
}

describe('the reason why a destination gets nothing', () => {
  it.each([
    [null, 'connect ECONNREFUSED 127.0.0.1:9', 'refuses connections (ECONNREFUSED 127.0.0.1:9)'],
    [null, 'getaddrinfo ENOTFOUND crm.invalid', 'has no address (ENOTFOUND crm.invalid)'],
    [null, 'no answer within 30000 ms', 'does not answer in time'],
    [503, 'HTTP 503: Ann is ill', 'answers HTTP 503'],
  ])('is its last failure, not the breaker (%s, %s)', (status, error, words) => {
    const answers = new LastAnswers()
    answers.failed('crm', { status: 500, error: null })
    answers.failed('crm', { status, error })
    answers.failed('search', { status: 502, error: null })
    expect(answers.brokenText('crm', broken)).toBe(
      `\`crm\` ${words}. 53 requests in a row failed, and Sluice stopped sending at 2026-01-02T03:04:05Z`,
    )
  })

  it('is known in a process that has seen no failure', () => {
    expect(new LastAnswers().brokenText('crm', broken)).toMatch(/^`crm` fails[.] 53 requests in a row/)
  })

  it.each([
    [
      429,
      900_000,
      '`crm` answers HTTP 429, and asked for a pause of 15 min. Sluice asks again after 5 min at most',
    ],
    [503, 90_000, '`crm` answers HTTP 503, and asked for a pause of 90 s'],
    [429, null, '`crm` answers HTTP 429, so Sluice pauses'],
  ])('is the pause that it asked for (%s, %s)', (status, askedMs, words) => {
    const answers = new LastAnswers()
    answers.throttled('crm', status, askedMs)
    expect(answers.pauseText('crm')).toBe(words)
  })
})
