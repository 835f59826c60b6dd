/** Alerts on a real log, told to a real HTTP server. */
import type { DestinationHealth } from '@sluice/contracts/views/destination-health'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AlertNotice } from '@sluice/contracts/specs/alert-views'
import type { RunEvent } from '@sluice/contracts/records'
import { alert as alertSchema } from '@sluice/contracts/resources'
import { createLocalLocks } from '@sluice/partition/adapters/local'
import { createUndiciSender } from '@sluice/http-sender/adapters/undici'
import type { HttpSender } from '@sluice/http-sender/port'
import { writeResources } from '@sluice/resources/change-resources'
import { appendRunEvent } from '@sluice/runs/run-event-record'
import { sampleCounts, sampleDefinition, sampleEvent, SYNC } from '@sluice/testkit/sample-records'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { openTestLog, type TestLog } from '@sluice/testkit/test-log'
import { at, sharedTopics } from '@sluice/topics/topics'
import { NO_ALERT_METRICS } from './alert-metrics.ts'
import { readAlertStates, alertsViewOf } from './alert-records.ts'
import { keepAlerts, type KeepAlertsDeps } from './keep-alerts.ts'

const { signal } = new AbortController()
const locks = createLocalLocks()

let log: TestLog
let api: ScriptedApi
let sender: HttpSender
let keepers: Keeper[]
beforeEach(async () => {
  log = await openTestLog({ partitions: 0 })
  api = await startScriptedApi()
  sender = createUndiciSender()
  keepers = []
})
afterEach(async () => {
  for (const keeper of keepers) await keeper.killed()
  await sender[Symbol.asyncDispose]()
  await api[Symbol.asyncDispose]()
  await log[Symbol.asyncDispose]()
})

const HEALTHY: DestinationHealth = {
  ...{ state: 'healthy', reason: 'All arrived.', until: null, fix: null, lastAttemptAt: null },
}

/** A process that watches. */
class Keeper {
  readonly #drain = new AbortController()
  readonly #abort = new AbortController()
  readonly #done: Promise<void>

  constructor(deps: Partial<KeepAlertsDeps> = {}) {
    const quiet = { info: () => undefined, warn: () => undefined }
    const all = {
      ...{
        ...log,
        sender,
        locks,
        logger: quiet,
        alertMetrics: NO_ALERT_METRICS,
        publicUrl: 'https://sluice.example.com',
      },
      mailer: { send: () => Promise.resolve(null) },
      secretFor: () => `whsec_${Buffer.alloc(32).toString('base64')}`,
      allowPrivateNetwork: true,
      now: Date.now,
      errorsOf: () => Promise.resolve([]),
      judge: () => HEALTHY,
      firstPauseMs: 20,
      ...deps,
    }
    this.#done = keepAlerts(all, { drain: this.#drain.signal, abort: this.#abort.signal })
    this.#done.catch(() => undefined)
    keepers.push(this)
  }

  async drained(): Promise<void> {
    this.#drain.abort(new Error('drained'))
    await this.#done
  }

  /** It stops at once, and writes nothing more. */
  async killed(): Promise<void> {
    this.#abort.abort(new Error('killed'))
    await this.#done.catch(() => undefined)
  }
}

async function put(when: readonly unknown[], more: object = {}): Promise<void> {
  const to = { webhook: { url: `${api.url}/hook`, secret: '${secret:hook}' } }
  const alert = alertSchema.parse({ kind: 'alert', name: 'team', syncs: 'all', when, to, ...more })
  const { sync, destination } = sampleDefinition()
  const records = [alert, sync, destination].map(spec => {
    return { kind: spec.kind, name: spec.name, spec: JSON.stringify(spec) }
  })
  await writeResources(log, records, { owner: { project: 'p' }, signal })
}

let ends = 0
async function ran(status: 'success' | 'failed' | 'warning', fields: Partial<RunEvent> = {}): Promise<void> {
  const run = (ends += 1)
  const runId = `01JD00000000000000000${String(run).padStart(5, '0')}`
  await appendRunEvent(log, sampleEvent({ runId, run, status, endedAt: Date.now() + run, ...fields }), {
    signal,
  })
}

const noticeOf = ({ body }: { readonly body: string }): AlertNotice => {
  const { data }: { readonly data: AlertNotice } = JSON.parse(body)
  return data
}
const told = (): string[] =>
  api.requests.map(request => {
    const { condition, state } = noticeOf(request)
    return `${condition ?? ''} ${state}`
  })
const view = async () => {
  const alert = alertSchema.parse({
    kind: 'alert',
    name: 'team',
    syncs: 'all',
    when: ['run-failed'],
    to: { slack: { url: 'https://x' } },
  })
  return alertsViewOf([alert], (await readAlertStates(log, signal)).values()).alerts[0]
}
/** Resolves once the stored state of the alert is as wanted. */
async function stored(is: (state: NonNullable<Awaited<ReturnType<typeof view>>>) => boolean): Promise<void> {
  const target = at(sharedTopics(log.prefix).alerts, 0)
  for await (const _batch of log.log.read(target, { from: 0, signal })) {
    const shown = await view()
    if (shown !== undefined && is(shown)) return
  }
}

