import { expect, it } from 'vitest'
import { distributedSettings } from './distributed-settings.ts'

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
