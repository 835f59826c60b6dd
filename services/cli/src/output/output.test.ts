import type { AttemptView, FailedRow, RunView } from '@sluice/contracts/api'
import { SluiceError } from '@sluice/contracts/errors'
import { describe, expect, it } from 'vitest'
import { attemptsText } from '../commands/attempts.ts'
import { printError } from './error.ts'
import { failedText } from './failed-table.ts'
import { displayWidth, fit, pad, safe, wrap } from './paint.ts'
import { runDetails, runSummary } from './run-summary.ts'
import { runsText } from '../commands/runs.ts'
import { table } from './table.ts'
import { clockTime, elapsed } from './wording.ts'

const PLAIN = { color: false, columns: null, timeZone: 'UTC' } as const
const START = '2026-03-01T14:05:09.000Z'
const NOW = Date.parse(START) + 3400
const NONE = { detected: 0, delivered: 0, rejected: 0, unknown: 0, unsent: 0, requests: 0, attempts: 0 }

function run(changes: Partial<RunView> = {}): RunView {
  return {
    id: '01JDZ8M6W3V5T8Q9YB4K2N7R1C',
    sync: 'customers',
    status: 'success',
    cause: 'manual',
    startedAt: START,
    endedAt: '2026-03-01T14:05:12.400Z',
    rowsRead: 4,
    rowsInvalid: 0,
    error: null,
    triggers: { added: { ...NONE, detected: 4, delivered: 4, requests: 1, attempts: 1 }, removed: NONE },
    ...changes,
  }
}

describe('text for a terminal', () => {
  it('shows control characters instead of letting the terminal obey them', () => {
    expect(safe('a\u001b[31mb\u0007\u009b')).toBe('a\\u001b[31mb\\u0007\\u009b')
    expect(safe('a\r\nb\tc\u202ed')).toBe('a⏎b c\\u202ed')
    expect(safe('grüße 你好 👍')).toBe('grüße 你好 👍')
  })

  it('has a width in columns', () => {
    expect(displayWidth('abc')).toBe(3)
    expect(displayWidth('你好')).toBe(4)
    expect(displayWidth('e\u0301')).toBe(1)
    expect(displayWidth('👍')).toBe(2)
    expect(displayWidth('\u001b[31mabc\u001b[39m')).toBe(3)
  })

  it('is cut, filled and wrapped to a width', () => {
    expect(fit('abcdef', 6)).toBe('abcdef')
    expect(fit('abcdef', 5)).toBe('abcd…')
    expect(fit('你好吗', 4)).toBe('你…')
    expect(fit('abc', 0)).toBe('…')
    expect(pad('ab', 4)).toBe('ab  ')
    expect(pad('ab', 4, 'right')).toBe('  ab')
    expect(wrap('one two three', 7)).toEqual(['one two', 'three'])
    expect(wrap('incomprehensibilities', 5)).toEqual(['incomprehensibilities'])
  })
})

describe('a table', () => {
  const paint = (_style: unknown, text: string) => text
  const columns = [
    { title: 'NAME', shrinks: true },
    { title: 'N', align: 'right' as const },
    { title: 'NOTE', shrinks: true },
  ]
  const rows = [
    ['a', '1', 'short'],
    ['a-longer-name', '1,000', 'a note that is rather long'],
  ]

  it('aligns its columns', () => {
    expect(table(columns, rows, { width: null, paint })).toEqual([
      'NAME               N  NOTE',
      'a                  1  short',
      'a-longer-name  1,000  a note that is rather long',
    ])
  })

  it('leaves out columns without text, and columns that may go if the terminal is too narrow', () => {
    const droppable = [
      { title: 'A', drops: true },
      { title: 'B', drops: true },
      { title: 'C' },
      { title: 'EMPTY' },
    ]
    const cells = [['aaaaa', 'bbbbb', 'ccccc', '']]
    expect(table(droppable, cells, { width: 20, paint })[1]).toBe('aaaaa  bbbbb  ccccc')
    expect(table(droppable, cells, { width: 18, paint })[1]).toBe('aaaaa  ccccc')
    expect(table(droppable, cells, { width: 5, paint })).toEqual(['C', 'ccccc'])
  })

  it('is never wider than the terminal while its columns can shrink', () => {
    for (const width of [50, 40, 33]) {
      const lines = table(columns, rows, { width, paint })
      expect(Math.max(...lines.map(displayWidth))).toBeLessThanOrEqual(width)
      expect(lines[2]).toContain('1,000')
    }
  })
})

