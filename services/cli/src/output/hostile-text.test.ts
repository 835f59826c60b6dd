/**
 * What stands in topics and answers was written by others. Whatever stands there, a terminal obeys none of
 * it, and it makes no line of its own.
 */
import type { AttemptView, FailedRow, RunView } from '@sluice/contracts/api'
import { SluiceError } from '@sluice/contracts/errors'
import { safeJson } from '@sluice/contracts/safe-json'
import { describe, expect, it } from 'vitest'
import { attemptsText } from '../commands/attempts.ts'
import { printError } from './error.ts'
import { failedText } from './failed-table.ts'
import { previewHead, previewItem } from './preview-text.ts'
import { progressLines } from './run-progress.ts'
import { runDetails, runSummary } from './run-summary.ts'
import { runsText } from '../commands/runs.ts'
import { secretsText } from '../commands/secrets.ts'

/** Clears the screen, in both spellings, rings, writes a line of its own, and turns the text around. */
const EVIL = 'x\u001b[2J\u009b2J\u0007\n✓ success\u202e\u2028y'
const OBEYED = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u
const START = '2026-03-01T14:05:09.000Z'
const COUNTS = { detected: 4, delivered: -9, rejected: 1, unknown: 0, unsent: 0, requests: 1, attempts: 1 }
const PLAIN = { color: false, columns: null, timeZone: 'UTC', now: Date.parse(START) } as const

function run(text: string): RunView {
  return {
    ...{ id: text, sync: text, status: 'held', cause: 'manual', startedAt: START, endedAt: null },
    ...{ rowsRead: 4, rowsInvalid: 1, error: text.replaceAll('\n', ''), triggers: { added: COUNTS } },
    invalidRows: [{ key: text, reason: text }],
    held: { removed: 2, rows: 3, samples: [text] },
    restoring: { why: text, records: 1, of: 2 },
    waiting: [{ kind: 'throttled', since: START, until: null, detail: text }],
    by: text,
    notices: [text],
  }
}
function failed(text: string): FailedRow {
  const row = { key: text, op: 'added', outcome: 'rejected', status: 400, error: text } as const
  return { ...row, attempts: 1, runs: 1, since: START }
}
function attempt(text: string): AttemptView {
  return {
    ...{ requestId: text, run: text, sync: text, trigger: 'added', attempt: 1, keys: [text] },
    ...{ method: text, url: text, status: 400, outcome: 'rejected', startedAt: START, durationMs: 1 },
    ...{ requestHeaders: { [text]: text }, responseHeaders: { [text]: text }, error: text },
    ...{ requestBody: text.replaceAll('\n', ''), responseBody: text.replaceAll('\n', '') },
  }
}

const OUTPUTS: { readonly [name: string]: (text: string) => string } = {
  runs: text => runsText({ runs: [run(text)], next: text }, { ...PLAIN, sync: undefined }),
  'the summary of a run': text => runSummary(run(text), PLAIN),
  'the summary of a run that warns': text => runSummary({ ...run(text), status: 'warning' }, PLAIN),
  'runs show': text => runDetails(run(text), [failed(text)], { ...PLAIN, moreFailed: true }),
  'secret list': text => secretsText([{ kind: text, name: text, for: text, since: START, key: text }], PLAIN),
  failed: text => failedText({ rows: [failed(text)], next: text }, { ...PLAIN, sync: 's', filtered: false }),
  attempts: text =>
    attemptsText({ attempts: [attempt(text)], next: text }, { ...PLAIN, details: false, filtered: false }),
  'attempts --details': text =>
    attemptsText({ attempts: [attempt(text)], next: null }, { ...PLAIN, details: true, filtered: false }),
  preview: text =>
    previewHead(
      's',
      {
        counts: { added: 1, changed: 0, removed: 0 },
        ...{ rowsRead: 1, rowsInvalid: 1, invalidRows: [{ key: text, reason: text }], notices: [text] },
      },
      PLAIN,
    ) +
    previewItem({ kind: 'rejected', trigger: 'added', keys: [text], error: text }, PLAIN) +
    previewItem(
      {
        ...{ kind: 'request', trigger: 'added', method: text, url: text, keys: [text] },
        ...{ headers: { [text]: text }, body: text.replaceAll('\n', '') },
      },
      PLAIN,
    ),
  'the progress of a run': text =>
    progressLines(run(text), { color: false, columns: 4000, now: 0, isEnding: false }).join('\n'),
  'the progress of a queued run': text =>
    progressLines(
      { ...run(text), status: 'queued' },
      { color: false, columns: 4000, now: 0, isEnding: false },
    ).join('\n'),
  'an error with a place': text => {
    const details = [{ file: text, line: 1, column: 1, field: text, message: text }]
    return printError(new SluiceError('config', 'wrong', { details }), { color: false })
  },
  'a bug': text => {
    const cause = new Error('x')
    cause.stack = text.replaceAll('\n', '')
    return printError(new SluiceError('internal', text.replaceAll('\n', ''), { cause }), { color: false })
  },
}

describe('what others wrote', () => {
  it.each(Object.entries(OUTPUTS))('is obeyed by no terminal, and makes no line, in %s', (_, print) => {
    const lines = print(EVIL).split('\n')
    expect(lines.filter(line => OBEYED.test(line))).toEqual([])
    expect(lines).toHaveLength(print('harmless').split('\n').length)
  })

  it('says the same in JSON, where a terminal obeys nothing of it either', () => {
    const json = safeJson(`${JSON.stringify(run(EVIL))}\n`)
    expect(json.trimEnd()).not.toMatch(OBEYED)
    expect(JSON.parse(json)).toEqual(run(EVIL))
  })
})
