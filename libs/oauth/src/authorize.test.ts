/** Others act at the address to which a browser comes back, and with the URL of a login. */
import { expect, it } from 'vitest'
import { authorize } from './authorize.ts'

const redirectUri = 'http://127.0.0.1:4000/callback'
const begin = (authorizationParams: { readonly [name: string]: string } = {}) =>
  authorize(
    {
      grant: 'authorization-code',
      clientId: 'c',
      tokenUrl: 'https://login.example.com/token',
      authorizationUrl: 'https://login.example.com/authorize?state=1',
      authorizationParams,
    },
    { redirectUri, fill: text => text },
  )

it('only the state of this login ends it, and only with a code', async () => {
  const { url, grantOf } = await begin()
  const state = new URL(url).searchParams.get('state') ?? ''
  const end = (query: string): unknown => grantOf(new URL(`${redirectUri}?${query}`))
  for (const query of [
    ...['code=evil', 'code=evil&state=', `code=evil&state=${state}x`, `code=evil&state=x&state=${state}`],
    ...[`state=${state}`, `code=&state=${state}`, 'error=access_denied'],
    ...[`error=access_denied&state=${state}`, `code=evil&error=x&state=${state}`],
  ])
    expect(() => end(query), query).toThrow('That is not the end of this login')
  expect(end(`code=good&state=${state}`)).toMatchObject({ kind: 'code', code: 'good', redirectUri })
})

it('no parameter of a destination takes the state or the proof of the code away', async () => {
  const { url } = await begin({ state: 'known', code_challenge: 'known', code_challenge_method: 'plain' })
  const { searchParams } = new URL(url)
  expect(searchParams.getAll('state')).toEqual([expect.stringMatching(/^[\w-]{43}$/)])
  expect(searchParams.getAll('code_challenge')).toEqual([expect.stringMatching(/^[\w-]{43}$/)])
  expect(searchParams.getAll('code_challenge_method')).toEqual(['S256'])
})
