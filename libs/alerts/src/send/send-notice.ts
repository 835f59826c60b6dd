/** Sends a notice to the target of its alert, once. */
import { createHmac } from 'node:crypto'
import type { AlertNotice } from '@sluice/contracts/specs/alert-views'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { AlertSpec } from '@sluice/contracts/resources'
import { fillSecrets, type SecretFor, type SecretUse } from '@sluice/contracts/secret-references'
import { smtpAddress, type AlertTarget } from '@sluice/contracts/specs/alert-specs'
import { isLoopback, withoutBrackets } from '@sluice/contracts/specs/http-texts'
import type { HttpSender } from '@sluice/http-sender/port'
import { redactText } from '@sluice/secrets/redact'
import { htmlText, plainText, slackText, subjectOf } from '../notice/notice-texts.ts'
import type { MailSender } from '../port.ts'

const PREFIX = 'whsec_'
/** The specification wants 24 to 64 bytes, since shorter secrets can be guessed. */
const LEAST_BYTES = 24
const MAX_BYTES = 64

interface SignedHeaders {
  readonly 'webhook-id': string
  readonly 'webhook-timestamp': string
  readonly 'webhook-signature': string
}

/**
 * Signs a webhook according to Standard Webhooks 1.0.0 (symmetric, `v1`). `at` is in ms since 1970. Throws
 * `config` if the secret does not have the right form. The error does not show the secret.
 */
export function signWebhook({
  id,
  at,
  body,
  secret,
}: {
  readonly id: string
  readonly at: number
  readonly body: string
  readonly secret: string
}): SignedHeaders {
  const seconds = String(Math.floor(at / 1_000))
  const signature = createHmac('sha256', keyOf(secret)).update(`${id}.${seconds}.${body}`).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': `v1,${signature}` }
}

function keyOf(secret: string): Buffer {
  const text = secret.trim().replace(/^whsec_/, '')
  const key = /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : Buffer.alloc(0)
  if (key.length >= LEAST_BYTES && key.length <= MAX_BYTES) return key
  throw new SluiceError(
    'config',
    `The secret of the webhook cannot sign: wanted \`${PREFIX}\` and ${LEAST_BYTES} to ${MAX_BYTES} bytes in Base64, as \`openssl rand -base64 32\` makes them.`,
  )
}

/** Standard Webhooks advises 15 to 30 seconds. */
const TIMEOUT_MS = 20_000
const MAX_CHARACTERS = 300
const USER_AGENT = 'sluice'

export interface SendNoticeDeps {
  readonly sender: HttpSender
  readonly mailer: MailSender
  readonly secretFor: SecretFor
  /** True if an alert without a setting may send to addresses that are not public. */
  readonly allowPrivateNetwork: boolean
  /** True if no alert may send to such addresses, whatever its own setting. */
  readonly neverPrivate?: boolean
  /** Ms since 1970. */
  readonly now: () => number
}

/**
 * Resolves with null once the target has accepted the notice, and otherwise with the reason. The reason shows
 * no secret. Rejects only when aborted, with the signal's reason.
 */
export async function sendNotice(
  { to, allowPrivateNetwork }: Pick<AlertSpec, 'to' | 'allowPrivateNetwork'>,
  notice: AlertNotice,
  deps: SendNoticeDeps,
  { signal }: { readonly signal: AbortSignal },
): Promise<string | null> {
  const used: string[] = []
  const secretFor: SecretFor = (name, use) => {
    const value = deps.secretFor(name, use)
    used.push(value, encodeURIComponent(value))
    return value
  }
  const network = deps.neverPrivate !== true && (allowPrivateNetwork ?? deps.allowPrivateNetwork)
  try {
    const why = await sentTo(to, notice, { ...deps, secretFor, allowPrivateNetwork: network }, signal)
    return why === null ? null : redactText(why.text, used, why).trim().slice(0, MAX_CHARACTERS)
  } catch (error) {
    signal.throwIfAborted()
    // The secret is missing, or may not go to that host.
    if (isSluiceError(error, 'config')) return redactText(error.message, used)
    throw error
  }
}

