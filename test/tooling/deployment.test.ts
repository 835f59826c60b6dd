/**
 * The compose file and the image, without an engine: the file is one that Compose takes, its services get a
 * configuration that they accept, and the image holds what they import.
 */
import { existsSync } from 'node:fs'
import { glob, readFile } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { readConfig as readDelivery } from '@sluice/delivery/config'
import { readConfig as readConsole } from '@sluice/console/config'
import { readConfig as readDetector } from '@sluice/change-detector/config'
import { readConfig as readRenderer } from '@sluice/renderer/config'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CONFIGS = {
  'change-detector': readDetector,
  renderer: readRenderer,
  delivery: readDelivery,
  console: readConsole,
} as const
const IMAGE = 'deploy/Dockerfile'
const DURATION = /^(\d+(ms|s|m|h))+$/

const service = z.object({
  image: z.string(),
  build: z.object({ context: z.string(), dockerfile: z.string() }).optional(),
  command: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
  healthcheck: z
    .object({ test: z.array(z.string()), interval: z.string(), timeout: z.string(), retries: z.number() })
    .or(z.object({ disable: z.literal(true) }))
    .optional(),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
  read_only: z.boolean().optional(),
  volumes: z.array(z.string()).default([]),
  stop_grace_period: z.string().optional(),
  secrets: z.array(z.string()).default([]),
  pids_limit: z.number().optional(),
  deploy: z
    .object({
      resources: z.object({
        limits: z.object({ cpus: z.string(), memory: z.string() }),
      }),
    })
    .optional(),
})
const file = z.object({
  services: z.record(z.string(), service),
  volumes: z.record(z.string(), z.null()),
  secrets: z.record(z.string(), z.object({ file: z.string() })),
})
type Compose = z.infer<typeof file>

const read = (path: string): Promise<string> => readFile(join(ROOT, path), 'utf8')

let yaml: unknown
let compose: Compose
beforeAll(async () => {
  yaml = parse(await read('docker-compose.yml'), { merge: true })
  compose = file.parse(yaml)
})

