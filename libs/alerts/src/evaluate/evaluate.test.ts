import type { DestinationHealth } from '@sluice/contracts/views/destination-health'
import { describe, expect, it } from 'vitest'
import type { RunEvent, RunStatus } from '@sluice/contracts/records'
import { alert as alertSchema, type AlertSpec } from '@sluice/contracts/resources'
import { sampleCounts, sampleEvent, sampleReport } from '@sluice/testkit/sample-records'
import { newAlertState, parseAlertState, type AlertState } from './alert-state.ts'
import { evaluate, mustBeStored } from './evaluate.ts'
import { factsOfRuns, type SyncFacts } from './facts.ts'

const MINUTE = 60_000
const DAY = 86_400_000

function alertWhen(...when: readonly unknown[]): AlertSpec {
  const to = { slack: { url: 'https://hooks.slack.com/services/${secret:x}' } }
  return alertSchema.parse({ kind: 'alert', name: 'team', syncs: 'all', when, to })
}

const idOf = (number: number): string => `01JD0000000000000000${String(number).padStart(6, '0')}`

/** A run that ended at a minute, after a second. */
function ran(minute: number, status: RunStatus, fields: Partial<RunEvent> = {}): RunEvent {
  const endedAt = minute * MINUTE
  return sampleEvent({
    runId: idOf(minute),
    run: minute,
    status,
    startedAt: endedAt - 1_000,
    endedAt,
    ...fields,
  })
}

/** An alert that is evaluated again and again, as its state is stored. */
class Watched {
  state: AlertState | null = null
  readonly told: string[] = []
  readonly #alert: AlertSpec
  #events: RunEvent[] = []
  certificates: SyncFacts['certificates'] = []
  refusals: SyncFacts['refusals'] = new Map()
  destination: SyncFacts['destination'] = null
  waits: string | null = null
  paused = false

  constructor(alert: AlertSpec) {
    this.#alert = alert
  }