/** The reason why a target did not accept a notice. `cut` is true if the text is incomplete. */
interface Refusal {
  readonly text: string
  readonly cut: boolean
}

async function sentTo(
  to: AlertTarget,
  notice: AlertNotice,
  deps: SendNoticeDeps,
  signal: AbortSignal,
): Promise<Refusal | null> {
  if ('email' in to) {
    const why = await mailed(to.email, notice, deps, signal)
    return why === null ? null : { text: why, cut: false }
  }
  if ('slack' in to) {
    const use = useOf(to.slack.url)
    const url = fillSecrets(to.slack.url, name => deps.secretFor(name, use))
    return await posted({ url, body: slackText(notice), headers: {} }, deps, signal)
  }
  const use = useOf(to.webhook.url)
  const fill = (text: string): string => fillSecrets(text, name => deps.secretFor(name, use))
  const body = JSON.stringify({ type: `alert.${notice.state}`, timestamp: notice.at, data: notice })
  const signed = { id: notice.id, at: deps.now(), body, secret: fill(to.webhook.secret) }
  return await posted({ url: fill(to.webhook.url), body, headers: { ...signWebhook(signed) } }, deps, signal)
}

interface Post {
  readonly url: string
  readonly body: string
  readonly headers: { readonly [name: string]: string }
}

async function posted(
  { url, body, headers }: Post,
  { sender, allowPrivateNetwork }: SendNoticeDeps,
  signal: AbortSignal,
): Promise<Refusal | null> {
  const result = await sender.send({
    ...{ method: 'POST', url, timeoutMs: TIMEOUT_MS, signal },
    headers: { ...headers, 'content-type': 'application/json; charset=utf-8', 'user-agent': USER_AGENT },
    body: new TextEncoder().encode(body),
    connection: { allowPrivateNetwork },
  })
  if (result.kind === 'failed') return { text: result.error, cut: false }
  if (result.status >= 200 && result.status < 300) return null
  return { text: `HTTP ${result.status}: ${result.body.trimStart()}`, cut: result.cut === true }
}

async function mailed(
  { smtp, from, to }: Extract<AlertTarget, { email: unknown }>['email'],
  notice: AlertNotice,
  { mailer, secretFor, allowPrivateNetwork }: SendNoticeDeps,
  signal: AbortSignal,
): Promise<string | null> {
  const address = smtpAddress(smtp)
  if (address === null) throw new SluiceError('config', 'The mail server of the alert is no URL of SMTP.')
  const { host, port, secure, user, password } = address
  // A password is sent only over TLS with a verified certificate, or to this machine.
  const requireTls = !secure && password !== null && !isLoopback(host)
  const use: SecretUse = { as: 'alert', host: withoutBrackets(host), port, tls: secure || requireTls }
  const fill = (text: string): string => fillSecrets(text, name => secretFor(name, use))
  const login = user === null ? null : { user: fill(user), password: fill(password ?? '') }
  return await mailer.send(
    {
      server: { host, port, secure, requireTls, login, allowPrivateNetwork },
      ...{ from, to: [to].flat(), id: notice.id },
      ...{ subject: subjectOf(notice), text: plainText(notice), html: htmlText(notice) },
    },
    { signal },
  )
}

const PORTS: { readonly [protocol: string]: number } = { 'http:': 80, 'https:': 443 }

/** Returns the server that a URL names. The host in the URL has no secret in it. */
function useOf(text: string): SecretUse {
  const url = URL.parse(fillSecrets(text, () => 'secret'))
  if (url === null) throw new SluiceError('config', 'The URL of the alert is not valid.')
  const port = url.port === '' ? (PORTS[url.protocol] ?? 0) : Number(url.port)
  return { as: 'alert', host: withoutBrackets(url.hostname), port, tls: url.protocol === 'https:' }
}
