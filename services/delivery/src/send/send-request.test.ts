import { describe, expect, it } from 'vitest'
import type { Op } from '@sluice/contracts/state'
import type { OutgoingRequest, SendResult } from '@sluice/http-sender/port'
import {
  sampleDefinition,
  sampleRequest,
  sampleRow,
  type DefinitionFields,
} from '@sluice/testkit/sample-records'
import { RECORDED_BODY_BYTES } from '@sluice/domain/bounded-text'
import { CUT_END_UNITS } from '@sluice/secrets/redact'
import {
  leftOfWaitMs,
  WHOLE,
  NO_HISTORY,
  type PartHistory,
  type UnownedAttempt,
  withAttempt,
} from '../ledger/request-history.ts'
import { sendRequest } from './send-request.ts'
import { LOOKED_AT_BYTES, resolveTarget } from '../destination/target.ts'

const never = new AbortController().signal

interface Answered {
  readonly status?: number
  readonly headers?: { readonly [name: string]: string }
  readonly body?: string
  readonly cut?: boolean
}

interface Case {
  readonly sync?: DefinitionFields['sync']
  readonly op?: Op
  readonly uncertain?: boolean
  readonly rows?: number
  readonly secret?: string
  /** A secret in the base URL. */
  readonly hook?: string
  readonly headers?: { readonly [name: string]: string }
  readonly rowHeaders?: { readonly [name: string]: string }
  readonly before?: string | null
  readonly history?: Partial<PartHistory>
}

