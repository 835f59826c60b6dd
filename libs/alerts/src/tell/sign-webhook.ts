/** Signs webhooks after Standard Webhooks 1.0.0 (symmetric, `v1`). */
import { createHmac } from 'node:crypto'
import { SluiceError } from '@sluice/contracts/errors'

const PREFIX = 'whsec_'
/** The specification wants 24 to 64 bytes. Shorter ones can be guessed. */
const LEAST_BYTES = 24
const MOST_BYTES = 64

export interface SignedHeaders {
  readonly 'webhook-id': string
  readonly 'webhook-timestamp': string
  readonly 'webhook-signature': string
}

/** `at` is in ms since 1970. Throws `config` for a secret that is none; no message shows it. */
export function signWebhook(of: {
  readonly id: string
  readonly at: number
  readonly body: string
  readonly secret: string
}): SignedHeaders {
  const { id, at, body, secret } = of
  const seconds = String(Math.floor(at / 1_000))
  const signature = createHmac('sha256', keyOf(secret)).update(`${id}.${seconds}.${body}`).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': `v1,${signature}` }
}

function keyOf(secret: string): Buffer {
  const text = secret.trim().replace(/^whsec_/, '')
  const key = /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : Buffer.alloc(0)
  if (key.length >= LEAST_BYTES && key.length <= MOST_BYTES) return key
  throw new SluiceError(
    'config',
    `The secret of the webhook cannot sign: wanted \`${PREFIX}\` and ${LEAST_BYTES} to ${MOST_BYTES} bytes in Base64, as \`openssl rand -base64 32\` makes them.`,
  )
}