const ownServices = (): (keyof typeof CONFIGS)[] => ['change-detector', 'renderer', 'delivery', 'console']
const serviceNamed = (name: string): Compose['services'][string] => {
  const found = compose.services[name]
  if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}`)
  return found
}

/** `${NAME:-default}` as Compose fills it in where nothing is set. */
const filled = (text: string): string => text.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1')

/** Zod reads `$defs` only, and its durations are ISO 8601's; Compose's are checked apart. */
async function composeSchema(): Promise<z.ZodType> {
  const text = (await read('test/fixtures/compose-spec.json')).replaceAll('definitions', '$defs')
  const schema: Parameters<typeof z.fromJSONSchema>[0] = JSON.parse(
    text
      .replaceAll(/"format": "duration"/g, '"description": "a duration"')
      .replace(/"\$schema": "[^"]*",/, ''),
  )
  return z.fromJSONSchema(schema)
}

describe('docker-compose.yml', () => {
  it('is what the Compose Specification takes', async () => {
    const schema = await composeSchema()
    expect(schema.safeParse(yaml).error?.issues ?? []).toEqual([])
    const broken = structuredClone(compose)
    Object.assign(broken.services['kafka'] ?? {}, { healthchek: { test: ['CMD', 'true'] } })
    expect(schema.safeParse(broken).success).toBe(false)
    const waitsForNothing = { services: { a: { image: 'a', depends_on: { b: { condition: 'healthy' } } } } }
    expect(schema.safeParse(waitsForNothing).success).toBe(false)
    for (const text of JSON.stringify(yaml).matchAll(
      /"(?:interval|timeout|start_period|stop_grace_period)":"([^"]*)"/g,
    ))
      expect(text[1]).toMatch(DURATION)
  })

  it('gives each service a configuration that it accepts, and time to end', () => {
    for (const name of ownServices()) {
      const { environment, stop_grace_period: grace = '10s', image, read_only: readOnly } = serviceNamed(name)
      const env = Object.fromEntries(
        Object.entries(environment).map(([key, value]) => [key, filled(String(value))]),
      )
      // A container has the file, and this machine does not.
      const { SLUICE_TOKEN_FILE: tokenFile, ...others } = env
      const token = tokenFile === undefined ? {} : { SLUICE_TOKEN: 'x'.repeat(16) }
      const config = CONFIGS[name]({ ...others, ...token })
      expect(config.kafka.brokers).toEqual(['kafka:9092'])
      expect(Number.parseInt(grace, 10) * 1000).toBeGreaterThan(config.shutdownTimeoutMs + 5_000)
      expect([image, readOnly]).toEqual(['sluice', true])
    }
  })

  it('starts files that are there, and mounts volumes that it names', () => {
    for (const name of ownServices())
      expect(serviceNamed(name).command, name).toEqual([`services/${name}/src/main.ts`])
    for (const [name, { build, command = [], volumes }] of Object.entries(compose.services)) {
      if (build !== undefined) {
        expect(build.dockerfile, name).toBe(IMAGE)
        for (const path of command) expect(existsSync(join(ROOT, path)), path).toBe(true)
      }
      for (const volume of volumes) {
        const [from = ''] = filled(volume).split(':')
        const there = from.startsWith('.') ? existsSync(join(ROOT, from)) : from in compose.volumes
        expect(there, `${name}: ${volume}`).toBe(true)
      }
    }
  })

  it('lets nobody wait for the health of what does not tell it', () => {
    for (const [name, { depends_on: needs }] of Object.entries(compose.services)) {
      for (const [needed, { condition }] of Object.entries(needs)) {
        const { healthcheck } = serviceNamed(needed)
        expect(condition, `${name} needs ${needed}`).toBe('service_healthy')
        expect(healthcheck !== undefined && 'test' in healthcheck, needed).toBe(true)
      }
    }
    for (const name of ownServices())
      expect(Object.keys(serviceNamed(name).depends_on).sort()).toEqual(['kafka', 'redis', 'registry'])
  })

  it('pins exact versions, and lets no container take the machine', () => {
    for (const [name, { image, deploy, pids_limit: most }] of Object.entries(compose.services)) {
      if (image !== 'sluice') expect(image, name).toMatch(/:\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?$/)
      expect(deploy?.resources.limits, name).toBeDefined()
      expect(most, name).toBeGreaterThan(0)
    }
  })

  it('gives secrets as files, each with its grant, and none in an environment', () => {
    for (const [name, { environment, secrets }] of Object.entries(compose.services)) {
      for (const [variable, value] of Object.entries(environment)) {
        if (!/SECRET|PASSWORD|TOKEN|_KEY/.test(variable) || variable.endsWith('_FOR')) continue
        expect(variable, name).toMatch(/_FILE$/)
        expect(secrets.map(secret => `/run/secrets/${secret}`)).toContain(value)
        if (variable.startsWith('SLUICE_SECRET_'))
          expect(environment, name).toHaveProperty(variable.replace(/_FILE$/, '_FOR'))
      }
      for (const secret of secrets)
        expect(existsSync(join(ROOT, filled(compose.secrets[secret]?.file ?? 'none'))), secret).toBe(true)
    }
  })

  it('keeps schemas in Kafka and limits on disk', () => {
    const { registry, redis } = compose.services
    expect(registry?.environment['APICURIO_STORAGE_KIND']).toBe('kafkasql')
    expect(redis?.command).toEqual(['redis-server', '--appendonly', 'yes'])
    expect(redis?.volumes).toHaveLength(1)
  })
})

describe('the image', () => {
  it('copies what is there and not ignored, checks its health, and does not run as root', async () => {
    const lines = (await read(IMAGE)).split('\n').filter(line => !line.startsWith('#'))
    const ignore = await read('.dockerignore')
    for (const [, sources = ''] of lines.map(line => /^COPY (?!--from)(.+) \S+$/.exec(line) ?? [])) {
      for (const source of sources.split(' ').filter(Boolean)) {
        expect(existsSync(join(ROOT, source)), source).toBe(true)
        expect(ignore.split('\n'), source).toContain(`!${source}`)
      }
    }
    expect(
      lines
        .filter(line => line.startsWith('FROM '))
        .every(line => /^FROM (node:24\.\d+\.\d+-slim( AS packages)?|packages AS pages)$/.test(line)),
    ).toBe(true)
    expect(lines).toContain('USER node')
    expect(lines.some(line => line.startsWith('HEALTHCHECK '))).toBe(true)
    expect(lines.some(line => line.includes('npm ci --omit=dev'))).toBe(true)
  })

  it('has every package that its code imports', async () => {
    const builtin = new Set(builtinModules)
    const missing = new Set<string>()
    for await (const path of glob('{libs,services}/*/src/**/*.ts', { cwd: ROOT })) {
      if (/\.test\.ts$|\/contract[./]|^libs\/testkit\/|-child\.ts$|test-/.test(path)) continue
      const { dependencies = {} } = z
        .object({ dependencies: z.record(z.string(), z.string()).optional() })
        .parse(JSON.parse(await read(join(...path.split('/').slice(0, 2), 'package.json'))))
      for (const [, name = ''] of (await read(path)).matchAll(
        /^(?:import|export|\}) .*from '([^.'][^']*)'/gm,
      )) {
        const vendor = /^(@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name
        if (vendor.startsWith('@sluice') || name.startsWith('node:') || builtin.has(vendor)) continue
        if (!(vendor in dependencies)) missing.add(`${path} imports ${vendor}`)
      }
    }
    expect([...missing]).toEqual([])
  })
})
