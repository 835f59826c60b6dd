/**
 * The compose file and the image, without an engine: the file is one that Compose takes, and its services get
 * a configuration that they accept. test/e2e/package.long.test.ts installs what the image is made of.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { glob, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { readConfig as readDelivery } from '@sluice/delivery/config'
import { readConfig as readConsole } from '@sluice/console/config'
import { readConfig as readDetector } from '@sluice/change-detector/config'
import { readConfig as readRenderer } from '@sluice/renderer/config'
import type { Environment } from '@sluice/runtime/environment'
import { environmentKeys } from '@sluice/secrets/vault/key-file'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CONFIGS = {
  'change-detector': readDetector,
  renderer: readRenderer,
  delivery: readDelivery,
  console: readConsole,
} as const
const IMAGE = 'deploy/Dockerfile'
const SECRETS = {
  'algolia-key': 'a-key-of-algolia',
  'encryption-key': Buffer.alloc(32, 7).toString('base64'),
  'oidc-client-secret': 'a-secret-of-the-client',
  token: 'a-token-of-the-console',
}
const TOKEN = { SLUICE_TOKEN_FILE: './token' }
const OPEN_ID = {
  SLUICE_OIDC_ISSUER: 'https://login.example.com/realms/company',
  SLUICE_OIDC_CLIENT_ID: 'sluice',
  SLUICE_OIDC_CLIENT_SECRET_FILE: './client-secret',
  SLUICE_OIDC_ROLES: 'data-team view,read; data-leads all',
}
const DURATION = /^(\d+(ms|s|m|h))+$/

const service = z.object({
  image: z.string(),
  build: z.object({ context: z.string(), dockerfile: z.string() }).optional(),
  command: z.array(z.string()).optional(),
  entrypoint: z.array(z.string()).optional(),
  user: z.string().optional(),
  environment: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
  networks: z.array(z.string()).default([]),
  network_mode: z.string().optional(),
  ports: z.array(z.string()).default([]),
  cap_drop: z.array(z.string()).default([]),
  security_opt: z.array(z.string()).default([]),
  privileged: z.never().optional(),
  cap_add: z.never().optional(),
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
  networks: z.record(z.string(), z.object({ internal: z.boolean() }).nullable()).default({}),
  secrets: z.record(z.string(), z.object({ file: z.string() })),
})
type Compose = z.infer<typeof file>

const read = (path: string): Promise<string> => readFile(join(ROOT, path), 'utf8')

let yaml: unknown
let compose: Compose
let passwords: string
let secretFiles: string
const makePasswords = (): unknown =>
  execFileSync(process.execPath, [join(ROOT, 'deploy/passwords.mjs'), passwords])
beforeAll(async () => {
  yaml = parse(await read('docker-compose.yml'), { merge: true })
  compose = file.parse(yaml)
  passwords = await mkdtemp(join(tmpdir(), 'sluice-passwords-'))
  makePasswords()
  secretFiles = await mkdtemp(join(tmpdir(), 'sluice-secrets-'))
  for (const [name, text] of Object.entries(SECRETS)) await writeFile(join(secretFiles, name), text)
})
afterAll(async () => {
  for (const folder of [passwords, secretFiles]) await rm(folder, { recursive: true, force: true })
})

const ownServices = (): (keyof typeof CONFIGS)[] => ['change-detector', 'renderer', 'delivery', 'console']
const serviceNamed = (name: string): Compose['services'][string] => {
  const found = compose.services[name]
  if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}`)
  return found
}

/** `${NAME:-default}` and `${NAME:+text}` as Compose fills them in with the variables that are set. */
const filled = (text: string, given: { readonly [name: string]: string } = {}): string =>
  text.replaceAll(/\$\{(\w+):([-+])([^}]*)\}/g, (_, name: string, sign: string, rest: string) => {
    const value = given[name] ?? ''
    if (sign === '+') return value === '' ? '' : rest
    return value === '' ? rest : value
  })

/**
 * Returns the variables that the service reads in its container. Files of secrets lie in a folder of the
 * test.
 */
