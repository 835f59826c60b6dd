import { createHmac } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AlertNotice } from '@sluice/contracts/specs/alert-views'
import { SluiceError } from '@sluice/contracts/errors'
import { alert as alertSchema, type AlertSpec } from '@sluice/contracts/resources'
import type { SecretFor, SecretUse } from '@sluice/contracts/secret-references'
import { createUndiciSender } from '@sluice/http-sender/adapters/undici'
import type { HttpSender } from '@sluice/http-sender/port'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import type { Mail } from '../port.ts'
import { sendNotice, type SendNoticeDeps } from './send-notice.ts'

const KEY = Buffer.alloc(32, 7).toString('base64')
const SECRETS: { readonly [name: string]: string } = {
  hook: `whsec_${KEY}`,
  path: 'T00/B00/very-secret',
  smtp: 'p4ss:w@rd',
}
const { signal } = new AbortController()

const NOTICE: AlertNotice = {
  ...{ id: 'msg_1', alert: 'team', sync: 'customers', condition: 'rows-failed', state: 'firing' },
  ...{ at: '2026-11-26T19:00:00.000Z', since: '2026-11-26T19:00:00.000Z' },
  title: 'customers: rows did not arrive',
  text: '4 of 9 rows did not arrive: 44 %.',
  todo: '`sluice failed customers` lists the rows.',
  run: {
    ...{ id: 'RUN1', status: 'warning', startedAt: null, endedAt: null },
    ...{ detected: 9, delivered: 5, notDelivered: 4, rowsInvalid: 0 },
  },
  errors: [{ message: 'HTTP 422: <b>no</b> & *never*', rows: 4, key: '7\r\nBcc: x' }],
  link: 'https://console.example.com/runs/RUN1',
}

let api: ScriptedApi
let sender: HttpSender
let uses: SecretUse[]
let mails: Mail[]
beforeEach(async () => {
  api = await startScriptedApi()
  sender = createUndiciSender()
  uses = []
  mails = []
})
afterEach(async () => {
  await sender[Symbol.asyncDispose]()
  await api[Symbol.asyncDispose]()
})

const secretFor: SecretFor = (name, use) => {
  uses.push(use)
  const value = SECRETS[name]
  if (value === undefined) throw new SluiceError('config', `The secret \`${name}\` is not set.`)
  return value
}

function alertTo(to: unknown, more: object = {}): AlertSpec {
  return alertSchema.parse({ kind: 'alert', name: 'team', syncs: 'all', when: ['held'], to, ...more })
}

async function tell(
  to: unknown,
  deps: Partial<SendNoticeDeps> = {},
  more: object = {},
): Promise<string | null> {
  const mailer = { send: (mail: Mail) => Promise.resolve(void mails.push(mail)).then(() => null) }
  const all = { sender, mailer, secretFor, allowPrivateNetwork: true, now: () => 1_700_000_000_000, ...deps }
  return await sendNotice(alertTo(to, more), NOTICE, all, { signal })
}