describe('an alert', () => {
  it('is told when a run fails, with the errors and a link, and its recovery, once each', async () => {
    await put(['run-failed'])
    await ran('success')
    const errors = ['a', 'b', 'c', 'd'].map(error => ({
      error,
      count: 1,
      key: error,
      status: 422,
      outcome: 'rejected' as const,
    }))
    const keeper = new Keeper({ errorsOf: () => Promise.resolve(errors) })
    await stored(({ state }) => state === 'ok')
    await ran('failed', { error: 'The source does not answer.' })
    await api.waitFor(1)
    await ran('failed')
    await ran('success')
    await api.waitFor(2)
    await stored(({ lastNotice, state }) => lastNotice !== null && state === 'ok')
    await keeper.drained()
    expect(told()).toEqual(['run-failed firing', 'run-failed recovered'])
    const [first] = api.requests.map(noticeOf)
    expect(first).toMatchObject({
      title: `${SYNC}: a run failed`,
      text: 'The source does not answer.',
      errors: [{ message: 'a', rows: 1, key: 'a' }, { message: 'b' }, { message: 'c' }],
    })
    expect(first?.link).toBe(`https://sluice.example.com/runs/${first?.run?.id ?? ''}`)
    expect(api.requests[0]?.headers['webhook-id']).toBe(first?.id)
  })

  it('of silence is told though nothing happens at all', async () => {
    await put([{ silent: { noSuccessFor: '300ms' } }])
    new Keeper()
    await api.waitFor(1)
    expect(told()).toEqual(['silent firing'])
  })

  it('that is added, or changed, counts at once', async () => {
    await put(['held'])
    const keeper = new Keeper()
    await ran('failed')
    await stored(({ state }) => state === 'ok')
    await put(['held', 'run-failed'])
    await ran('failed')
    await api.waitFor(1)
    await keeper.drained()
    expect(told()).toEqual(['run-failed firing'])
  })

  it('is forgotten with its sync', async () => {
    await put(['run-failed'], { syncs: [SYNC] })
    await ran('failed')
    new Keeper()
    await api.waitFor(1)
    await put(['run-failed'], { syncs: ['another'] })
    await stored(({ state }) => state === 'unwatched')
  })
})

describe('a process that comes after another', () => {
  it('tells nothing again', async () => {
    await put(['run-failed'])
    await ran('failed')
    const first = new Keeper()
    await stored(({ lastNotice }) => lastNotice !== null)
    await first.drained()
    await ran('failed')
    new Keeper()
    await ran('success')
    await api.waitFor(2)
    expect(told()).toEqual(['run-failed firing', 'run-failed recovered'])
  })

  it('tells again, under the same id, what its predecessor told a moment before it was killed', async () => {
    await put(['run-failed'])
    await ran('failed')
    const dying = Promise.withResolvers<Keeper>()
    api.on(
      {},
      async () => {
        // The receiver has the notice, and the process that told it cannot write that down any more.
        await (await dying.promise).killed()
        return { status: 200 }
      },
      { times: 1 },
    )
    dying.resolve(new Keeper())
    await api.waitFor(1)
    new Keeper()
    await api.waitFor(2)
    const [first, second] = api.requests
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id'])
    expect(JSON.parse(second?.body ?? '')).toEqual(JSON.parse(first?.body ?? ''))
    await stored(({ lastNotice }) => lastNotice !== null)
    expect(api.requests).toHaveLength(2)
  })

  it('takes the place of one at work, and of the two only one tells', async () => {
    await put(['run-failed'])
    new Keeper()
    await stored(({ state }) => state === 'ok')
    const second = new Keeper()
    await ran('failed')
    await api.waitFor(1)
    await keepers[0]?.drained()
    await ran('success')
    await api.waitFor(2)
    await second.drained()
    expect(told()).toEqual(['run-failed firing', 'run-failed recovered'])
  })
})

describe('a notice that cannot be told', () => {
  it('is shown, tried again, and told in the end, before the one that comes after it', async () => {
    api.on({}, { status: 503, body: 'down' }, { times: 3 })
    await put(['run-failed'])
    await ran('failed')
    new Keeper()
    await stored(({ undelivered }) => undelivered !== null && undelivered.tries >= 1)
    expect(await view()).toMatchObject({
      state: 'firing',
      undelivered: { notices: 1, error: 'HTTP 503: down' },
    })
    await ran('success')
    await api.waitFor(5)
    expect(told()).toEqual([...Array.from({ length: 4 }, () => 'run-failed firing'), 'run-failed recovered'])
    await stored(({ undelivered }) => undelivered === null)
  })

  it('is tried again after a restart, which does not shorten the pause', async () => {
    api.on({}, { status: 503 })
    await put(['run-failed'])
    await ran('failed')
    const first = new Keeper({ firstPauseMs: 60_000 })
    await stored(({ undelivered }) => undelivered !== null)
    await first.drained()
    const second = new Keeper()
    await ran('failed')
    await put(['run-failed', 'held'])
    await stored(({ undelivered }) => undelivered !== null && undelivered.tries === 2)
    await second.drained()
    expect(new Set(api.requests.map(noticeOf).map(({ id }) => id)).size).toBe(1)
  })
})

it('a process that works for one command looks once more at its end, and tells once', async () => {
  await put(['run-failed', { 'rows-failed': { share: 0 } }])
  await ran('success')
  const keeper = new Keeper({ only: new Set([SYNC]), looksOnceMore: true })
  await stored(({ state }) => state === 'ok')
  await ran('warning', { counts: { added: sampleCounts({ detected: 2, rejected: 1, delivered: 1 }) } })
  await keeper.drained()
  expect(told()).toEqual(['rows-failed firing'])
  expect((await view())?.lastNotice).not.toBeNull()
})
