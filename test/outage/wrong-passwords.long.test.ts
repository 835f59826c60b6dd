/**
 * A service with a wrong password, one client after the other. No output has the password, in whatever
 * encoding: all of it at the lowest level is searched.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { realServices } from '../e2e/distributed.ts'
import { finished } from '../e2e/project-folder.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** So short a life suffices: a wrong password is known with the first answer. */
const STARTUP_TIMEOUT = '4s'
const PASSWORD = 'wr0ng/pass+word=42'
const ENCODINGS: readonly ((text: string) => string)[] = [
  text => text,
  encodeURIComponent,
  text => JSON.stringify(text).slice(1, -1),
  text => Buffer.from(text).toString('base64').replace(/=+$/, '').slice(0, -1),
  // Behind one and two other bytes, as in the text of a login.
  text => Buffer.from(`x${text}`).toString('base64').slice(2, -4),
  text => Buffer.from(`xx${text}`).toString('base64').slice(4, -4),
  text => Buffer.from(text).toString('hex'),
  text => [...Buffer.from(text)].join(','),
]
const services = realServices()

const kafka = (mechanism: string): { readonly [name: string]: string } => ({
  SLUICE_KAFKA_SASL_MECHANISM: mechanism,
  SLUICE_KAFKA_SASL_USERNAME: 'intruder',
  SLUICE_KAFKA_SASL_PASSWORD: PASSWORD,
})

async function outputOf(env: { readonly [name: string]: string }): Promise<string> {
  const { PATH, HOME } = process.env
  const flags = ['--disable-warning=ExperimentalWarning', join(ROOT, 'services/delivery/src/main.ts')]
  const child = spawn(process.execPath, flags, {
    env: {
      ...{ PATH, HOME, SLUICE_PORT: '0', SLUICE_HOST: '127.0.0.1', SLUICE_LOG_LEVEL: 'trace' },
      ...{ SLUICE_STARTUP_TIMEOUT: STARTUP_TIMEOUT, SLUICE_PREFIX: 'wrong-passwords', ...services, ...env },
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { exitCode, stdout, stderr } = await finished(child)
  expect([2, 5], stderr).toContain(exitCode)
  return stdout + stderr
}

describe.skipIf(services === null)('a wrong password of', () => {
  const registry = createServer((request, response) => {
    response.writeHead(401).end(`{"error_code":401,"message":"not ${request.headers.authorization ?? ''}"}`)
  })
  beforeAll(async () => {
    registry.listen(0, '127.0.0.1')
    await once(registry, 'listening')
  })
  afterAll(() => void registry.close())
  const login = `intruder:${encodeURIComponent(PASSWORD)}`

  it.each<[client: string, env: () => { readonly [name: string]: string }]>([
    [
      'Redis',
      () => ({ SLUICE_REDIS_URL: (services?.['SLUICE_REDIS_URL'] ?? '').replace('//', `//${login}@`) }),
    ],
    [
      'Redis behind sentinels',
      () => {
        const { host } = new URL(services?.['SLUICE_REDIS_URL'] ?? '')
        const sentinel = `sentinelPassword=${encodeURIComponent(PASSWORD)}&sentinelUsername=intruder`
        return { SLUICE_REDIS_URL: `redis+sentinel://${login}@${host}/mymaster?${sentinel}` }
      },
    ],
    [
      'a cluster of Redis',
      () => ({
        SLUICE_REDIS_URL: (services?.['SLUICE_REDIS_URL'] ?? '').replace(
          'redis://',
          `redis+cluster://${login}@`,
        ),
      }),
    ],
    [
      'the schema registry',
      () => {
        const address = registry.address()
        const port = typeof address === 'object' && address !== null ? address.port : 0
        return { SLUICE_SCHEMA_REGISTRY_URL: `http://${login}@127.0.0.1:${port}` }
      },
    ],
    ['Kafka, plain', () => kafka('plain')],
    ['Kafka, scram-sha-256', () => kafka('scram-sha-256')],
  ])('%s is in no output', async (_client, env) => {
    const output = await outputOf(env())
    expect(output).toContain('"level":60')
    const found = ENCODINGS.map(encode => encode(PASSWORD)).filter(text =>
      output.toLowerCase().includes(text.toLowerCase()),
    )
    expect(found).toEqual([])
  })
})