  at(minute: number, ...news: readonly RunEvent[]): string[] {
    for (const event of news)
      this.#events = [...this.#events.filter(({ runId }) => runId !== event.runId), event]
    const run = this.#events.at(-1)?.run ?? 0
    const wait = { kind: 'token', since: 1, until: null, detail: this.waits ?? '' } as const
    const reports = new Map(
      this.waits === null ? [] : [[0, sampleReport({ run, ended: false, waits: [wait] })]],
    )
    const runs = {
      ...{ sync: 's', incarnation: 'i', marker: 0, reports },
      events: new Map(this.#events.map(event => [event.runId, event])),
    }
    const { certificates, refusals, paused, destination } = this
    const facts = { ...factsOfRuns('s', runs), paused, certificates, refusals, destination }
    const { state, notices } = evaluate({
      alert: this.#alert,
      facts,
      state: this.state,
      now: minute * MINUTE,
    })
    this.state = state
    const told = notices.map(({ condition, state: what }) => `${String(condition)} ${what}`)
    this.told.push(...told)
    return told
  }

  /** As after a restart: only what was stored last is known. */
  restart(stored: AlertState | null): void {
    this.state = stored === null ? null : parseAlertState(JSON.stringify(stored))
  }

  forgetRuns(): void {
    this.#events = []
  }

  get dueAt(): number | null {
    const { certificates, refusals, paused, destination } = this
    const facts = { ...factsOfRuns('s', undefined), certificates, refusals, paused, destination }
    return evaluate({ alert: this.#alert, facts, state: this.state, now: 0 }).dueAt
  }
}

describe('a failing run', () => {
  it('is told once, however often the next ones fail, and its recovery once', () => {
    const watched = new Watched(alertWhen('run-failed'))
    expect(watched.at(1, ran(1, 'success'))).toEqual([])
    expect(watched.at(2, ran(2, 'failed'))).toEqual(['run-failed firing'])
    expect(watched.at(2)).toEqual([])
    expect(watched.at(3, ran(3, 'failed'))).toEqual([])
    expect(watched.at(4, ran(4, 'cancelled'))).toEqual([])
    expect(watched.at(5, ran(5, 'warning'))).toEqual(['run-failed recovered'])
    expect(watched.at(6, ran(6, 'success'))).toEqual([])
  })

  it('is told though another run went through before anybody looked, and that, too', () => {
    const watched = new Watched(alertWhen('run-failed'))
    watched.at(1, ran(1, 'success'))
    expect(watched.at(9, ran(2, 'failed'), ran(3, 'success'))).toEqual([
      'run-failed firing',
      'run-failed recovered',
    ])
  })

  it('leads to at most two notices, whatever happened while nobody looked', () => {
    const flapping = Array.from({ length: 9 }, (_, at) => ran(at + 2, at % 2 === 0 ? 'failed' : 'success'))
    const watched = new Watched(alertWhen('run-failed'))
    watched.at(1, ran(1, 'success'))
    expect(watched.at(20, ...flapping)).toEqual(['run-failed firing'])
    expect(watched.at(30, ran(21, 'success'), ran(22, 'failed'), ran(23, 'success'))).toEqual([
      'run-failed recovered',
    ])
    watched.at(40, ran(39, 'failed'))
    expect(watched.at(50, ran(41, 'success'), ran(42, 'failed'))).toEqual([
      'run-failed recovered',
      'run-failed firing',
    ])
  })

  it('of the past says nothing to a new alert once a run has gone through', () => {
    const past = [ran(1, 'failed'), ran(2, 'success'), ran(3, 'cancelled')]
    expect(new Watched(alertWhen('run-failed')).at(9, ...past)).toEqual([])
    expect(new Watched(alertWhen('run-failed')).at(9, ran(1, 'success'), ran(2, 'failed'))).toEqual([
      'run-failed firing',
    ])
  })

  it('is not told again after a restart', () => {
    const watched = new Watched(alertWhen('run-failed'))
    watched.at(1, ran(1, 'success'))
    watched.at(2, ran(2, 'failed'))
    const stored = watched.state
    watched.at(3, ran(3, 'failed'))
    expect(mustBeStored(stored, watched.state ?? newAlertState(0))).toBe(false)
    watched.restart(stored)
    expect(watched.at(4)).toEqual([])
    expect(watched.at(5, ran(5, 'success'))).toEqual(['run-failed recovered'])
  })

  it('of a reset is no news', () => {
    expect(new Watched(alertWhen('run-failed')).at(1, ran(1, 'failed', { cause: 'reset' }))).toEqual([])
  })
})

describe('rows that do not arrive', () => {
  const counts = (detected: number, rejected: number) => ({
    added: sampleCounts({ detected, rejected, delivered: detected - rejected }),
  })
  it('are told from the share on, invalid ones among them', () => {
    const watched = new Watched(alertWhen({ 'rows-failed': { share: 0.01 } }))
    watched.at(1, ran(1, 'success'))
    expect(watched.at(2, ran(2, 'warning', { counts: counts(1_000, 9) }))).toEqual([])
    expect(watched.at(3, ran(3, 'warning', { counts: counts(1_000, 9), rowsInvalid: 2 }))).toEqual([
      'rows-failed firing',
    ])
    expect(watched.state?.firing['rows-failed']?.text).toBe(
      '11 of 1002 rows did not arrive: 1.1 % (2 rows of these could not be read).',
    )
    expect(watched.at(4, ran(4, 'failed'))).toEqual([])
    expect(watched.at(5, ran(5, 'warning', { counts: counts(1_000, 1) }))).toEqual(['rows-failed recovered'])
  })

  it('are told from the first on with a share of 0, and only if there is one', () => {
    const watched = new Watched(alertWhen({ 'rows-failed': { share: 0 } }))
    watched.at(1, ran(1, 'success'))
    expect(watched.at(2, ran(2, 'success', { counts: counts(1_000, 0) }))).toEqual([])
    expect(watched.at(3, ran(3, 'warning', { counts: counts(100_000, 1) }))).toEqual(['rows-failed firing'])
  })
})

it('a run that waits for approval is told, and that it waits no more', () => {
  const watched = new Watched(alertWhen('held'))
  const held = { removed: 900, rows: 1_000, samples: [] }
  expect(watched.at(1, ran(1, 'held', { endedAt: null, held }))).toEqual(['held firing'])
  expect(watched.at(2)).toEqual([])
  expect(watched.at(3, ran(1, 'cancelled'))).toEqual(['held recovered'])
})

it('a run is told as slow while it is under way, and once another one is fast enough', () => {
  const watched = new Watched(alertWhen({ slow: { longerThan: '60m' } }))
  const running = ran(1, 'running', { startedAt: 1 * MINUTE, endedAt: null })
  expect(watched.at(61, running)).toEqual([])
  expect(watched.at(62)).toEqual(['slow firing'])
  expect(watched.at(90, { ...running, status: 'success', endedAt: 90 * MINUTE })).toEqual([])
  expect(watched.at(100, ran(100, 'success'))).toEqual(['slow recovered'])
})

describe('a stream', () => {
  const minute = (at: number, lagMs: number) => {
    return { at: at * MINUTE, read: 1, detected: 1, delivered: 1, failed: 0, lagMs }
  }
  const streaming = (minutes: readonly ReturnType<typeof minute>[], fields: Partial<RunEvent> = {}) => {
    const lagMs = minutes.at(-1)?.lagMs ?? null
    const stream = { since: 0, comparing: null, read: 1, unreadable: 0, lagRecords: 7, committedAt: null }
    return ran(100, 'running', {
      startedAt: 0,
      endedAt: null,
      stream: { ...stream, lagMs, minutes },
      ...fields,
    })
  }
  const lagging = () => new Watched(alertWhen({ lagging: { above: '10s' } }, { slow: { longerThan: '10m' } }))

  it('is told as lagging once its lag was above the limit for a minute, and once it has caught up', () => {
    const watched = lagging()
    expect(watched.at(1, streaming([minute(0, 5_000), minute(1, 12_000)]))).toEqual([])
    expect(watched.at(2.5, streaming([minute(0, 5_000), minute(1, 40_000), minute(2, 70_000)]))).toEqual([])
    expect(watched.at(3)).toEqual(['lagging firing'])
    expect(watched.state?.firing.lagging?.text).toBe(
      'The stream is behind its source by 1 min 10 s, 7 records.',
    )
    expect(watched.at(4, streaming([minute(1, 40_000), minute(2, 70_000), minute(3, 9_000)]))).toEqual([
      'lagging recovered',
    ])
  })

  it('is not told as lagging by a lag that was shorter than a minute', () => {
    const watched = lagging()
    expect(watched.at(2, streaming([minute(0, 5_000), minute(1, 12_000)]))).toEqual([])
    expect(watched.at(3, streaming([minute(0, 5_000), minute(1, 12_000), minute(2, 1_000)]))).toEqual([])
  })

  it('goes on over the end of a run, and is not slow', () => {
    const watched = lagging()
    const hour = streaming([minute(58, 20_000), minute(59, 20_000)], {
      ...{ runId: idOf(60), status: 'success', endedAt: 60 * MINUTE },
    })
    expect(watched.at(60, hour)).toEqual([])
    expect(watched.at(61, streaming([minute(60, 20_000)], { startedAt: 60 * MINUTE }))).toEqual([
      'lagging firing',
    ])
    expect(watched.at(90)).toEqual([])
  })

  it('that is paused is not behind', () => {
    const watched = lagging()
    expect(watched.at(9, streaming([minute(1, 20_000)]))).toEqual(['lagging firing'])
    watched.paused = true
    expect(watched.at(10)).toEqual(['lagging recovered'])
  })
})

describe('silence', () => {
  const silent = () => new Watched(alertWhen({ silent: { noSuccessFor: '1d' } }))
  it('is told though nothing has ever run, and a success ends it', () => {
    const watched = silent()
    expect(watched.at(0)).toEqual([])
    expect(watched.dueAt).toBe(DAY)
    expect(watched.at(DAY / MINUTE - 1)).toEqual([])
    expect(watched.at(DAY / MINUTE)).toEqual(['silent firing'])
    expect(watched.at(2_000)).toEqual([])
    expect(watched.at(2_001, ran(2_001, 'success'))).toEqual(['silent recovered'])
  })

  it('counts from the last success, whose run may be forgotten by then', () => {
    const watched = silent()
    watched.at(0)
    watched.at(100, ran(100, 'success'))
    const before = watched.state
    watched.at(200, ran(200, 'failed'))
    // The failing run pushes the success out of what the view keeps.
    expect(mustBeStored(before, watched.state ?? newAlertState(0))).toBe(false)
    expect(
      mustBeStored({ ...newAlertState(0), lastSuccessAt: null }, watched.state ?? newAlertState(0)),
    ).toBe(true)
    watched.restart(watched.state)
    watched.forgetRuns()
    expect(watched.at(1_500)).toEqual([])
    expect(watched.at(100 + 1_440)).toEqual(['silent firing'])
  })
})

describe('a paused sync', () => {
  const watched = new Watched(alertWhen({ silent: { noSuccessFor: '1h' } }, 'run-failed'))

  it('may be silent, and its silence before is over', () => {
    watched.at(0)
    expect(watched.at(60)).toEqual(['silent firing'])
    watched.paused = true
    expect(watched.at(61)).toEqual(['silent recovered'])
    expect(watched.dueAt).toBeNull()
    expect(watched.at(5_000)).toEqual([])
  })

  it('still tells of runs that somebody asks for', () => {
    expect(watched.at(5_010, ran(5_010, 'failed'))).toEqual(['run-failed firing'])
  })

  it('counts silence from the end of the pause on, also over a restart', () => {
    const pausedState = watched.state
    watched.paused = false
    expect(watched.at(6_000)).toEqual([])
    expect(mustBeStored(pausedState, watched.state ?? newAlertState(0))).toBe(true)
    watched.restart(watched.state)
    expect(watched.at(6_059)).toEqual([])
    expect(watched.at(6_060)).toEqual(['silent firing'])
  })
})

describe('after its clock was set back by a day', () => {
  const back = (when: unknown): Watched => {
    const watched = new Watched(alertWhen(when))
    watched.at(2_000)
    watched.at(2_100, ran(2_100, 'success', { run: 7 }))
    return watched
  }

  it('a run that fails is told once, though an earlier one has ended later', () => {
    const watched = back('run-failed')
    expect(watched.at(700, ran(700, 'failed', { run: 8 }))).toEqual(['run-failed firing'])
    watched.restart(watched.state)
    expect(watched.at(701)).toEqual([])
    expect(watched.at(710, ran(710, 'success', { run: 9 }))).toEqual(['run-failed recovered'])
    expect(watched.at(2_200)).toEqual([])
  })

  it('silence counts from the first look on, and from the next success', () => {
    const watched = back({ silent: { noSuccessFor: '1h' } })
    expect(watched.at(700)).toEqual([])
    expect(watched.at(759)).toEqual([])
    expect(watched.at(760)).toEqual(['silent firing'])
    expect(watched.at(770, ran(770, 'success', { run: 8 }))).toEqual(['silent recovered'])
    expect(watched.at(829)).toEqual([])
    expect(watched.at(830)).toEqual(['silent firing'])
  })
})

it('a certificate is told two weeks before it expires, and once it is renewed', () => {
  const watched = new Watched(alertWhen('certificate-expiring'))
  const certificate = { destination: 'd', what: 'the client certificate', expiresAt: 30 * DAY }
  watched.certificates = [certificate]
  expect(watched.at(0)).toEqual([])
  expect(watched.dueAt).toBe(16 * DAY)
  expect(watched.at((16 * DAY) / MINUTE)).toEqual(['certificate-expiring firing'])
  expect(watched.state?.firing['certificate-expiring']?.text).toBe(
    'The client certificate of the destination `d` expires at 1970-01-31 00:00 UTC.',
  )
  expect(watched.at((40 * DAY) / MINUTE)).toEqual([])
  watched.certificates = [{ ...certificate, expiresAt: 400 * DAY }]
  expect(watched.at((40 * DAY) / MINUTE)).toEqual(['certificate-expiring recovered'])
})

it('a destination is told when it fails, and when it takes requests again, not when it pauses', () => {
  const watched = new Watched(alertWhen('destination-failing'))
  const is = (state: DestinationHealth['state'], reason: string): void => {
    const health = { state, reason, until: null, fix: null, lastAttemptAt: null }
    watched.destination = { name: 'd', health }
  }
  is('unused', 'No request was sent to it yet.')
  expect(watched.at(1)).toEqual([])
  is('failing', 'All of the last 40 requests failed: HTTP 503.')
  expect(watched.at(2)).toEqual(['destination-failing firing'])
  expect(watched.state?.firing['destination-failing']?.text).toBe(
    'The destination `d`: All of the last 40 requests failed: HTTP 503.',
  )
  is('breaker-open', 'The breaker is open.')
  expect(watched.at(3)).toEqual([])
  is('paused', 'The API asked for a pause.')
  expect(watched.at(4)).toEqual([])
  is('healthy', 'The last 3 requests arrived.')
  expect(watched.at(5)).toEqual(['destination-failing recovered'])
})

describe('credentials', () => {
  it('that a destination refuses are told, and that it takes them again once a run has shown them', () => {
    const watched = new Watched(alertWhen('auth-failing'))
    watched.at(1, ran(1, 'success'))
    watched.refusals = new Map([[idOf(2), 'HTTP 401']])
    expect(watched.at(2, ran(2, 'warning'))).toEqual(['auth-failing firing'])
    expect(watched.at(3, ran(3, 'success'))).toEqual([])
    expect(watched.at(4, ran(4, 'success', { counts: { added: sampleCounts({ requests: 1 }) } }))).toEqual([
      'auth-failing recovered',
    ])
  })

  it('that are not there are told while a run waits for them', () => {
    const watched = new Watched(alertWhen('auth-failing'))
    watched.waits = 'Destination `d`: no token, since nobody has logged in yet: `sluice auth d` logs in.'
    expect(watched.at(1, ran(1, 'running', { endedAt: null }))).toEqual(['auth-failing firing'])
  })
})

describe('a notice', () => {
  it('has an id that a second evaluation of the same state gives it, too', () => {
    const once = new Watched(alertWhen('run-failed'))
    once.at(1, ran(1, 'success'))
    const twice = new Watched(alertWhen('run-failed'))
    twice.restart(once.state)
    twice.at(1, ran(1, 'success'))
    once.at(2, ran(2, 'failed'))
    twice.at(3, ran(2, 'failed'))
    expect(once.state?.outbox[0]?.id).toBe(twice.state?.outbox[0]?.id)
    once.at(4, ran(4, 'success'))
    expect(new Set(once.state?.outbox.map(({ id }) => id)).size).toBe(2)
  })

  it('has numbers, what to do, and the run', () => {
    const watched = new Watched(alertWhen('run-failed'))
    watched.at(
      2,
      ran(2, 'failed', {
        error: 'The source does not answer.',
        counts: { added: sampleCounts({ detected: 9, rejected: 4, delivered: 5 }) },
      }),
    )
    expect(watched.state?.outbox[0]).toMatchObject({
      title: 's: a run failed',
      text: 'The source does not answer.',
      todo: `\`sluice runs show ${idOf(2)}\` says more. Mend the cause, then \`sluice run s\`.`,
      run: { id: idOf(2), status: 'failed', detected: 9, delivered: 5, notDelivered: 4 },
    })
  })

  it('is given up if twenty others wait behind it, and that is counted', () => {
    const watched = new Watched(alertWhen('run-failed'))
    for (let minute = 1; minute <= 22; minute += 1)
      watched.at(minute, ran(minute, minute % 2 === 0 ? 'success' : 'failed'))
    expect(watched.told).toHaveLength(22)
    expect([watched.state?.outbox.length, watched.state?.dropped]).toEqual([20, 2])
  })
})

it('a stored state with a time that is no date is no state, so that views of alerts can show every time', () => {
  const state = { ...newAlertState(0), lastSent: { id: 'msg_1', at: 8.64e15 } }
  expect(parseAlertState(JSON.stringify(state))).toEqual(state)
  const late = { ...state, lastSent: { id: 'msg_1', at: 8.64e15 + 1 } }
  expect(parseAlertState(JSON.stringify(late))).toBeNull()
})
