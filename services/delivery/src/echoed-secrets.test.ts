/** An API that gives a secret back, in whatever spelling and wherever the answer is cut (R20). */
import { describe, expect, it, vi } from 'vitest'
import type { SendResult } from '@sluice/http-sender/port'
import { sampleDefinition, sampleRequest, sampleRow } from '@sluice/testkit/sample-records'
import { RECORDED_BODY_BYTES } from '@sluice/domain/bounded-text'
import { effectsOf } from './outcome/effects.ts'
import { WHOLE } from './ledger/request-history.ts'
import { sendRequest } from './send/send-request.ts'
import { resolveTarget } from './destination/target.ts'

vi.setConfig({ testTimeout: 30_000 })

const SECRET = `sk_live_${Array.from({ length: 40 }, (_, at) => `${at}Zq/+"`).join('')}`

const ENCODINGS: { readonly [name: string]: (text: string) => string } = {
  plain: text => text,
  percent: encodeURIComponent,
  form: text => new URLSearchParams({ p: text }).toString().slice(2),
  json: text => JSON.stringify(text).slice(1, -1),
  php: text => JSON.stringify(text).slice(1, -1).replaceAll('/', '\\/'),
  nested: text => JSON.stringify(JSON.stringify(text)).slice(3, -3),
  unicode: text =>
    Array.from(text, each => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`).join(''),
  html: text => text.replaceAll('"', '&quot;').replaceAll('/', '&#x2F;'),
  base64: text => Buffer.from(text).toString('base64'),
  basic: text => Buffer.from(`user:${text}`).toString('base64'),
  base64url: text => Buffer.from(text).toString('base64url'),
  hex: text => Buffer.from(text).toString('hex'),
}

/**
 * Stretches of twelve characters of the secret in that encoding, none of which may be seen: every fifth, one
 * of which is in whatever has sixteen characters of it.
 */
function stretchesOf(encoded: string): readonly string[] {
  const starts = Array.from({ length: Math.floor((encoded.length - 12) / 5) }, (_, at) => at * 5)
  return starts.map(start => encoded.slice(start, start + 12))
}

/** All that is written of a request that is answered so. */
async function written(result: SendResult, rule: object): Promise<string> {
  const row = sampleRow({ op: 'added' })
  const request = sampleRequest({ trigger: 'added', rows: [row] })
  const trigger = { method: 'POST', path: '/rows', capture: { id: '$.said', list: '$.list[*]' } }
  const definition = sampleDefinition({
    destination: { headers: { 'X-App': 'a ${secret:key}' }, query: { q: '${secret:key}' } },
    sync: { triggers: { added: trigger, changed: 'added', removed: 'added' }, errors: { answers: [rule] } },
  })
  const sent = await sendRequest(
    { request, requestOffset: 0, partition: 0, runId: 'run', history: WHOLE },
    {
      target: resolveTarget(definition, () => SECRET),
      sender: { send: () => Promise.resolve(result), [Symbol.asyncDispose]: () => Promise.resolve() },
      sendBeforeMs: Infinity,
      lateMs: 0,
      retries: { pauseMs: () => null, splits: false },
      signal: new AbortController().signal,
    },
  )
  if (sent.kind === 'late') throw new Error('nothing was sent')
  return JSON.stringify([
    sent.attempt,
    effectsOf({
      ...request,
      attempts: 1,
      requests: 1,
      ended: [{ positions: null, attempt: sent.attempt, attempts: 1 }],
    }),
    // JSON escapes would hide these texts.
    sent.attempt.error,
    sent.attempt.responseBody,
  ]).concat(sent.attempt.error ?? '', sent.attempt.responseBody ?? '')
}

type Answered = Extract<SendResult, { kind: 'answered' }>

const answered = (body: string, more: Partial<Answered> = {}): SendResult => ({
  kind: 'answered',
  status: 400,
  headers: {},
  body,
  cut: false,
  startedAt: 1,
  durationMs: 1,
  ...more,
})

describe.each(Object.entries(ENCODINGS))('a secret that comes back in %s', (_name, encode) => {
  const encoded = encode(SECRET)
  const stretches = stretchesOf(encoded)
  const leaked = (text: string): string | undefined => stretches.find(stretch => text.includes(stretch))

  it('is in nothing that is written, wherever the error or the recorded body is cut', async () => {
    const found: string[] = []
    for (const limit of [200, RECORDED_BODY_BYTES]) {
      const step = Math.ceil(encoded.length / 40)
      for (let inside = 0; inside <= encoded.length + 20; inside += step) {
        const body = `${'-'.repeat(Math.max(0, limit - inside))} ${encoded}, "and more": ${'x'.repeat(500)}`
        const stretch = leaked(await written(answered(body), { status: 409, as: 'exists' }))
        if (stretch !== undefined) found.push(`${limit}, ${inside}: ${stretch}`)
      }
    }
    expect(found).toEqual([])
  })

  it('is in nothing that is written of a body that was not read to its end', async () => {
    const found: string[] = []
    const step = Math.ceil(encoded.length / 100)
    for (let length = 20; length < encoded.length; length += step) {
      const result = answered(`{"said": "${encoded.slice(0, length)}`, { cut: true })
      const stretch = leaked(await written(result, { status: 200, as: 'rejected' }))
      if (stretch !== undefined) found.push(`${length}: ${stretch}`)
    }
    expect(found).toEqual([])
  })

  it('is not captured, and in no header of an answer', async () => {
    const body = JSON.stringify({ said: encoded, list: ['a', encoded] })
    const url = `https://api.test/next?of=${encoded}&token=abcdefgh1234#${encoded}`
    const headers = {
      'x-said': encoded,
      location: url,
      'set-cookie': `a=${encoded}`,
      link: `<${url}>; rel="next"`,
    }
    const text = await written(answered(body, { status: 200, headers }), { status: 409, as: 'exists' })
    expect(leaked(text)).toBeUndefined()
    expect(text).not.toContain('abcdefgh1234')
  })
})

it('a network error that holds a secret is written without it', async () => {
  const failed = { kind: 'failed', reason: 'broken', startedAt: 1, durationMs: 1 } as const
  const text = await written(
    { ...failed, error: `GET /?q=${encodeURIComponent(SECRET)} broke` },
    { status: 409, as: 'exists' },
  )
  expect(text).toContain('GET /?q=*** broke')
})

it('the password in a secret for Basic authentication is not shown either', () => {
  const basic = Buffer.from('ada:correct horse').toString('base64')
  const definition = sampleDefinition({
    destination: { headers: { Authorization: 'Basic ${secret:basic}' } },
  })
  expect(resolveTarget(definition, () => basic).secrets).toContain('correct horse')
})
