/**
 * Processes that start before the services that they need. They wait, and say for which service and where.
 * After a set time they give up with an exit code of their own.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TcpProxy } from '@sluice/testkit/tcp-proxy'
import { realServices, SERVICE_NAMES, ServiceProcess, type ServiceName } from '../e2e/distributed.ts'
import { peopleCsv, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { projectFolder } from '../e2e/project-folder.ts'

const UNREACHABLE = 5
const MISCONFIGURED = 2
const FATAL = 60
const services = realServices()
const FILES = { 'project.yaml': peopleYaml(), 'people.csv': peopleCsv('1,Ada') }

describe.skipIf(services === null)('what is not reachable at the start', () => {
  const env = {
    ...services,
    SLUICE_PORT: '0',
    SLUICE_HOST: '127.0.0.1',
    SLUICE_PREFIX: `test-${process.pid}`,
  }
  let dataDir: string
  /** A port on which no process listens, and which no other test gets. */
  let nobody: TcpProxy
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'sluice-unreachable-'))
    nobody = await TcpProxy.start({ target: { host: '127.0.0.1', port: 1 } })
    await nobody.set({ kind: 'refuse' })
  })
  afterAll(async () => {
    await nobody?.[Symbol.asyncDispose]()
    await rm(dataDir, { recursive: true, force: true })
  })

  const start = (name: ServiceName, more: { readonly [name: string]: string }): ServiceProcess => {
    const started = new ServiceProcess(name, name, { ...env, SLUICE_DATA_DIR: dataDir, ...more })
    started.spawn()
    return started
  }

  const missing = (): readonly (readonly [what: string, env: { readonly [name: string]: string }])[] => [
    ['the schema registry', { SLUICE_SCHEMA_REGISTRY_URL: `http://user:s3cret@127.0.0.1:${nobody.port}` }],
    ['Kafka', { SLUICE_KAFKA_BROKERS: `127.0.0.1:${nobody.port}` }],
    ['Redis', { SLUICE_REDIS_URL: `redis://127.0.0.1:${nobody.port}` }],
  ]

  // These processes mostly wait, so they can run at once.
  it.concurrent.each(SERVICE_NAMES)('ends %s with exit code 5 and says its address', async name => {
    const each = missing().map(async ([what, gone]) => {
      await using started = start(name, { ...gone, SLUICE_STARTUP_TIMEOUT: '5s' })
      expect(await started.ended, `${name} without ${what}`).toBe(UNREACHABLE)
      const fatal = started.log.findLast(({ level }) => level === FATAL)
      expect(fatal?.msg).toContain(what)
      expect(fatal?.msg).toContain(`127.0.0.1:${nobody.port}`)
      expect(
        started.log.some(({ msg }) => msg.includes(`waiting for ${what}`)),
        'no word while it waits',
      ).toBe(true)
      expect(JSON.stringify(started.log), 'a password is in the log').not.toContain('s3cret')
    })
    await Promise.all(each)
  })

  it.concurrent.each([
    ['/99', 'has no such database'],
    ['?wrong=1', 'there is no option wrong'],
  ])('ends a service at once with exit code 2 if Redis can never serve it: %s', async (end, why) => {
    const url = `${services?.['SLUICE_REDIS_URL'] ?? ''}${end}`
    await using started = start('delivery', { SLUICE_REDIS_URL: url, SLUICE_STARTUP_TIMEOUT: '60s' })
    expect(await started.ended).toBe(MISCONFIGURED)
    expect(started.log.findLast(({ level }) => level === FATAL)?.msg).toContain(why)
  })

  it.concurrent.each(['the schema registry', 'Kafka'])(
    'ends `sluice run` with exit code 5 and says its address',
    async what => {
      const [, gone] = missing().find(([name]) => name === what) ?? []
      await using project = await projectFolder({
        files: FILES,
        env: { ...env, ...gone, API_URL: 'http://127.0.0.1:1', SLUICE_STARTUP_TIMEOUT: '2s' },
      })
      const { exitCode, code, message } = await project.error('run', SYNC)
      expect({ exitCode, code }).toEqual({ exitCode: UNREACHABLE, code: 'unreachable' })
      expect(message).toContain(what)
      expect(message).toContain(`127.0.0.1:${nobody.port}`)
      expect(message).not.toContain('s3cret')
    },
  )

  it('is waited for, and work begins once it answers', async () => {
    const { hostname, port, pathname } = new URL(services?.['SLUICE_SCHEMA_REGISTRY_URL'] ?? '')
    await using later = await TcpProxy.start({ target: { host: hostname, port: Number(port) } })
    await later.set({ kind: 'refuse' })
    const url = `http://127.0.0.1:${later.port}${pathname}`
    await using started = start('renderer', { SLUICE_SCHEMA_REGISTRY_URL: url })
    await started.logged(({ msg }) => msg.includes('waiting for the schema registry'))
    expect(await readiness(started)).toBe(503)
    await later.set({ kind: 'pass' })
    await started.logged(({ msg }) => msg === 'started')
    expect(await readiness(started)).toBe(200)
    expect(await started.stop()).toBe(0)
  })

  it('is given up at once when the process is told to end', async () => {
    const [, gone] = missing()[0] ?? []
    await using started = start('delivery', { ...gone })
    await started.logged(({ msg }) => msg.includes('waiting for the schema registry'))
    expect(await started.stop()).toBe(0)
  })
})

async function readiness({ url }: ServiceProcess): Promise<number> {
  const answer = await fetch(`${url}/readyz`)
  await answer.arrayBuffer()
  return answer.status
}
