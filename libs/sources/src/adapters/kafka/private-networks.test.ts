import { isSluiceError } from '@sluice/contracts/errors'
import type { KafkaSourceSpec, ModelSpec } from '@sluice/contracts/resources'
import { startCountingServer, type CountingServer } from '@sluice/testkit/counting-server'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSource } from '../open-source.ts'
import type { PrivateNetworks } from '../server/access.ts'

const MODEL: ModelSpec = { kind: 'model', name: 'people', source: 'cdc', topic: 'people', format: 'rows' }
const { signal } = new AbortController()

let server: CountingServer
beforeEach(async () => {
  server = await startCountingServer()
})
afterEach(() => server[Symbol.asyncDispose]())

describe('a source of topics', { timeout: 40_000 }, () => {
  async function failureAt(
    host: string,
    operator: PrivateNetworks,
    own: Partial<KafkaSourceSpec> = {},
  ): Promise<string> {
    const brokers = [`${host}:${server.port}`]
    const spec: KafkaSourceSpec = {
      kind: 'source',
      name: 'cdc',
      type: 'kafka',
      brokers,
      timeout: 3_000,
      ...own,
    }
    await using source = await openSource(spec, { secretFor: () => 'p4ssword', privateNetworks: operator })
    const error = await source.describe(MODEL, { signal }).catch((thrown: unknown) => thrown)
    return isSluiceError(error) ? `${error.code}: ${error.message}` : String(error)
  }

  it.each([
    ['127.0.0.1', {}],
    ['127.0.0.1', { tls: {} }],
    ['localhost', {}],
    ['localhost', { tls: {} }],
    ['[::ffff:127.0.0.1]', {}],
    ['2130706433', {}],
  ] as const)('does not connect to %s %o if the operator refuses private networks', async (host, own) => {
    const failure = await failureAt(host, 'refused', own)
    expect(server.connections).toBe(0)
    expect(failure).not.toBe('')
  })
})