const containerEnv = (name: string, given: { readonly [name: string]: string }): Environment =>
  Object.fromEntries(
    Object.entries(serviceNamed(name).environment).map(([key, value]) => [
      key,
      filled(String(value), given)
        .replace(/^\/passwords/, passwords)
        .replace(/^\/run\/secrets/, secretFiles),
    ]),
  )

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
      const { stop_grace_period: grace = '10s', image, read_only: readOnly } = serviceNamed(name)
      const config = CONFIGS[name](containerEnv(name, TOKEN))
      expect(config.kafka).toMatchObject({
        brokers: ['kafka:9092'],
        sasl: { mechanism: 'plain', username: 'sluice', password: expect.stringMatching(/^[\w-]{32}$/) },
      })
      expect(config.redis.url).toMatch(/^redis:\/\/:[\w-]{32}@redis:6379$/)
      expect(Number.parseInt(grace, 10) * 1000).toBeGreaterThan(config.shutdownTimeoutMs + 5_000)
      expect([image, readOnly]).toEqual(['sluice', true])
    }
  })

  it('lets people sign in with a token, with an OpenID provider, or with both, and nobody without', () => {
    const access = (given: { readonly [name: string]: string }): unknown =>
      readConsole(containerEnv('console', given)).access
    expect(() => access({})).toThrow('a token is wanted')
    expect(access(TOKEN)).toMatchObject({ tokens: { write: SECRETS.token }, openId: null })
    const openId = {
      clientId: 'sluice',
      clientSecret: SECRETS['oidc-client-secret'],
      scope: 'openid profile email',
      rolesClaim: 'groups',
    }
    expect(access(OPEN_ID)).toMatchObject({ tokens: { write: null }, openId })
    const chosen = {
      SLUICE_PUBLIC_URL: 'https://sluice.example.com',
      SLUICE_OIDC_ROLES_CLAIM: 'roles',
      SLUICE_OIDC_SCOPES: 'openid groups',
    }
    expect(access({ ...TOKEN, ...OPEN_ID, ...chosen })).toMatchObject({
      publicOrigin: 'https://sluice.example.com',
      tokens: { write: SECRETS.token },
      openId: { ...openId, scope: 'openid groups', rolesClaim: 'roles' },
    })
    const half = { SLUICE_OIDC_ISSUER: OPEN_ID.SLUICE_OIDC_ISSUER }
    expect(() => access({ ...TOKEN, ...half })).toThrow('also wants SLUICE_OIDC_CLIENT_ID')
  })

  it('gives the key of the vault to those that open it, once somebody names its file', () => {
    const given = { SLUICE_ENCRYPTION_KEY_FILE: './vault.key' }
    const keys = (name: string, variables: { readonly [name: string]: string }): unknown =>
      environmentKeys(containerEnv(name, variables)).known()
    for (const name of ['change-detector', 'delivery', 'console', 'sluice']) {
      expect(keys(name, {}), name).toBeNull()
      expect(keys(name, given), name).not.toBeNull()
    }
    expect(keys('renderer', given)).toBeNull()
  })

  it('starts services and files that the image has, and mounts volumes that it names', () => {
    for (const name of ownServices()) {
      expect(serviceNamed(name).command, name).toEqual(['service', name])
      expect(existsSync(join(ROOT, 'services', name, 'src/main.ts')), name).toBe(true)
    }
    expect(serviceNamed('passwords').entrypoint).toEqual(['node', '/sluice/passwords.mjs', '/passwords'])
    expect(serviceNamed('sluice').entrypoint).toEqual(['sluice', '--dir', '/project'])
    for (const [name, { build, volumes }] of Object.entries(compose.services)) {
      if (build !== undefined) expect(build.dockerfile, name).toBe(IMAGE)
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
        const once = needed === 'passwords'
        expect(condition, `${name} needs ${needed}`).toBe(
          once ? 'service_completed_successfully' : 'service_healthy',
        )
        expect(healthcheck !== undefined && 'test' in healthcheck, needed).toBe(!once)
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
        if (!/SECRET|PASSWORD|TOKEN|_KEY|REDIS_URL/.test(variable) || variable.endsWith('_FOR')) continue
        expect(variable, name).toMatch(/_FILE$/)
        const [, made] = /^\/passwords\/(.+)$/.exec(String(value)) ?? []
        if (made !== undefined) {
          expect(readdirSync(passwords), `${name}: ${variable}`).toContain(made)
          continue
        }
        const file = filled(String(value), { [variable]: './a-file' })
        expect(secrets.map(secret => `/run/secrets/${secret}`)).toContain(file)
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
    expect(redis?.command).toEqual(['redis-server', '/passwords/redis.conf', '--appendonly', 'yes'])
    expect(redis?.volumes).toContain('redis:/data')
    // The registry's topic has no retention of its own.
    expect(compose.services['kafka']?.environment['KAFKA_LOG_RETENTION_MS']).toBe(-1)
  })

  it('locks every container: a root that nothing writes to, no right of the kernel, no new ones', () => {
    for (const [name, made] of Object.entries(compose.services)) {
      expect(made.read_only, name).toBe(true)
      expect(made.cap_drop, name).toEqual(['ALL'])
      expect(made.security_opt, name).toEqual(['no-new-privileges:true'])
      expect(made.user === 'root', name).toBe(name === 'passwords')
    }
  })

  it('gives a way out only to those that need one, and shows nothing beyond this machine', () => {
    expect(compose.networks).toEqual({ inside: { internal: true }, outside: null })
    const outside = Object.entries(compose.services).filter(([, { networks }]) =>
      networks.includes('outside'),
    )
    expect(outside.map(([name]) => name).sort()).toEqual(['change-detector', 'console', 'delivery', 'sluice'])
    for (const [name, made] of Object.entries(compose.services)) {
      if (name === 'passwords') expect(made.network_mode).toBe('none')
      else expect(made.networks, name).toContain('inside')
      for (const port of made.ports) expect(port, name).toMatch(/^127\.0\.0\.1:/)
    }
  })

  it('refuses private networks, where Kafka, Redis and the registry are, to whom says nothing', () => {
    for (const name of [...ownServices(), 'sluice'])
      for (const what of ['SOURCE', 'DESTINATION'])
        expect(
          filled(String(serviceNamed(name).environment[`SLUICE_${what}_PRIVATE_NETWORKS`])),
          `${name}, ${what}`,
        ).toBe('refused')
  })

  it('lets the key of the example go to one host, that of its destination', () => {
    const grant = filled(String(serviceNamed('delivery').environment['SLUICE_SECRET_ALGOLIA_KEY_FOR']))
    const url = filled(String(serviceNamed('sluice').environment['ALGOLIA_URL']))
    expect(grant).toBe(`${new URL(url).hostname.replace('myapp', 'MYAPP')} destination`)
    expect(grant).not.toContain('*')
  })

  it('makes passwords once, in files that every user of a container reads and none writes', async () => {
    const names = readdirSync(passwords).sort()
    const texts = (): Promise<string[]> =>
      Promise.all(names.map(name => readFile(join(passwords, name), 'utf8')))
    const before = await texts()
    for (const name of names) expect(statSync(join(passwords, name)).mode & 0o777, name).toBe(0o644)
    makePasswords()
    expect(await texts()).toEqual(before)
    const [kafka, redis] = ['kafka', 'redis'].map(name => before[names.indexOf(name)])
    expect(kafka).not.toBe(redis)
    for (const { command = [], environment, volumes } of Object.values(compose.services)) {
      const used = [...command, ...Object.values(environment).map(String)].flatMap(
        text => /\/passwords\/([\w.-]+)$/.exec(text)?.[1] ?? [],
      )
      for (const name of used) expect(names).toContain(name)
      if (used.length > 0) expect(volumes).toContain('passwords:/passwords:ro')
    }
  })
})

