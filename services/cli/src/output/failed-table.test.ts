import type { FailedRow, RunView } from '@sluice/contracts/api'
import { describe, expect, it } from 'vitest'
import { errorGroups } from '@sluice/domain/answers/error-groups'
import { errorGroupLines, failedText } from './failed-table.ts'
import { painter } from './paint.ts'
import { runSummary } from './run-summary.ts'

const PLAIN = { color: false, columns: 80 }
const NOW = Date.parse('2026-03-01T14:05:09Z')

function row(changes: Partial<FailedRow> = {}): FailedRow {
  const since = '2026-03-01T14:05:09Z'
  const usual = { op: 'added', outcome: 'rejected', status: 422, attempts: 1, runs: 1, since } as const
  return { key: '1', error: 'HTTP 422: no email', ...usual, ...changes }
}

function warning(triggers: RunView['triggers']): RunView {
  const at = '2026-03-01T14:05:09Z'
  const usual = { status: 'warning', cause: 'manual', startedAt: at, endedAt: at, error: null } as const
  return { id: '01R', sync: 'crm', rowsRead: 9, rowsInvalid: 0, ...usual, triggers }
}

function counts(rejected: number) {
  return { detected: rejected, delivered: 0, rejected, unknown: 0, unsent: 0, requests: 1, attempts: 1 }
}

describe('errors', () => {
  it('are grouped by outcome, status and message, the largest group first', () => {
    const many = Array.from({ length: 40 }, (_, id) =>
      row({ key: `k${id}`, error: `customer ${id} is gone` }),
    )
    expect(errorGroups([row(), row({ status: 400 }), ...many])).toEqual([
      { outcome: 'rejected', status: 422, error: 'customer 0 is gone', key: 'k0', count: 40 },
      { outcome: 'rejected', status: 422, error: 'HTTP 422: no email', key: '1', count: 1 },
      { outcome: 'rejected', status: 400, error: 'HTTP 422: no email', key: '1', count: 1 },
    ])
  })

  it('name a row whose key is empty', () => {
    expect(errorGroupLines([row({ key: '' })], PLAIN, painter(false)).join('\n')).toContain("key ''")
  })

  it('are told in lines that no terminal of 80 columns breaks', () => {
    const rows = 'abcdefg'
      .split('')
      .map(letter => row({ key: letter.repeat(90), error: `${letter} `.repeat(90) }))
    const lines = errorGroupLines(rows, PLAIN, painter(false))
    expect(Math.max(...lines.map(line => line.length))).toBeLessThanOrEqual(80)
    expect(lines.at(-1)).toBe('  … and 2 other errors')
    expect(
      errorGroupLines([row({ error: null, status: null, outcome: 'unsent' })], PLAIN, painter(false)),
    ).toEqual(['  1 row unsent, key 1:', '    no reason is known'])
  })

  it('stand in the summary of a run, with one key each', () => {
    const waiting = { rows: [row(), row({ key: '2' })], next: null }
    const text = runSummary(warning({ added: counts(2) }), { ...PLAIN, now: NOW, waiting })
    expect(text).toContain('  2 rows rejected, status 422, such as key 1:\n    HTTP 422: no email\n')
    expect(text).toContain('tried again on the next run')
    expect(text).not.toContain('taken as gone')
  })

  it('with status 401 say where the credentials are set', () => {
    const summary = (status: number): string => {
      const waiting = { rows: [row({ status })], next: null }
      return runSummary(warning({ added: counts(1) }), { ...PLAIN, now: NOW, waiting })
    }
    expect(summary(401)).toContain('refuses the credentials: check `auth` and `headers` of the destination')
    expect(summary(422)).not.toContain('credentials')
  })

  it('say that a removal is taken as gone, and promise no other try where no row waits', () => {
    const waiting = { rows: [], next: null }
    const text = runSummary(warning({ removed: counts(1) }), { ...PLAIN, now: NOW, waiting, justEnded: true })
    expect(text).toContain('1 removed row can never be sent: it is taken as gone.')
    expect(text).not.toContain('tried again')
    expect(text).not.toContain('sluice failed')
    expect(text).toContain('sluice attempts --run 01R')
  })

  it('stand above the table of failed rows, of more rows than it has', () => {
    const page = { rows: [row()], next: 'abc' }
    const grouped = { rows: [row(), row({ key: '2' })], next: null }
    const text = failedText(page, { ...PLAIN, sync: 'crm', filtered: false, grouped })
    expect(text).toMatch(/^ {2}2 rows rejected, status 422, such as key 1:\n {4}HTTP 422: no email\n\nKEY /)
  })
})
