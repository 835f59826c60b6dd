import type { RunView } from '@sluice/contracts/api'
import { isEnded } from '@sluice/domain/run-status'
import { describe, expect, it } from 'vitest'
import { troubleOf, type SyncFacts } from './trouble-of.ts'

const AT = '2026-01-01T00:00:00.000Z'
const NOW = Date.parse('2026-01-01T00:06:00.000Z')
const counts = (fields: object) => ({
  ...{ detected: 0, delivered: 0, rejected: 0, unknown: 0, unsent: 0, requests: 0, attempts: 0 },
  ...fields,
})
const run = (changes: Partial<RunView> = {}): RunView => ({
  ...{ id: 'R', sync: 's', status: 'success', cause: 'manual', startedAt: AT, endedAt: AT },
  ...{ rowsRead: 0, rowsInvalid: 0, error: null, triggers: {} },
  ...changes,
})
const NONE = { failed: 0, heldBack: 0 }
const behind = { since: AT, runs: 4 }
const judge = (...runs: readonly RunView[]) => {
  const ended = runs.findLast(({ status }) => isEnded(status)) ?? null
  return judged({ runs, ended, rows: { failed: ended?.status === 'warning' ? 1 : 0, heldBack: 0 } })
}
const judged = (facts: Partial<SyncFacts>) =>
  troubleOf({
    ...{ runs: [], ended: null, refused: null, credentials: null, behind, at: NOW, rows: NONE },
    ...facts,
  })

const rejection = {
  outcome: 'rejected',
  key: '1',
  count: 120,
  status: 422,
  error: 'HTTP 422: phone',
} as const
const queued = run({ id: 'Q', status: 'queued', startedAt: null })
const failed = run({ id: 'F', status: 'failed', error: 'no such table' })
const starting = run({ id: 'S', status: 'running', endedAt: null })
const throttled = (since: string, until: string) =>
  run({
    ...{ id: 'W', status: 'running', triggers: { added: counts({ detected: 145, delivered: 4 }) } },
    waiting: [{ kind: 'throttled', since, until, detail: '`crm` answers HTTP 429' }],
  })

