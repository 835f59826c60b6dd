import { expect, it } from 'vitest'
import { NO_SMTP, smtpParts, smtpUrl } from './smtp-url.ts'

it('takes the URL of a mail server apart, and makes it again, also while it is being typed', () => {
  const whole = { host: 'mail.example.com', port: '465', isTls: true, user: 'a@b', secret: 'smtp-password' }
  for (const parts of [
    whole,
    { ...whole, isTls: false, port: '' },
    { ...whole, user: '', secret: '' },
    { ...whole, host: '' },
    { ...NO_SMTP, isTls: false },
    NO_SMTP,
  ])
    expect(smtpParts(smtpUrl(parts))).toEqual(parts)
  expect(smtpUrl(whole)).toBe('smtps://a%40b:${secret:smtp-password}@mail.example.com:465')
})

it('leaves a URL alone whose password is no secret', () => {
  expect(smtpParts('smtps://user:password@mail.example.com')).toBeNull()
})
