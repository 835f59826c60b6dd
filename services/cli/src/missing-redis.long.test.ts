import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { runCli } from './run-cli.ts'

/** An address at which nobody listens. */
async function freeAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return `127.0.0.1:${port}`
}

it('a run whose Redis does not answer says so from the beginning', async () => {
  const cwd = await mkdtemp(join(tmpdir(), 'sluice-redis-'))
  const address = await freeAddress()
  const env = { SLUICE_REDIS_URL: `redis://somebody:pass@${address}`, SLUICE_STARTUP_TIMEOUT: '2s' }
  const call = async (...argv: string[]): Promise<{ code: number; err: string }> => {
    let err = ''
    const stderr = { write: (text: string) => (err += text), isTTY: false }
    const stdout = { write: () => undefined, isTTY: false }
    const { signal } = new AbortController()
    return { code: await runCli({ argv, cwd, command: 'sluice', env, stdout, stderr, signal }), err }
  }
  expect(await call('init', '.')).toMatchObject({ code: 0 })
  const { code, err } = await call('run', 'customers')
  expect(err).toContain(`Redis at redis://${address} does not answer yet`)
  expect(err).not.toContain('change-detector')
  expect(err).not.toContain('pass')
  expect(err).toContain(`error: Redis at redis://${address} did not answer within 2000 ms`)
  expect(code).toBe(5)
  await rm(cwd, { recursive: true })
})