describe('what is wrong with a sync', () => {
  it('is not hidden by a run that is queued, or that shows nothing yet', () => {
    const told = { run: 'F', text: 'No such table.', isFailing: true, ...behind }
    expect(judge(queued, failed)).toMatchObject(told)
    expect(judge(starting, failed)).toMatchObject(told)
    const delivering = { ...starting, triggers: { added: counts({ detected: 9, delivered: 1 }) } }
    expect(judge(delivering, failed)).toBeNull()
  })

  it('is a long pause of the API, behind which another run is queued', () => {
    expect(judge(queued, throttled(AT, '2026-01-01T00:15:00.000Z'))).toMatchObject({
      ...{ run: 'W', isFailing: false },
      text: '`crm` answers HTTP 429. 141 rows wait. Sluice tries again at 2026-01-01T00:15:00.000Z.',
    })
    expect(judge(throttled('2026-01-01T00:05:58.000Z', '2026-01-01T00:06:08.000Z'))).toBeNull()
  })

  it('is an open breaker, although rows were delivered before', () => {
    const waiting = [
      { kind: 'breaker', since: AT, until: null, detail: '`crm` refuses connections' },
    ] as const
    expect(judge({ ...throttled(AT, AT), waiting: [...waiting] })).toMatchObject({
      ...{ isFailing: true, text: '`crm` refuses connections. 141 rows wait.' },
    })
    // The report of the next try is on its way.
    const [wait] = waiting
    expect(judge({ ...throttled(AT, AT), waiting: [{ ...wait, until: AT }] })).toMatchObject({
      text: '`crm` refuses connections. 141 rows wait.',
    })
  })

  it('counts all rows that wait, with those that have failed', () => {
    const triggers = { added: counts({ detected: 180, delivered: 0, unknown: 96 }) }
    const waiting = [
      { kind: 'breaker', since: AT, until: null, detail: '`crm` refuses connections' },
    ] as const
    expect(judge({ ...throttled(AT, AT), triggers, waiting: [...waiting] })?.text).toBe(
      '`crm` refuses connections. 180 rows wait, 96 of which failed.',
    )
  })

  it('is a secret that the destination refuses, with the act that replaces it', () => {
    const fix = { act: 'set-secret', name: 'crm-key' } as const
    const credentials = { text: 'Its requests carry the secret `crm-key`.', fix }
    const errors = [{ ...rejection, status: 401, error: 'HTTP 401: no' }]
    const triggers = { added: counts({ detected: 120, rejected: 120 }) }
    const refusing = run({ status: 'warning', failing: true, triggers, errors })
    const facts = { rows: { failed: 120, heldBack: 0 }, credentials }
    expect(judged({ ...facts, runs: [refusing], ended: refusing })).toMatchObject({
      text: 'Nothing arrives: 120 rows failed: HTTP 401: no. Its requests carry the secret `crm-key`.',
      fix,
    })
    const atWork = run({ status: 'running', failing: true, triggers, errors })
    expect(judged({ ...facts, runs: [atWork] })).toMatchObject({ fix })
    const some = run({ status: 'warning', rowsRead: 400, triggers, errors })
    expect(judged({ ...facts, runs: [some], ended: some })).toMatchObject({ fix: null })
  })

  it('is invalid rows of the model, with one of them', () => {
    const invalidRows = [{ key: '7', reason: 'another row has the same key' }]
    expect(judge(run({ status: 'warning', rowsRead: 180, rowsInvalid: 2, invalidRows }))?.text).toBe(
      '2 of 180 rows of the model are invalid, such as row 7: another row has the same key.',
    )
  })

  it('is some rows that are rejected, of all rows of the model', () => {
    const triggers = { changed: counts({ detected: 120, rejected: 120 }) }
    const rejected = run({ status: 'warning', rowsRead: 400, triggers, errors: [rejection] })
    expect(judge(rejected)).toMatchObject({
      ...{ isFailing: false, text: '120 of 400 rows are rejected: HTTP 422: phone.', runs: 4 },
    })
    expect(judge({ ...rejected, failing: true })).toMatchObject({
      ...{ isFailing: true, text: 'Nothing arrives: 120 rows failed: HTTP 422: phone.' },
    })
  })

  it('is a destination that took the first rows of a run, and then no others', () => {
    const triggers = { added: counts({ detected: 9, delivered: 4, unknown: 2, unsent: 3 }) }
    expect(judge(run({ status: 'warning', rowsRead: 9, triggers }))).toMatchObject({
      ...{ isFailing: true, text: '5 of 9 rows were not delivered.' },
    })
  })

  it('is a source that cannot be read, by name', () => {
    const error = 'Source crm-db: cannot connect to db.example.com:5432: connect ECONNREFUSED 10.0.0.1:5432'
    expect(judge(run({ status: 'failed', error }))).toMatchObject({ text: `${error}.`, source: 'crm-db' })
    expect(judge(failed)).not.toHaveProperty('source')
  })

  it('says whether its text has words of the API', () => {
    const triggers = { added: counts({ detected: 120, unknown: 120 }) }
    const told = (error: object) =>
      judge(run({ status: 'warning', triggers, errors: [{ ...rejection, ...error }] }))
    expect(told({})).toMatchObject({ quotesAnswer: true })
    expect(told({ status: null, error: 'connect ECONNREFUSED' })).not.toHaveProperty('quotesAnswer')
  })

  it('is a missing secret, with the act that mends it', () => {
    const error = 'The secret `key` is not set: set the environment variable SLUICE_SECRET_KEY.'
    const refused = { at: '2026-01-01T00:01:00.000Z', by: 'ann', error }
    const fix = { act: 'set-secret', name: 'key' }
    const text = 'A run of ann was refused: The secret `key` is not set.'
    expect(judged({ runs: [run()], refused })).toMatchObject({ text, fix, run: null })
    expect(judge(run({ status: 'failed', error }))).toMatchObject({
      text: 'The secret `key` is not set.',
      fix,
    })
    expect(judged({ runs: [run()], refused: { ...refused, at: '2025-12-31T00:00:00.000Z' } })).toBeNull()
  })

  it.each<readonly [string, Partial<RunView>, string | null]>([
    ['held', { status: 'held', held: { removed: 9, rows: 1_200, samples: [] } }, 'remove 9 of 1,200 rows'],
    [
      'cancelled with rows left',
      { status: 'cancelled', triggers: { added: counts({ unsent: 7 }) } },
      '7 rows were',
    ],
    ['cancelled without rows left', { status: 'cancelled' }, null],
    ['through', {}, null],
    [
      'failing',
      { status: 'running', failing: true, triggers: { added: counts({ unknown: 9 }) } },
      '9 rows failed',
    ],
  ])('follows from a run that is %s', (_, changes, words) => {
    const trouble = judge(run(changes))
    if (words === null) expect(trouble).toBeNull()
    else expect(trouble?.text).toContain(words)
  })

  it('is not hidden by a later run that tells nothing of it', () => {
    for (const later of [run({ id: 'C', status: 'cancelled' }), run({ id: 'D', cause: 'discard' })])
      expect(judge(later, failed)).toMatchObject({ run: 'F', text: 'No such table.' })
  })

  it('is over once somebody has discarded the rows, or has sent all of them by themselves', () => {
    const left = run({ status: 'warning', triggers: { added: counts({ detected: 3, rejected: 3 }) } })
    for (const cause of ['discard', 'retry'] as const) {
      const runs = [run({ cause }), left]
      expect(judged({ runs, ended: left })).toBeNull()
      const some = { failed: 2, heldBack: 0 }
      expect(judged({ runs, ended: left, rows: some })).toMatchObject({ run: 'R', isFailing: false })
      expect(judged({ runs: [run({ status: 'failed' }), left], ended: failed })).not.toBeNull()
    }
  })
})
