import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
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

let cwd = ''
let address = ''
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'sluice-redis-'))
  address = await freeAddress()
  expect(await call('init', '.')).toMatchObject({ code: 0 })
})
afterEach(async () => {
  await rm(cwd, { recursive: true })
})

async function call(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', '']
  const env = { SLUICE_REDIS_URL: `redis://somebody:pass@${address}`, SLUICE_STARTUP_TIMEOUT: '2s' }
  const stdout = { write: (text: string) => (out += text), isTTY: false }
  const stderr = { write: (text: string) => (err += text), isTTY: false }
  const { signal } = new AbortController()
  const code = await runCli({ argv, cwd, command: 'sluice', env, stdout, stderr, signal })
  return { code, out, err }
}

describe('in a folder whose Redis does not answer', { timeout: 60_000 }, () => {
  it('a run says so from the beginning', async () => {
    const { code, err } = await call('run', 'customers')
    expect(err).toContain(`Redis at redis://${address} does not answer yet`)
    expect(err).not.toContain('change-detector')
    expect(err).not.toContain('pass')
    expect(err).toContain(`error: Redis at redis://${address} did not answer within 2000 ms`)
    expect(code).toBe(5)
  })

  it('doctor finds it', async () => {
    const { code, out } = await call('doctor')
    expect(out).toContain(`Redis at redis://${address} does not answer`)
    expect(out).not.toContain('pass')
    expect(code).toBe(5)
  })
})
