import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SluiceError } from '@sluice/contracts/errors'
import { createSqliteLog } from '@sluice/message-log/adapters/sqlite'
import { createLogger } from '@sluice/runtime/logger'
import { distributedSettings } from '@sluice/runtime/settings/distributed'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import type { SchemaCodec } from '@sluice/schema-codec/port'
import { expect, it } from 'vitest'
import { openStage } from './open-stage.ts'

it('waits for a registry that answers and then gives up on the first schemas', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-stage-'))
  const file = join(folder, 'log.db')
  let refused = 0
  const slow = (codec: SchemaCodec): SchemaCodec => ({
    ...{ encoder: codec.encoder.bind(codec), decode: codec.decode.bind(codec) },
    ...{ [Symbol.asyncDispose]: () => codec[Symbol.asyncDispose]() },
  })
  const env = { SLUICE_KAFKA_BROKERS: 'kafka:9092', SLUICE_SCHEMA_REGISTRY_URL: 'http://registry:8081' }
  const adapters = {
    createLog: () => createSqliteLog({ file }),
    createCodec: () => {
      const codec = slow(createSqliteCodec({ file }))
      const { encoder } = codec
      return {
        ...codec,
        encoder: (...of: Parameters<typeof encoder>) => {
          refused += 1
          const error = new SluiceError('unreachable', 'tried for 15000 ms', { retryable: true })
          return refused === 1 ? Promise.reject(error) : encoder(...of)
        },
      }
    },
  }
  const { signal } = new AbortController()
  const logger = createLogger({ name: 'test', level: 'fatal' })
  const of = { clientId: 'test', outlasts: false, logger, signal }
  await using stage = await openStage(distributedSettings(env), adapters, of)
  expect(stage.prefix).toBe('sluice')
  expect(refused).toBeGreaterThan(1)
  await rm(folder, { recursive: true })
})