describe('figures', () => {
  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [1000, '1.0 s'],
    [59_949, '59.9 s'],
    [59_960, '1 min 0 s'],
    [125_000, '2 min 5 s'],
    [3_780_000, '1 h 3 min'],
  ])('%i ms is %s', (ms, text) => {
    expect(elapsed(ms)).toBe(text)
  })

  it('show times in the time zone of the reader', () => {
    expect(clockTime(START, 'UTC')).toBe('2026-03-01 14:05:09')
    expect(clockTime(START, 'Asia/Tokyo')).toBe('2026-03-01 23:05:09')
  })
})

describe('the summary of a run', () => {
  it('has figures per trigger', () => {
    expect(runSummary(run(), { ...PLAIN, now: NOW })).toBe(
      [
        '✓ success  customers  3.4 s  01JDZ8M6W3V5T8Q9YB4K2N7R1C',
        '',
        '           rows  delivered  rejected  unknown  unsent  requests  attempts',
        '  added       4          4         0        0       0         1         1',
        '  removed     0          0         0        0       0         0         0',
        '',
        '  4 rows read',
        '',
      ].join('\n'),
    )
  })

  it('says that nothing changed', () => {
    expect(runSummary(run({ triggers: { added: NONE } }), { ...PLAIN, now: NOW })).toMatch(
      /^✓ success .*\n {2}4 rows read, nothing changed, nothing sent\n$/,
    )
  })

  it('says what a held run would remove, and how to let it go on', () => {
    const held = { removed: 312, rows: 1400, samples: ['a', 'b\u001b[1m'] }
    const removed = { ...NONE, detected: 312 }
    const text = runSummary(run({ status: 'held', endedAt: null, held, triggers: { removed } }), {
      ...PLAIN,
      now: NOW,
    })
    expect(text).toContain('holds it: it would remove 312 of 1,400 rows. Nothing was sent.')
    expect(text).toMatch(/Some of these rows:\n {4}a\n {4}b[^\u001b\n]*\n {4}… and 310 more/)
    expect(text).toContain('sluice approve 01JDZ8M6W3V5T8Q9YB4K2N7R1C')
    expect(text).toContain('sluice run customers')
  })

  it('says how a held stream goes on without the removals', () => {
    const held = { removed: 4, rows: 4, samples: ['a'] }
    const progress = { comparing: null, read: 4, unreadable: 0, lagRecords: null, lagSeconds: null }
    const stream = { since: '2024-12-01T00:00:00.000Z', committedAt: null, ...progress }
    const text = runSummary(run({ status: 'held', endedAt: null, held, stream }), { ...PLAIN, now: NOW })
    expect(text).toContain('sluice cancel 01JDZ8M6W3V5T8Q9YB4K2N7R1C  after you put the rows back')
    expect(text).not.toContain('sluice run ')
  })

  it.each([0, 2])('says that the model of a held run has no usable row, of %d', rows => {
    const held = { removed: 4, rows: 4, samples: ['a'] }
    const emptied = run({ status: 'held', endedAt: null, held, rowsRead: rows, rowsInvalid: rows })
    expect(runSummary(emptied, { ...PLAIN, now: NOW })).toContain(
      'holds it: the model has no usable row, and it would remove 4 of 4 rows. Nothing was sent.',
    )
  })

  it('says what to do about rows that were not delivered', () => {
    const warning = run({ status: 'warning', triggers: { added: { ...NONE, detected: 1, rejected: 1 } } })
    const text = runSummary(warning, { ...PLAIN, now: NOW })
    expect(text).toContain('tried again on the next run')
    expect(text).toContain('sluice failed customers')
    expect(text).toContain('sluice attempts --run 01JDZ8M6W3V5T8Q9YB4K2N7R1C')
  })

  it('shows why a run failed, with the lines of a database’s message', () => {
    const text = runSummary(
      run({ status: 'failed', error: 'Parser Error\nLINE 1: selec\u001b[2J', triggers: {} }),
      {
        ...PLAIN,
        now: NOW,
      },
    )
    expect(text).toContain('✗ failed')
    expect(text).toContain('  Parser Error\n  LINE 1: selec\\u001b[2J\n')
  })

  it('names invalid rows, and notices', () => {
    const text = runSummary(
      run({
        status: 'warning',
        rowsInvalid: 2,
        invalidRows: [
          { key: null, reason: 'the key is null' },
          { key: '7', reason: 'the key occurs twice' },
        ],
        notices: ['a removal was settled'],
      }),
      { ...PLAIN, now: NOW },
    )
    expect(text).toContain('2 rows not taken:\n    the key is null\n    7: the key occurs twice\n')
    expect(text).toContain('note: a removal was settled')
  })

  it('has times, cause and undelivered rows in `runs show`', () => {
    const text = runDetails(run(), [failedRow()], { ...PLAIN, now: NOW, moreFailed: true })
    expect(text).toContain('started 2026-03-01 14:05:09 · ended 2026-03-01 14:05:12 · cause manual')
    expect(text).not.toContain('asked for by')
    const asked = runDetails(run({ by: 'ada' }), [], { ...PLAIN, now: NOW, moreFailed: false })
    expect(asked).toContain('cause manual · asked for by ada')
    expect(text).toContain('Rows that this run did not deliver')
    expect(text).toContain('… and more: `sluice failed customers`')
    const queued = run({ status: 'queued', startedAt: null, endedAt: null, triggers: {} })
    expect(runDetails(queued, [], { ...PLAIN, now: NOW, moreFailed: false })).toContain('not started yet')
  })
})

