import { isSluiceError } from '@sluice/contracts/errors'
import type { ModelSpec, MysqlSourceSpec, PostgresSourceSpec } from '@sluice/contracts/resources'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startCountingServer, type CountingServer } from '@sluice/testkit/counting-server'
import { openSource } from '../open-source.ts'
import type { PrivateNetworks } from './access.ts'

const MODEL: ModelSpec = { kind: 'model', name: 'people', source: 'db', sql: 'select 1', primaryKey: 'id' }
const { signal } = new AbortController()

let server: CountingServer
beforeEach(async () => {
  server = await startCountingServer()
})
afterEach(() => server[Symbol.asyncDispose]())

describe.each(['postgres', 'mysql'] as const)('a source of type %s', type => {
  /** The failure of a query on a server of this machine, as `code: message`. */
  async function failureAt(
    host: string,
    operator: PrivateNetworks,
    own: { readonly allowPrivateNetwork?: boolean } = {},
  ): Promise<string> {
    const url = `${type}://reader@${host}:${server.port}/shop`
    const spec = { kind: 'source', name: 'db', type, url, password: '${secret:p}', ...own } as
      PostgresSourceSpec | MysqlSourceSpec
    await using source = await openSource(spec, { secretFor: () => 'p4ssword', privateNetworks: operator })
    const error = await source.describe(MODEL, { signal }).catch((thrown: unknown) => thrown)
    return isSluiceError(error) ? `${error.code}: ${error.message}` : String(error)
  }

  it.each(['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]', '2130706433'])(
    'does not connect to %s if the operator refuses private networks',
    async host => {
      expect(await failureAt(host, 'refused')).toMatch(
        /^config: Source db: cannot connect .* not (a )?public.*For a source, `allowPrivateNetwork: true` permits them$/,
      )
      expect(server.connections).toBe(0)
    },
  )

  it('connects if it allows private networks itself, unless the operator never does', async () => {
    const own = { allowPrivateNetwork: true }
    expect(await failureAt('127.0.0.1', 'refused', own)).toMatch(/^unreachable: /)
    expect(server.connections).toBe(1)
    expect(await failureAt('127.0.0.1', 'never', own)).toMatch(/SLUICE_SOURCE_PRIVATE_NETWORKS/)
    expect(server.connections).toBe(1)
  })

  it('does not connect if it refuses private networks itself, though the operator allows them', async () => {
    expect(await failureAt('127.0.0.1', 'allowed', { allowPrivateNetwork: false })).toMatch(/^config: /)
    expect(server.connections).toBe(0)
    expect(await failureAt('127.0.0.1', 'allowed')).toMatch(/^unreachable: /)
    expect(server.connections).toBe(1)
  })
})
