/**
 * A command loads only what it needs, since loading is most of what a short one costs
 * (docs/decisions/adapters-loaded-when-needed.md).
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { PROJECT } from './idle-project.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const MAIN = join(ROOT, 'services/cli/src/main.ts')
const PRINT = new URL('print-loaded.ts', import.meta.url).href
const run = promisify(execFile)

let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loaded-packages-'))
  await writeFile(join(folder, 'project.yaml'), PROJECT)
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

async function loadedBy(...args: readonly string[]): Promise<readonly string[]> {
  const { PATH, HOME } = process.env
  const node = ['--disable-warning=ExperimentalWarning', '--import', PRINT, MAIN, ...args, '--dir', folder]
  const { stderr } = await run(process.execPath, node, { env: { PATH, HOME } })
  return z.array(z.string()).parse(JSON.parse(stderr.trimEnd().split('\n').at(-1) ?? ''))
}

describe('what a command loads', () => {
  it('is for `validate` what reads YAML, schedules and templates, and nothing else', async () => {
    expect(await loadedBy('validate')).toEqual(['croner', 'liquidjs', 'yaml', 'zod'])
  })

  it('is for a run that finds nothing to send no server, no logger that nobody asked for, and no client of Kafka, Redis, a database or HTTP', async () => {
    const loaded = await loadedBy('run', 'nobody')
    expect(loaded).toContain('@duckdb/node-api')
    const clients = [
      'kafkajs',
      '@kafkajs/confluent-schema-registry',
      'ioredis',
      'pg',
      'mysql2',
      'undici',
      'nodemailer',
      'oauth4webapi',
      'fastify',
    ]
    expect(loaded.filter(name => [...clients, 'pino', 'prom-client', 'protobufjs'].includes(name))).toEqual(
      [],
    )
  })
})