describe('the table of runs', () => {
  it('has a line for each run', () => {
    const text = runsText(
      { runs: [run(), run({ status: 'failed', error: 'no' })], next: 'abc' },
      { ...PLAIN, sync: undefined, now: NOW },
    )
    expect(text).toMatch(/^RUN +SYNC +STATUS +STARTED +TOOK +READ +DELIVERED +FAILED +ERROR\n/)
    expect(text).toMatch(
      /\n01JDZ8M6W3V5T8Q9YB4K2N7R1C +customers +failed +2026-03-01 14:05:09 +3.4 s +4 +4 +0 +no\n/,
    )
    expect(text).toContain('more: --after abc')
  })

  it('says what to do when there is none', () => {
    const none = { runs: [], next: null }
    expect(runsText(none, { ...PLAIN, sync: undefined, now: NOW })).toBe(
      'No sync has run yet. `sluice run SYNC` starts a run.\n',
    )
    expect(runsText(none, { ...PLAIN, sync: 'crm', now: NOW })).toBe(
      '`crm` has not run yet. `sluice run crm` starts a run.\n',
    )
  })
})

function failedRow(changes: Partial<FailedRow> = {}): FailedRow {
  return {
    key: '42',
    op: 'added',
    outcome: 'rejected',
    status: 422,
    error: 'no email',
    attempts: 2,
    runs: 2,
    since: START,
    ...changes,
  }
}

describe('the table of failed rows', () => {
  it('has key, reason and history', () => {
    const text = failedText(
      { rows: [failedRow(), failedRow({ key: '7', status: null, outcome: 'unsent' })], next: null },
      { ...PLAIN, sync: 'crm', filtered: false },
    )
    expect(text).toMatch(/\n42 +added +rejected +422 +2 +2 +2026-03-01 14:05:09 +no email\n/)
    expect(text).toMatch(/\n7 +added +unsent +– /)
    expect(text).toContain('The next `sluice run crm` tries them again')
  })

  it('says that all is well', () => {
    expect(failedText({ rows: [], next: null }, { ...PLAIN, sync: 'crm', filtered: false })).toBe(
      '✓ No row of `crm` waits for a retry.\n',
    )
  })

  it('does not say so if options choose only some rows', () => {
    const text = failedText({ rows: [], next: null }, { ...PLAIN, sync: 'crm', filtered: true })
    expect(text).toBe('No waiting row matches. Leave out an option to see more: `sluice failed crm`.\n')
  })
})