describe('the image', () => {
  it('copies what is there and not ignored, checks its health, and does not run as root', async () => {
    const lines = (await read(IMAGE)).split('\n').filter(line => !line.startsWith('#'))
    const ignore = await read('.dockerignore')
    for (const [, sources = ''] of lines.map(line => /^COPY (?!--from)(.+) \S+$/.exec(line) ?? [])) {
      for (const source of sources.split(' ').filter(Boolean)) {
        expect(existsSync(join(ROOT, source)), source).toBe(true)
        const kept = ignore.split('\n').filter(line => `${line}/`.startsWith(`!${source}/`))
        expect(kept, source).not.toEqual([])
      }
    }
    for (const line of lines.filter(text => text.startsWith('FROM ')))
      expect(line).toMatch(/^FROM (--platform=\$BUILDPLATFORM )?node:24\.\d+\.\d+-slim( AS package)?$/)
    expect(lines).toContain('USER node')
    expect(lines.some(line => line.startsWith('HEALTHCHECK '))).toBe(true)
    expect(lines).toContain('ENTRYPOINT ["sluice"]')
    expect(lines.join('\n')).toContain('npm install --global --ignore-scripts /dist/sluice-*.tgz')
  })
})

describe('a room', () => {
  it('declares every package that its code imports', async () => {
    const builtin = new Set(builtinModules)
    const missing = new Set<string>()
    for await (const path of glob('{libs,services}/*/src/**/*.ts', { cwd: ROOT })) {
      if (/\.test\.ts$/.test(path)) continue
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
