import { destination } from '@sluice/contracts/resources'
import { expect, it } from 'vitest'
import { credentialsOf } from './refused-credentials.ts'

const fixOf = (fields: object) =>
  credentialsOf(
    destination.parse({ kind: 'destination', name: 'crm', baseUrl: 'https://crm.example', ...fields }),
  )?.fix ?? null
const oauth = (fields: object) => ({
  auth: { oauth2: { tokenUrl: 'https://id.example/token', clientId: 'sluice', ...fields } },
})
const secret = (name: string) => ({ act: 'set-secret', name })

it('the credentials of a destination are its secret, or its login', () => {
  expect(fixOf({ auth: { bearer: '${secret:token}' } })).toEqual(secret('token'))
  expect(fixOf({ auth: { basic: { username: '${secret:user}', password: '${secret:pass}' } } })).toEqual(
    secret('pass'),
  )
  expect(fixOf(oauth({ grant: 'client-credentials', clientSecret: '${secret:client}' }))).toEqual(
    secret('client'),
  )
  const person = { grant: 'authorization-code', authorizationUrl: 'https://id.example/login' }
  expect(fixOf(oauth({ ...person, clientSecret: '${secret:client}' }))).toEqual({
    act: 'log-in',
    name: 'crm',
  })
  expect(fixOf({ query: { key: '${secret:query-key}' } })).toEqual(secret('query-key'))
})

it('a header that is named for credentials comes first', () => {
  const headers = { 'X-Account': '${secret:account}', 'X-API-Key': '${secret:api-key}' }
  expect(fixOf({ headers })).toEqual(secret('api-key'))
  expect(fixOf({ headers: { 'X-Account': headers['X-Account'] } })).toEqual(secret('account'))
  expect(fixOf({ headers: { 'X-Account': 'acme' } })).toBeNull()
})
