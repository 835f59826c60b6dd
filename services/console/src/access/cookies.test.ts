import { expect, it } from 'vitest'
import { cookieName, sentCookies, setCookie } from './cookies.ts'

it('a cookie is for the server alone, for requests of this site, and over TLS for TLS alone', () => {
  expect(setCookie({ name: cookieName('localhost:4747', false), value: 'x' }, 60_500)).toBe(
    'sluice-session-4747=x; Path=/; Max-Age=60; HttpOnly; SameSite=Strict',
  )
  expect(setCookie({ name: cookieName('sluice.example.com', true), value: 'x' }, 60_000)).toBe(
    '__Host-sluice-session=x; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure',
  )
})

it('the cookies of two servers on one machine have two names', () => {
  expect(cookieName('127.0.0.1:4747', false)).not.toBe(cookieName('127.0.0.1:4748', false))
})

it("only a few cookies of each of this server's names are read, those over TLS first", () => {
  const header = `a=1; sluice-session-80=p;__Host-sluice-session=s; sluice-session-4747=o; ${'sluice-session-80=t; '.repeat(9)}`
  expect(sentCookies(header, 'example.com', false).map(({ value }) => value)).toEqual([
    's',
    'p',
    't',
    't',
    't',
  ])
  expect(sentCookies(header, 'example.com', true).map(({ value }) => value)).toEqual(['s'])
  expect(sentCookies(undefined, undefined, false)).toEqual([])
})