describe('a webhook', () => {
  const webhook = (path = '/hooks/${secret:path}?a=b') => ({
    webhook: { url: `${api.url}${path}`, secret: '${secret:hook}' },
  })
  it('gets the notice, signed, under the id of the notice', async () => {
    expect(await tell(webhook())).toBeNull()
    const [request] = api.requests
    expect(request).toMatchObject({ method: 'POST', url: '/hooks/T00/B00/very-secret?a=b' })
    const { body = '', headers = {} } = request ?? {}
    expect(JSON.parse(body)).toEqual({ type: 'alert.firing', timestamp: NOTICE.at, data: NOTICE })
    const signed = createHmac('sha256', Buffer.from(KEY, 'base64')).update(`msg_1.1700000000.${body}`)
    expect(headers).toMatchObject({
      'webhook-id': 'msg_1',
      'webhook-timestamp': '1700000000',
      'webhook-signature': `v1,${signed.digest('base64')}`,
      'content-type': 'application/json; charset=utf-8',
    })
  })

  it('that does not take it is told with its answer, and without the secrets in it', async () => {
    api.on({}, { status: 500, body: `no: very-secret T00/B00/very-secret whsec_${KEY}` })
    expect(await tell(webhook())).toBe('HTTP 500: no: very-secret *** ***')
  })

  it('is not followed elsewhere', async () => {
    api.on({}, { status: 302, headers: { location: '/other' } })
    expect(await tell(webhook())).toBe('HTTP 302: {}')
    expect(api.requests).toHaveLength(1)
  })

  it('in a private network is refused where that is not permitted, unless the alert permits it', async () => {
    const distributed = { allowPrivateNetwork: false }
    expect(await tell(webhook(), distributed)).toMatch(/127\.0\.0\.1 is not a public address/)
    expect(api.requests).toHaveLength(0)
    expect(await tell(webhook(), distributed, { allowPrivateNetwork: true })).toBeNull()
    const never = { allowPrivateNetwork: true, neverPrivate: true }
    expect(await tell(webhook(), never, { allowPrivateNetwork: true })).toMatch(/is not a public address/)
    expect(api.requests).toHaveLength(1)
  })

  it('gets its secrets for its own host, and says so if one is missing', async () => {
    await tell(webhook())
    expect(uses[0]).toEqual({ as: 'alert', host: '127.0.0.1', port: api.port, tls: false })
    expect(await tell(webhook('/${secret:gone}'))).toBe('The secret `gone` is not set.')
  })

  it('that does not answer is given up when the caller aborts', async () => {
    api.on({}, { fault: 'hang' })
    const giving = new AbortController()
    const sending = sendNotice(
      alertTo(webhook()),
      NOTICE,
      {
        sender,
        mailer: { send: () => Promise.resolve(null) },
        secretFor,
        allowPrivateNetwork: true,
        now: Date.now,
      },
      { signal: giving.signal },
    )
    giving.abort(new Error('the process ends'))
    await expect(sending).rejects.toThrow('the process ends')
  })
})

it('Slack gets the notice as text, in which no row can write links', async () => {
  expect(await tell({ slack: { url: `${api.url}/services/\${secret:path}` } })).toBeNull()
  const { text }: { readonly text: string } = JSON.parse(api.requests[0]?.body ?? '')
  expect(text).toContain(':red_circle: *customers: rows did not arrive*')
  expect(text).toContain('• 4 rows (such as key 7 Bcc: x): HTTP 422: &lt;b&gt;no&lt;/b&gt; &amp; *never*')
  expect(text).toContain('Run RUN1: warning, 9 changes, 5 delivered, 4 not delivered.')
  expect(text).toContain('What to do: `sluice failed customers` lists the rows.')
  expect(text).toContain('<https://console.example.com/runs/RUN1|Open>')
})

describe('e-mail', () => {
  it('has a text and a page, in which no row can write HTML', async () => {
    const email = {
      smtp: 'smtps://me:${secret:smtp}@mail.example.com',
      from: 'a@example.com',
      to: 'b@example.com',
    }
    expect(await tell({ email })).toBeNull()
    expect(mails[0]).toMatchObject({
      server: {
        ...{
          host: 'mail.example.com',
          port: 465,
          secure: true,
          requireTls: false,
          allowPrivateNetwork: true,
        },
        login: { user: 'me', password: 'p4ss:w@rd' },
      },
      to: ['b@example.com'],
      subject: '[alert] customers: rows did not arrive',
      id: 'msg_1',
    })
    expect(mails[0]?.text).toContain('  - 4 rows (such as key 7 Bcc: x): HTTP 422: <b>no</b> & *never*\n')
    expect(mails[0]?.html).toContain(
      '<li>4 rows (such as key 7 Bcc: x): HTTP 422: &lt;b&gt;no&lt;/b&gt; &amp; *never*</li>',
    )
    expect(uses).toEqual([{ as: 'alert', host: 'mail.example.com', port: 465, tls: true }])
  })

  it('with a password goes over TLS, unless the server is on this machine', async () => {
    const to = (host: string) => ({
      email: { smtp: `smtp://me:\${secret:smtp}@${host}`, from: 'a@example.com', to: ['b@example.com'] },
    })
    await tell(to('mail.example.com'))
    await tell(to('127.0.0.1:2525'))
    expect(mails.map(({ server }) => [server.port, server.requireTls])).toEqual([
      [587, true],
      [2525, false],
    ])
  })
})
