import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { RunView } from '@sluice/contracts/api'
import { displayWidth } from './paint.ts'
import { progressLines, runProgress } from './run-progress.ts'

const START = '2026-03-01T14:05:09.000Z'
const NOW = Date.parse(START) + 3400
const NONE = { detected: 0, delivered: 0, rejected: 0, unknown: 0, unsent: 0, requests: 0, attempts: 0 }

function run(changes: Partial<RunView>): RunView {
  return {
    id: '01JDZ8M6W3V5T8Q9YB4K2N7R1C',
    sync: 'customers',
    status: 'running',
    cause: 'manual',
    startedAt: START,
    endedAt: null,
    rowsRead: 4,
    rowsInvalid: 0,
    error: null,
    triggers: {},
    ...changes,
  }
}

describe('the progress of a run', () => {
  const running = run({
    triggers: {
      added: { ...NONE, detected: 4000, delivered: 990, rejected: 10, requests: 12 },
      removed: NONE,
    },
  })

  it('has a bar for each trigger with changes', () => {
    expect(progressLines(running, { color: false, columns: 100, now: NOW, isEnding: false })).toEqual([
      expect.stringMatching(/^. customers {2}sending {2}3.4 s$/),
      `  added   ${'█'.repeat(6)}${'░'.repeat(18)} 1,000 of 4,000 rows, 12 requests  10 not delivered`,
    ])
  })

  it('says how far and how fast it is, and why rows fail', () => {
    const firstError = { outcome: 'rejected', status: 422, error: 'no e-mail', key: '1', count: 10 } as const
    const known = {
      ...{
        ...running,
        firstError,
        progress: { finished: 1_000, of: 4_000, percent: 25, remainingSeconds: 38 },
      },
      throughput: { deliveredPerSecond: 80, failedPerSecond: 0.8 },
    }
    const [head, cause] = progressLines(known, { color: false, columns: 100, now: NOW, isEnding: false })
    expect(head).toContain('sending  25 %  80 rows/s, 1 failed  about 38 s left  3.4 s')
    expect(cause).toBe('  no e-mail')
  })

  it('says what the run waits for while nothing is sent', () => {
    const until = new Date(NOW + 42_000).toISOString()
    const waiting: RunView['waiting'] = [
      { kind: 'limits-store', since: until, until, detail: 'Redis restarted' },
    ]
    const lines = progressLines(
      { ...running, waiting },
      { color: false, columns: 100, now: NOW, isEnding: false },
    )
    expect(lines[1]).toBe('  waits for 42.0 s more: Redis restarted')
    const written: string[] = []
    const plain = runProgress({ write: text => written.push(text) }, { color: false, now: () => NOW })
    for (const shown of [running, { ...running, waiting }, { ...running, waiting }]) plain.update(shown)
    expect(written).toEqual([
      expect.stringContaining('run 01JDZ8M6W3V5T8Q9YB4K2N7R1C'),
      'added 1,000/4,000\n',
      'added 1,000/4,000 (Redis restarted)\n',
    ])
  })

  it('says what happens before anything is sent', () => {
    const lines = (changes: Partial<RunView>) =>
      progressLines(run({ ...changes, endedAt: null }), {
        color: false,
        columns: 100,
        now: NOW,
        isEnding: false,
      })
    expect(lines({ status: 'queued', startedAt: null, triggers: {} })[0]).toContain('waiting to start')
    expect(lines({ status: 'running', rowsRead: 0, triggers: {} })[0]).toContain('reading the model')
    expect(lines({ status: 'running', rowsRead: 7, triggers: {} })[0]).toContain(
      '7 rows read, looking for changes',
    )
    const restoring = { why: 'there is no cache of it here', records: 410_000, of: 1_000_000 }
    expect(lines({ status: 'running', rowsRead: 0, triggers: {}, restoring })).toEqual([
      expect.stringContaining(
        'customers  rebuilding the delivered state: 410,000 of 1,000,000 records  3.4 s',
      ),
      '  there is no cache of it here',
    ])
    expect(
      lines({ status: 'running', rowsRead: 0, triggers: {}, restoring: { ...restoring, why: null } }),
    ).toEqual([
      expect.stringContaining('bringing the delivered state up to date: 410,000 of 1,000,000 records'),
    ])
  })

  it('is never wider than the terminal', () => {
    for (const columns of [120, 80, 40, 20]) {
      for (const line of progressLines(running, { color: true, columns, now: NOW, isEnding: true }))
        expect(displayWidth(stripVTControlCharacters(line))).toBeLessThan(columns)
    }
  })

  it('is drawn in place on a terminal, at most ten times a second, and taken away at the end', () => {
    const written: string[] = []
    let now = NOW
    const stderr = { write: (text: string) => written.push(text), isTTY: true, columns: 80 }
    const progress = runProgress(stderr, { color: false, now: () => now })
    for (let ms = 0; ms <= 1000; ms += 10) {
      now = NOW + ms
      progress.update(running)
    }
    const drawings = written.filter(text => text.includes('customers'))
    expect(drawings).toHaveLength(11)
    expect(written.filter(text => text === '\u001b[2A\u001b[0J')).toHaveLength(10)
    progress.end()
    expect(written.at(-1)).toBe('\u001b[2A\u001b[0J')
    const length = written.length
    progress.update(running)
    progress.end()
    expect(written).toHaveLength(length)
  })

  it('says at once that it has heard an interrupt, and what the run waits for', () => {
    const ENDING = 'interrupted: waiting for requests on their way; interrupt again to stop'
    for (const isTTY of [true, false]) {
      const written: string[] = []
      const stderr = { write: (text: string) => written.push(text), isTTY, columns: 80 }
      const progress = runProgress(stderr, { color: false, now: () => NOW })
      progress.update(running)
      expect(written.join('')).not.toContain('interrupted')
      progress.ending()
      expect(written.at(-1)).toContain(ENDING)
      progress.end()
      const { length } = written
      progress.ending()
      expect(written).toHaveLength(length)
    }
  })

  it('is a few plain lines elsewhere', () => {
    const written: string[] = []
    let now = NOW
    const progress = runProgress(
      { write: (text: string) => written.push(text) },
      { color: true, now: () => now },
    )
    const of = 1_000_000
    for (let second = 0; second < 40; second++) {
      now = NOW + (second - 40) * 1000
      const restoring = { why: 'there is no cache of it here', records: second * 10_000, of }
      progress.update({ ...running, triggers: {}, restoring })
    }
    for (let second = 0; second < 61; second++) {
      now = NOW + second * 1000
      progress.update(running)
    }
    progress.end()
    expect(written).toEqual([
      'run 01JDZ8M6W3V5T8Q9YB4K2N7R1C of customers\n',
      'rebuilding the delivered state: 0 of 1,000,000 records (there is no cache of it here)\n',
      'rebuilding the delivered state: 300,000 of 1,000,000 records (there is no cache of it here)\n',
      'added 1,000/4,000\n',
      'added 1,000/4,000\n',
      'added 1,000/4,000\n',
    ])
  })
})
