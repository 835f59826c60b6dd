import { expect, it } from 'vitest'
import { z } from 'zod'
import { parseEnvironment } from '../environment.ts'
import { redisSettings, serviceVariables } from '../service-config.ts'
import { distributedSettings, hasOtherAuthors } from './distributed.ts'
import { destinationPrivateNetworks, sourcePrivateNetworks } from './reach.ts'

const env = { SLUICE_KAFKA_BROKERS: 'kafka:9092', SLUICE_SCHEMA_REGISTRY_URL: 'http://registry:8081' }

it('a login of Kafka without its mechanism is an error, since no login would happen', () => {
  expect(distributedSettings(env)).toBeDefined()
  for (const login of [{ SLUICE_KAFKA_SASL_USERNAME: 'joe' }, { SLUICE_KAFKA_SASL_PASSWORD: 'hush' }])
    expect(() => distributedSettings({ ...env, ...login })).toThrow(
      expect.objectContaining({
        code: 'config',
        message: expect.stringMatching(/^SLUICE_KAFKA_SASL_MECHANISM is not set, .*scram-sha-512/),
      }),
    )
})

it('a service without any variable says of each that is missing what it is for', () => {
  expect(() => parseEnvironment(z.object(serviceVariables({ port: 0 })), {})).toThrow(
    [
      'SLUICE_KAFKA_BROKERS is not set: expected host:port of some brokers, between commas, such as kafka:9092',
      'SLUICE_SCHEMA_REGISTRY_URL is not set: expected a URL such as http://registry:8081',
      'SLUICE_REDIS_URL is not set: expected a URL such as redis://redis:6379',
    ].join('\n'),
  )
})

it('an environment has a prefix of its own, for topics and for what lies in Redis', () => {
  expect(distributedSettings(env).prefix).toBe('sluice')
  expect(distributedSettings({ ...env, SLUICE_ENV: 'prod' }).prefix).toBe('sluice-prod')
  const named = { ...env, SLUICE_PREFIX: 'crm', SLUICE_ENV: 'eu-prod', SLUICE_REDIS_URL: 'redis://redis' }
  expect(distributedSettings(named).prefix).toBe('crm-eu-prod')
  expect(redisSettings(named)?.prefix).toBe('crm-eu-prod')
  expect(() => distributedSettings({ ...env, SLUICE_ENV: 'Prod' })).toThrow(
    expect.objectContaining({ code: 'config', message: expect.stringContaining('SLUICE_ENV') }),
  )
})

const ED = 'a-token-of-eds-own'

it.each([
  ['nobody has a token', {}, false],
  ['only the operator has one', { SLUICE_TOKEN: ED, SLUICE_READ_TOKEN: `${ED}x` }, false],
  [
    'the tokens of others are for other roles',
    { SLUICE_TOKENS: `ed view,run ${ED};edit read ${ED}x` },
    false,
  ],
  ['the token of an author is a comment', { SLUICE_TOKENS: `# ed edit ${ED}` }, false],
  ['somebody has a token to edit', { SLUICE_TOKENS: `bob view ${ED};\n  ed  view,edit  ${ED}x` }, true],
  ['somebody has a token for all', { SLUICE_TOKENS: `ed all ${ED}` }, true],
  ['people of a provider look', { SLUICE_OIDC_ROLES: 'edit view; # all\nthe all view,read' }, false],
  ['people of a provider write', { SLUICE_OIDC_ROLES: 'others view; data team view,edit' }, true],
  ['topics are shared', { SLUICE_KAFKA_BROKERS: 'kafka:9092' }, true],
])('others may write resources or not, where %s', (_, env, expected) => {
  expect(hasOtherAuthors(env)).toBe(expected)
})

it.each([
  ['one operator', {}, 'allowed'],
  ['one operator on Kafka', { SLUICE_KAFKA_BROKERS: 'kafka:9092', SLUICE_TOKEN: 'x' }, 'allowed'],
  ['others who look', { SLUICE_TOKENS: 'bob view a-token-of-bobs-own' }, 'allowed'],
  ['others who write', { SLUICE_TOKENS: 'bob edit a-token-of-bobs-own' }, 'refused'],
])('private networks that no resource asks for, with %s, are %s', (_who, env, expected) => {
  expect([sourcePrivateNetworks(env), destinationPrivateNetworks(env)]).toEqual([expected, expected])
  for (const said of ['allowed', 'refused', 'never']) {
    expect(sourcePrivateNetworks({ ...env, SLUICE_SOURCE_PRIVATE_NETWORKS: said })).toBe(said)
    expect(destinationPrivateNetworks({ ...env, SLUICE_DESTINATION_PRIVATE_NETWORKS: said })).toBe(said)
  }
  expect(() => destinationPrivateNetworks({ SLUICE_DESTINATION_PRIVATE_NETWORKS: 'no' })).toThrow(
    /allowed, refused or never/,
  )
})