describe('attempts', () => {
  const attempt: AttemptView = {
    requestId: 'r-0-1',
    run: '01JDZ8M6W3V5T8Q9YB4K2N7R1C',
    sync: 'crm',
    trigger: 'added',
    attempt: 1,
    keys: ['1', '2', '3', '4'],
    method: 'POST',
    url: 'https://api.test/x',
    status: 422,
    outcome: 'rejected',
    startedAt: START,
    durationMs: 12.4,
    requestHeaders: { 'content-type': 'application/json' },
    requestBody: '{"a": 1}',
    responseHeaders: { server: 'x\u001b[2J' },
    responseBody: 'no\nway',
    error: null,
  }

  it('are a table', () => {
    const text = attemptsText(
      { attempts: [attempt], next: null },
      { ...PLAIN, details: false, filtered: false },
    )
    expect(text).toMatch(
      /2026-03-01 14:05:09 +crm +added +1 +422 +rejected +12 ms +4 rows: 1, 2, 3, … +POST https:\/\/api.test\/x\n/,
    )
  })

  it('are shown in full on demand, harmless to the terminal', () => {
    const text = attemptsText(
      { attempts: [attempt], next: null },
      { ...PLAIN, details: true, filtered: false },
    )
    for (const part of [
      'POST https://api.test/x',
      'content-type: application/json',
      '{"a": 1}',
      '  no\n  way',
      'rows: 1, 2, 3, 4',
    ])
      expect(text).toContain(part)
    expect(text).toContain('server: x\\u001b[2J')
    const unsent = { ...attempt, status: null, error: 'connect ECONNREFUSED' }
    const none = attemptsText(
      { attempts: [unsent], next: null },
      { ...PLAIN, details: true, filtered: false },
    )
    expect(none).toContain('no answer')
    expect(none).not.toContain('< answer')
  })

  it('say what to do when there is none', () => {
    const none = { attempts: [], next: null }
    expect(attemptsText(none, { ...PLAIN, details: false, filtered: false })).toContain('`sluice run SYNC`')
    expect(attemptsText(none, { ...PLAIN, details: false, filtered: true })).toContain('No attempt matches')
  })
})

describe('an error for people', () => {
  it('has a line for each place, wrapped, harmless to the terminal', () => {
    const error = new SluiceError('config', 'The project has 2 errors.', {
      details: [
        { file: 'a.yaml', line: 3, column: 7, field: 'path', message: 'word '.repeat(30).trim() },
        { message: 'x\u001b[2J' },
        { file: 'b.yaml', line: 1, column: 1, field: '', message: 'empty' },
      ],
    })
    const text = printError(error, { color: false, columns: 60 })
    expect(text).toMatch(/^error: The project has 2 errors.\n\n {2}a.yaml:3:7 {2}path\n {4}word/)
    expect(text).toContain('x\\u001b[2J')
    expect(text).toContain('\n  b.yaml:1:1\n')
    expect(Math.max(...text.split('\n').map(line => line.length))).toBeLessThanOrEqual(60)
  })

  it('says once what is wrong as a whole and at one place, and names the place', () => {
    const message = 'Model m reads the file x.csv, which does not exist.'
    const details = [{ file: 'a.yaml', line: 3, field: 'sql', message: `model \`m\`: ${message}` }]
    const text = printError(new SluiceError('missing-file', message, { details }), { color: false })
    expect(text).toBe(`error: ${message}\n\n  a.yaml:3  sql\n`)
  })

  it('ends after fifty places', () => {
    const details = Array.from({ length: 52 }, (_, line) => ({ file: 'a.yaml', line, message: 'wrong' }))
    const text = printError(new SluiceError('config', 'many', { details }), { color: false })
    expect(text).toContain('a.yaml:49')
    expect(text).not.toContain('a.yaml:50')
    expect(text).toContain('… and 2 more')
  })

  it('shows the stack of bugs, but of no other error', () => {
    const cause = new Error('boom')
    expect(printError(new SluiceError('internal', 'a bug', { cause }), { color: false })).toContain(
      'output.test.ts',
    )
    expect(printError(new SluiceError('query', 'wrong', { cause }), { color: false })).toBe('error: wrong\n')
  })
})
