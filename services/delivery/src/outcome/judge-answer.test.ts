/** Answers that mean ill, to a batch whose rows an answer names by a column. */
import { describe, expect, it } from 'vitest'
import { sampleDefinition, sampleRow } from '@sluice/testkit/sample-records'
import { resolveTarget } from '../destination/target.ts'
import { judge, type Judgement } from './judge-answer.ts'

const SECRET = 'Hunter2-long-secret-value'
const ROWS = 1_000
const rule = { items: '$.failed[*]', row: { country: '$.country' }, as: 'rejected', error: '$.why' } as const
const target = resolveTarget(
  sampleDefinition({
    destination: { headers: { 'x-key': '${secret:key}' } },
    sync: { errors: { rowResults: [rule] } },
  }),
  () => SECRET,
)

function judged(why: string, count = ROWS): Judgement {
  const rows = Array.from({ length: count }, (_, seq) => sampleRow({ seq, named: '{"country":"NL"}' }))
  const body = JSON.stringify({ failed: [{ country: 'NL', why }] })
  return judge(
    { kind: 'answered', status: 200, headers: {}, body, startedAt: 0, durationMs: 0 },
    { trigger: 'added', rows, uncertain: false },
    target,
  )
}

it('one long reason for all rows costs no more than it shows', () => {
  const before = process.cpuUsage()
  const { rows } = judged(`${SECRET.slice(0, -1)}X `.repeat(30_000))
  const { user } = process.cpuUsage(before)
  expect([rows.size, rows.get(999)?.error?.length]).toEqual([ROWS, 998])
  expect(user / 1e6).toBeLessThan(3)
})

it('no part of a secret is left of a reason, wherever it is cut', () => {
  for (let filler = 0; filler < SECRET.length; filler += 1) {
    const { rows } = judged('x'.repeat(filler) + SECRET.repeat(1_000), 1)
    expect(rows.get(0)?.error).toMatch(/^x*\*\*\*…?$/)
  }
})

describe('an answer that repeats what a row says', () => {
  const errorOf = (body: string, cut = false): string | null =>
    judge(
      { kind: 'answered', status: 422, headers: {}, body, cut, startedAt: 0, durationMs: 0 },
      { trigger: 'added', rows: [sampleRow({})], uncertain: false },
      target,
    ).error
  const guesses = Array.from({ length: SECRET.length - 1 }, (_, at) => SECRET.slice(0, at + 1))

  it('does not show an author whether a guess is the beginning of a secret', () => {
    for (const guess of guesses) {
      expect(errorOf(`unknown country ${guess}`)).toBe(`HTTP 422: unknown country ${guess}`)
      expect(errorOf(JSON.stringify({ message: `unknown ${guess}` }))).toBe(`HTTP 422: unknown ${guess}`)
      expect(judged(`unknown ${guess}`, 1).rows.get(0)?.error).toBe(`unknown ${guess}`)
    }
  })

  it('does not show it either if a text was cut, by the limit or by its sender', () => {
    for (const guess of guesses) {
      const other = 'z'.repeat(guess.length)
      const shown = (end: string) => [
        errorOf(`why: ${end}`, true),
        errorOf(`${'x'.repeat(1_100)}${end}`, true),
        errorOf(`${'x'.repeat(4_096 - end.length)}${end}and more`),
        judged(`${'x'.repeat(4_096 - end.length)}${end}and more`, 1).rows.get(0)?.error,
      ]
      expect(shown(guess)).toEqual(shown(other))
    }
  })
})

it.each([
  [
    'https://api.example.com/customers/7',
    'HTTP 301: redirects are not followed; this one leads to https://api.example.com',
  ],
  [
    `https://${SECRET}.example.com/`,
    'HTTP 301: redirects are not followed; this one leads to https://***.example.com',
  ],
  ['/elsewhere', 'HTTP 301: redirects are not followed'],
  ['http://[', 'HTTP 301: redirects are not followed'],
  ['mailto:a@example.com', 'HTTP 301: redirects are not followed'],
])('a redirect to %s says that none is followed, and to which server it leads', (location, error) => {
  const answered = {
    kind: 'answered',
    headers: { location },
    body: '<h1>Moved</h1>',
    startedAt: 0,
    durationMs: 0,
  } as const
  const request = { trigger: 'added', rows: [sampleRow({})], uncertain: false } as const
  expect(judge({ ...answered, status: 301 }, request, target).error).toBe(error)
  expect(judge({ ...answered, status: 201 }, request, target).error).toBeNull()
})

describe('an answer of very many values', () => {
  const KEYS = `{${Array.from({ length: 90_000 }, (_, at) => `"k${at}":1`).join(',')}}`
  const answered = (body: string) =>
    ({ kind: 'answered', status: 200, headers: {}, body, startedAt: 0, durationMs: 0 }) as const
  const ruled = (count: number) =>
    resolveTarget(
      sampleDefinition({
        sync: {
          errors: {
            answers: Array.from({ length: count }, (_, at) => ({
              status: 200,
              json: `$[*].x${at}`,
              as: 'rejected' as const,
            })),
          },
        },
      }),
      () => SECRET,
    )

  it('is looked through once for each path, and not at all if that is too much', () => {
    const request = { trigger: 'added', rows: [sampleRow({})], uncertain: false } as const
    const before = process.cpuUsage()
    expect(judge(answered(KEYS), request, ruled(100)).verdict.outcome).toBe('delivered')
    expect(process.cpuUsage(before).user / 1e6).toBeLessThan(2)
    const lists = `[${'[],'.repeat(340_000)}1]`
    const { verdict, error } = judge(answered(lists), request, ruled(100))
    expect(verdict.outcome).toBe('unknown')
    expect(error).toContain('the answer has 340002 values, and 100 JSONPaths look at 100000')
  })

  it('is looked through once for all rows that one item names', () => {
    const named = { items: '$[*]', row: { country: '$.country' }, as: 'delivered' } as const
    const batch = { method: 'POST', path: '/x', batch: { size: 1_000 } } as const
    const triggers = { added: { ...batch, capture: { id: '$.all[*].id' } } } as const
    const keeping = resolveTarget(
      sampleDefinition({ sync: { errors: { rowResults: [named] }, triggers } }),
      () => SECRET,
    )
    const rows = Array.from({ length: ROWS }, (_, seq) => sampleRow({ seq, named: '{"country":"NL"}' }))
    const body = JSON.stringify([{ country: 'NL', all: Array.from({ length: 300_000 }, () => 1) }])
    const before = process.cpuUsage()
    const judgement = judge(answered(body), { trigger: 'added', rows, uncertain: false }, keeping)
    expect(judgement.rows.size).toBe(ROWS)
    expect(process.cpuUsage(before).user / 1e6).toBeLessThan(2)
  })
})