/** The attempt of a request that is answered so, and what went out. */
async function attempt(
  answer: Answered,
  {
    sync = {},
    op = 'added',
    uncertain = false,
    rows: count = 1,
    secret,
    hook,
    headers = {},
    rowHeaders = {},
    before = null,
    history = {},
  }: Case = {},
): Promise<{
  readonly attempt: UnownedAttempt
  readonly sent: OutgoingRequest
  readonly waitMs: number | null
}> {
  const outgoing: OutgoingRequest[] = []
  const result: SendResult = {
    kind: 'answered',
    status: 200,
    headers: {},
    body: '',
    cut: false,
    startedAt: 1,
    durationMs: 1,
    ...answer,
  }
  const rows = Array.from({ length: count }, (_, seq) => sampleRow({ op, seq, uncertain, captured: before }))
  const destination = {
    headers: secret === undefined ? headers : { 'X-Key': '${secret:key}' },
    ...(hook === undefined ? {} : { baseUrl: 'http://api/hooks/${secret:hook}' }),
  }
  const job = {
    request: sampleRequest({ trigger: op, rows, headers: rowHeaders }),
    requestOffset: 0,
    partition: 0,
    runId: 'run',
    history: { ...WHOLE, ...history },
  }
  const sent = await sendRequest(job, {
    target: resolveTarget(sampleDefinition({ destination, sync }), () => secret ?? hook ?? ''),
    sender: {
      send: request => {
        outgoing.push(request)
        return Promise.resolve(result)
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    sendBeforeMs: Infinity,
    lateMs: 0,
    retries: { pauseMs: () => null, splits: false },
    signal: never,
  })
  const [request] = outgoing
  if (sent.kind === 'late' || request === undefined) throw new Error('nothing was sent')
  return { attempt: sent.attempt, sent: request, waitMs: sent.retryAfterMs }
}

const withAnswers = (...answers: readonly object[]): DefinitionFields['sync'] => ({ errors: { answers } })

describe('an answer for which the sync has a rule', () => {
  it('comes to what the rule says, with what the API said as error', async () => {
    const sync = withAnswers(
      { status: 409, as: 'exists' },
      { status: 200, json: '$.errors[0]', as: 'rejected' },
    )
    expect((await attempt({ status: 409, body: 'there' }, { sync })).attempt).toMatchObject({
      outcome: 'exists',
      final: true,
      answered: true,
      status: 409,
      error: 'HTTP 409: there',
    })
    const body = '{"errors":["no such city"]}'
    expect((await attempt({ body }, { sync })).attempt).toMatchObject({
      outcome: 'rejected',
      error: 'HTTP 200: no such city',
    })
    expect((await attempt({ body: '{"errors":[]}' }, { sync })).attempt).toMatchObject({
      outcome: 'delivered',
      error: null,
    })
  })

  it('is no last one where the rule takes it as throttled, and waits as the API asks', async () => {
    const sync = withAnswers({ status: 403, body: 'quota', as: 'throttled' })
    const answer = { status: 403, headers: { 'retry-after': '9' }, body: 'quota exceeded' }
    const { attempt: made, waitMs } = await attempt(answer, { sync })
    expect(made).toMatchObject({ outcome: 'throttled', final: false })
    expect(waitMs).toBe(9000)
  })

  it('waits until the limit begins anew where a throttled answer asks for nothing', async () => {
    const headers = { 'x-ratelimit-reset': '7', 'x-ratelimit-remaining': '0' }
    expect((await attempt({ status: 429, headers })).waitMs).toBe(7000)
    expect((await attempt({ status: 429, headers: { ...headers, 'retry-after': '9' } })).waitMs).toBe(9000)
    expect((await attempt({ status: 429, headers: { ...headers, 'retry-after': 'soon' } })).waitMs).toBe(7000)
    // A limit says nothing to a request that failed otherwise.
    expect((await attempt({ status: 400, headers })).waitMs).toBeNull()
    expect((await attempt({ status: 200, headers })).waitMs).toBeNull()
  })

  it('shows the reason where the rule says that the answer has it', async () => {
    const rule = { status: [400, 422], as: 'rejected', error: '$.detail.text' }
    const secret = 'a secret value'
    const errorOf = async (answer: Answered): Promise<string | null> =>
      (await attempt(answer, { sync: withAnswers(rule), secret })).attempt.error
    const told = (text: unknown): string => JSON.stringify({ trace: 'x'.repeat(300), detail: { text } })
    expect(await errorOf({ status: 422, body: told('no such city') })).toBe('HTTP 422: no such city')
    expect(await errorOf({ status: 422, body: told({ code: 7 }) })).toBe('HTTP 422: {"code":7}')
    expect(await errorOf({ status: 422, body: told(`not with ${secret}`) })).toBe('HTTP 422: not with ***')
    expect(await errorOf({ status: 422, body: told('é'.repeat(50_000)) })).toMatch(/^HTTP 422: é{498} …$/)
    expect(await errorOf({ status: 422, body: '{"message":"as ever"}' })).toBe('HTTP 422: as ever')
    expect(await errorOf({ status: 400, body: told(' ') })).toMatch(/^HTTP 400: ./)
    expect(await errorOf({ status: 400, body: 'Bad Request' })).toBe('HTTP 400: Bad Request')
  })

  it('comes to what the rule says before a 404 confirms a removal', async () => {
    const removal = { op: 'removed', uncertain: true } as const
    expect((await attempt({ status: 404 }, removal)).attempt.outcome).toBe('delivered')
    const sync = withAnswers({ status: 404, body: 'no route', as: 'rejected' })
    const answer = { status: 404, body: 'no route' }
    expect((await attempt(answer, { ...removal, sync })).attempt.outcome).toBe('rejected')
    expect((await attempt({ status: 404 }, { ...removal, sync })).attempt.outcome).toBe('delivered')
  })

  it('is certain of an uncertain row only if it is about that op', async () => {
    const history = { uncertain: true, attempts: 1 }
    const sync = withAnswers({ status: 409, as: 'exists' }, { status: 404, as: 'missing' })
    const outcome = async (status: number, op: Op): Promise<string> =>
      (await attempt({ status }, { sync, op, history })).attempt.outcome
    expect(await outcome(409, 'added')).toBe('exists')
    expect(await outcome(404, 'added')).toBe('unknown')
    expect(await outcome(404, 'changed')).toBe('missing')
    expect(await outcome(409, 'changed')).toBe('unknown')
  })
})

describe('the body of an answer', () => {
  const sync = withAnswers({ status: 200, json: '$.errors[0]', as: 'rejected' })

  it('is looked at far beyond what is kept of it', async () => {
    const body = `{"pad":"${'ü'.repeat(100_000)}","errors":[1]}`
    const { attempt: made, sent } = await attempt({ body }, { sync })
    expect(sent.bodyLimitBytes).toBe(LOOKED_AT_BYTES)
    expect(made.outcome).toBe('rejected')
    const kept = made.responseBody ?? ''
    expect(body.startsWith(kept)).toBe(true)
    expect(Buffer.byteLength(kept)).toBeGreaterThan(RECORDED_BODY_BYTES - 4)
    expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(RECORDED_BODY_BYTES)
  })

  it('that is longer than what is looked at leaves the outcome unknown, and says why', async () => {
    const { attempt: made } = await attempt({ body: '{"errors":[', cut: true }, { sync })
    expect(made).toMatchObject({
      outcome: 'unknown',
      answered: true,
      error: expect.stringMatching(
        /^HTTP 200: no rule for answers can be tried: .* longer than the 1048576 bytes/,
      ),
    })
  })

  it('is read no further than it is kept where no rule looks into it', async () => {
    const { sent } = await attempt({}, { sync: withAnswers({ status: 404, as: 'missing' }) })
    expect(sent.bodyLimitBytes).toBe(RECORDED_BODY_BYTES + 3 * CUT_END_UNITS)
    expect((await attempt({ body: 'x', cut: true })).attempt.outcome).toBe('delivered')
  })
})

describe('the values to keep of an answer', () => {
  const trigger = (capture: object) => ({ method: 'POST', path: '/rows', capture })
  const sync = {
    triggers: { added: trigger({ id: '$.id' }), changed: 'added', removed: 'added' },
    errors: {
      answers: [
        { status: 201, body: 'oops', as: 'rejected' },
        { status: 409, as: 'delivered' },
      ],
    },
  }
  const captured = async (answer: Answered, of: Case = {}): Promise<string | null | undefined> =>
    (await attempt(answer, { sync, ...of })).attempt.rows[0]?.captured

  it('stand in the attempt of the row, for an added or a changed one', async () => {
    const { attempt: made } = await attempt({ status: 201, body: '{"id":9223372036854775807}' }, { sync })
    expect(made).toMatchObject({ outcome: 'delivered', error: null })
    expect(made.rows).toEqual([
      { seq: 0, outcome: 'delivered', error: null, captured: '{"id":9223372036854775807}' },
    ])
    expect(await captured({ body: '{"id":"x"}' }, { op: 'changed' })).toBe('{"id":"x"}')
    expect(await captured({ body: '{"id":"x"}' }, { op: 'removed' })).toBeUndefined()
  })

  it('are not taken from an answer that is no 2xx, that says no, or that is for several rows', async () => {
    expect(await captured({ status: 409, body: '{"id":1}' })).toBeUndefined()
    expect(await captured({ status: 500, body: '{"id":1}' })).toBeUndefined()
    expect(await captured({ status: 201, body: '{"id":1,"message":"oops"}' })).toBeUndefined()
    expect(await captured({ body: '{"id":1}' }, { rows: 2 })).toBeUndefined()
  })

  it('that are not there are reported, and the row is delivered all the same', async () => {
    const { attempt: made } = await attempt({ body: '{"ID":1}' }, { sync })
    expect(made).toMatchObject({
      outcome: 'delivered',
      error: 'delivered, but not captured: id ($.id: it finds nothing in the answer)',
      rows: [],
    })
    const changed = { sync, op: 'changed', before: '{"id":1}' } as const
    expect((await attempt({ status: 204 }, changed)).attempt).toMatchObject({ error: null, rows: [] })
  })

  it('are found in a body that is longer than what is kept of it', async () => {
    const body = `{"pad":"${'x'.repeat(RECORDED_BODY_BYTES)}","id":5}`
    const { sent, attempt: made } = await attempt({ body }, { sync })
    expect(sent.bodyLimitBytes).toBe(LOOKED_AT_BYTES)
    expect(made.rows[0]?.captured).toBe('{"id":5}')
    expect((await attempt({ body: '{"id":5', cut: true }, { sync })).attempt).toMatchObject({
      outcome: 'delivered',
      error: expect.stringContaining('longer than the 1048576 bytes'),
      rows: [],
    })
  })

  it('are never a secret, in whatever form', async () => {
    const secret = 'k"ey-1'
    for (const id of [
      secret,
      `x${secret}`,
      encodeURIComponent(secret),
      Buffer.from(secret).toString('base64'),
    ])
      expect(await captured({ body: JSON.stringify({ id }) }, { secret })).toBeUndefined()
    expect(await captured({ body: '{"id":"abc"}' }, { secret: 'abc' })).toBeUndefined()
    expect(await captured({ body: '{"id":"abcd"}' }, { secret: 'abc' })).toBe('{"id":"abcd"}')
  })
})

describe('the idempotency key', () => {
  const named = { 'Idempotency-KEY': 'mine' }

  it('is left to a user whose request has the header already, which an earlier version let through', async () => {
    const { sent, attempt: made } = await attempt({}, { rowHeaders: named })
    expect(sent.headers['idempotency-key']).toBe('mine')
    expect(made).toMatchObject({ idempotencyKey: null })
    expect(made.requestHeaders['idempotency-key']).toBe('mine')
  })

  it('is sent where nobody sets the header', async () => {
    const { sent, attempt: made } = await attempt({})
    expect(made.idempotencyKey).toMatch(/^[0-9a-f]{32}$/)
    expect(sent.headers['idempotency-key']).toBe(made.idempotencyKey)
  })
})

describe('a secret in the base URL', () => {
  it('is sent, shown nowhere, and may change while the request stays the same', async () => {
    const { sent, attempt: made } = await attempt({}, { hook: 'T0/B0/s3cret-1' })
    expect(sent.url).toMatch(/^http:\/\/api\/hooks\/T0\/B0\/s3cret-1\//)
    expect(made.url).toMatch(/^http:\/\/api\/hooks\/\*\*\*\//)
    expect(JSON.stringify(made)).not.toContain('s3cret')
    const { attempt: later } = await attempt({}, { hook: 'T0/B0/s3cret-2' })
    expect(later.requestHash).toBe(made.requestHash)
  })
})

describe('a request whose connection was never open in time', () => {
  it('waits as long at a successor, however long its attempt took', async () => {
    const durationMs = 10
    const late: SendResult = {
      kind: 'failed',
      reason: 'not-sent',
      late: true,
      error: 'late',
      startedAt: Date.now() - durationMs,
      durationMs,
    }
    const sent = await sendRequest(
      { request: sampleRequest(), requestOffset: 0, partition: 0, runId: 'run', history: WHOLE },
      {
        target: resolveTarget(sampleDefinition(), () => ''),
        sender: { send: () => Promise.resolve(late), [Symbol.asyncDispose]: () => Promise.resolve() },
        sendBeforeMs: 0,
        lateMs: 30_000,
        retries: { pauseMs: () => 20_000, splits: false },
        signal: never,
      },
    )
    if (sent.kind === 'late') throw new Error('it is tried on')
    expect(sent.attempt).toMatchObject({ outcome: 'unsent', durationMs: 30_010, final: false })
    const [part = WHOLE] = withAttempt(NO_HISTORY, sent.attempt).parts
    expect(leftOfWaitMs(part)).toBeGreaterThan(15_000)
  })
})
