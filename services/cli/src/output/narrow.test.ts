/** People see this on a terminal of 80 columns: no line is longer, and what tells most is there. */
import type { AttemptView, FailedRow, RunView } from '@sluice/contracts/api'
import { describe, expect, it } from 'vitest'
import { attemptsText } from '../commands/attempts.ts'
import { failedText } from './failed-table.ts'
import { displayWidth } from './paint.ts'
import { runDetails } from './run-summary.ts'
import { runsText } from '../commands/runs.ts'

const NARROW = { color: false, columns: 80, timeZone: 'UTC' } as const
const AT = '2026-03-01T14:05:09.000Z'
const NOW = Date.parse(AT) + 60_000
const ID = '01JDZ8M6W3V5T8Q9YB4K2N7R1C'
const COUNTS = {
  detected: 99_999,
  delivered: 99_997,
  rejected: 2,
  unknown: 0,
  unsent: 0,
  requests: 999,
  attempts: 999,
}

const RUN: RunView = {
  ...{ id: ID, sync: 'crm-customers-to-the-other-crm', status: 'warning', cause: 'manual' },
  ...{ startedAt: AT, endedAt: AT, rowsRead: 99_999, rowsInvalid: 0, error: null },
  triggers: { added: COUNTS, changed: COUNTS, removed: COUNTS },
  notices: ['a notice of many words '.repeat(8).trim()],
}
const ROW: FailedRow = {
  ...{ key: '["customer-1234567", 42]', op: 'changed', outcome: 'rejected', status: 422 },
  ...{ error: 'HTTP 422: the field email has no value '.repeat(4), attempts: 3, runs: 2, since: AT },
}
const ATTEMPT: AttemptView = {
  ...{ requestId: 'r', run: ID, sync: RUN.sync, trigger: 'changed', attempt: 1, keys: ['1234567'] },
  ...{ method: 'PUT', url: 'http://127.0.0.1:8080/customers/1234567?a=1', status: 422, outcome: 'rejected' },
  ...{ startedAt: AT, durationMs: 12, requestHeaders: {}, requestBody: null, responseHeaders: {} },
  ...{ responseBody: null, error: 'HTTP 422: the field email has no value' },
}

function widest(text: string): number {
  return Math.max(...text.split('\n').map(displayWidth))
}

describe('80 columns', () => {
  it('are enough for a run, with its errors and what to do next', () => {
    const page = { rows: [ROW, { ...ROW, key: 'b' }], next: null }
    const text = runDetails(RUN, page.rows, {
      ...NARROW,
      now: NOW,
      waiting: page,
      justEnded: true,
      moreFailed: true,
    })
    expect(widest(text)).toBeLessThanOrEqual(80)
    expect(text).toContain(`sluice attempts --run ${ID}`)
  })

  it('are enough for attempts, which show the path', () => {
    for (const error of [null, ATTEMPT.error]) {
      const page = { attempts: [{ ...ATTEMPT, error }], next: null }
      const text = attemptsText(page, { ...NARROW, details: false, filtered: false })
      expect(widest(text)).toBeLessThanOrEqual(80)
      expect(text).toContain('14:05:09')
      expect(text).toContain('PUT /customers/')
      expect(text).not.toContain('http://')
    }
  })

  it('are enough for failed rows and runs', () => {
    const failed = failedText({ rows: [ROW, ROW], next: null }, { ...NARROW, sync: 'crm', filtered: false })
    expect(widest(failed)).toBeLessThanOrEqual(80)
    const runs = runsText({ runs: [RUN], next: null }, { ...NARROW, sync: undefined, now: NOW })
    expect(widest(runs)).toBeLessThanOrEqual(80)
  })
})
