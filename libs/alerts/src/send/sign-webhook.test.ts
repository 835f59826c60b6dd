import { expect, it } from 'vitest'
import { signWebhook } from './send-notice.ts'

/** The reference vector of Standard Webhooks. */
const VECTOR = {
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  at: 1_614_265_330_000,
  body: '{"test": 2432232314}',
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
}

it('signs as Standard Webhooks has it, with or without the prefix of the secret', () => {
  const signed = {
    'webhook-id': VECTOR.id,
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  }
  expect(signWebhook(VECTOR)).toEqual(signed)
  expect(signWebhook({ ...VECTOR, secret: VECTOR.secret.slice(6) })).toEqual(signed)
})

it('signs id, time and body: another one of them gives another signature', () => {
  const signatures = [VECTOR, { ...VECTOR, id: 'msg_x' }, { ...VECTOR, at: 0 }, { ...VECTOR, body: '{}' }]
  expect(new Set(signatures.map(of => signWebhook(of)['webhook-signature'])).size).toBe(4)
})

it.each(['', 'whsec_', 'whsec_c2hvcnQ=', 'a sentence with spaces in it, long enough', 'x'.repeat(200)])(
  'refuses %j as a secret, and does not show it',
  secret => {
    const sign = (): unknown => signWebhook({ ...VECTOR, secret })
    expect(sign).toThrow(/openssl rand -base64 32/)
    if (secret.length > 6) expect(sign).not.toThrow(new RegExp(secret))
  },
)
