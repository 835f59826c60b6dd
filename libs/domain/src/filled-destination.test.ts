import type { DestinationSpec } from '@sluice/contracts/resources'
import { isSluiceError } from '@sluice/contracts/errors'
import { expect, it } from 'vitest'
import { assertFilled } from './filled-destination.ts'

function thrownFor(
  fields: Partial<Pick<DestinationSpec, 'baseUrl' | 'auth' | 'headers' | 'query'>>,
  secrets: { [name: string]: string },
) {
  const spec: DestinationSpec = { kind: 'destination', name: 'crm', baseUrl: 'http://h', ...fields }
  try {
    assertFilled(spec, name => secrets[name] ?? '')
  } catch (error) {
    if (isSluiceError(error, 'config')) return error
    throw error
  }
  return null
}

it('a secret that fits where it stands is no fault', () => {
  const fields = {
    headers: { Authorization: 'Bearer ${secret:a}', Host: '${secret:h}:8080', X: '$${secret:no}' },
    query: { key: '${secret:q}' },
    baseUrl: 'http://h/hooks/${secret:p}',
  }
  expect(thrownFor(fields, { a: 'tök\ten=', h: 'api.test', q: '– ü', p: 'T0/B0/x%20' })).toBeNull()
})

it.each([
  ['Authorization', 'Bearer ${secret:token}', { token: 's3cret\nX-Evil: 1' }, 'a line break'],
  ['Authorization', 'Bearer ${secret:token}', { token: 's3cret\u0000' }, 'a control character'],
  ['Authorization', 'Bearer ${secret:token}', { token: 's3cret–' }, 'characters beyond Latin-1'],
  ['Host', '${secret:token}', { token: 's3cret host' }, 'what is no host'],
])(
  'names header and secret where %s: %j cannot be sent, and never the value',
  (header, text, secrets, why) => {
    const error = thrownFor({ headers: { [header]: text } }, secrets)
    expect(error?.details).toEqual([
      {
        field: `headers.${header}`,
        message: `the header \`${header}\` cannot be sent: with the secret \`token\` filled in it has ${why}`,
      },
    ])
    expect(error?.message).toContain('Destination `crm`')
    expect(JSON.stringify([error?.message, error?.details])).not.toContain('s3cret')
  },
)

it('tells query parameters, and all that is wrong at once', () => {
  const fields = { headers: { A: '${secret:a}${secret:b}' }, query: { k: '${secret:a}' } }
  expect(thrownFor(fields, { a: 'x\ny', b: 'z' })?.details.map(({ message }) => message)).toEqual([
    'the header `A` cannot be sent: with the secrets `a`, `b` filled in it has a line break',
    'the query parameter `k` cannot be sent: with the secret `a` filled in it has a line break',
  ])
})

it('refuses a user name with a colon, which would be cut there', () => {
  const auth = { basic: { username: '${secret:site}', password: '' } }
  expect(thrownFor({ auth }, { site: 's3cret' })).toBeNull()
  expect(thrownFor({ auth }, { site: 's3cret:a' })?.details).toEqual([
    {
      field: 'auth.basic.username',
      message: 'the user name cannot be sent: with the secret `site` filled in it has a colon, which ends it',
    },
  ])
})

it.each(['a b', 'a?b', 'a#b', 'a%b', '../a', 'ü', 'a\n'])('refuses %j in the path of a base URL', value => {
  const error = thrownFor({ baseUrl: 'http://h/hooks/${secret:hook}' }, { hook: `s3cret/${value}` })
  expect(error?.details).toEqual([
    {
      field: 'baseUrl',
      message:
        'the path of `baseUrl` cannot be sent: with the secret `hook` filled in it has what no path of a URL can carry',
    },
  ])
  expect(JSON.stringify([error?.message, error?.details])).not.toContain('s3cret')
})
