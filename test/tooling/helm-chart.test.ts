/**
 * The Helm chart, by the manifests that helm made of its examples (test/helm/check-chart.ts, which also asks
 * kubeconform): they keep what the chart promises, and the services take what they are given.
 */
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { readConfig as readDetector } from '@sluice/change-detector/config'
import { readConfig as readConsole } from '@sluice/console/config'
import { ALL_ROLES } from '@sluice/control/roles'
import { topicsNeeded } from '@sluice/control/health/needed-topics'
import { readConfig as readDelivery } from '@sluice/delivery/config'
import { readConfig as readRenderer } from '@sluice/renderer/config'
import { startHealthServer } from '@sluice/runtime/health-server'
import { createMetrics } from '@sluice/runtime/metrics'
import { syncGroup, syncTopics } from '@sluice/topics/topics'
import { CHART, chartDigest, DIGEST, EXAMPLES, RENDERED } from '../helm/chart-files.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CONFIGS = {
  'change-detector': readDetector,
  renderer: readRenderer,
  delivery: readDelivery,
  console: readConsole,
} as const
const SERVICES = ['change-detector', 'renderer', 'delivery', 'console'] as const
const KEY = Buffer.alloc(32, 7).toString('base64')
/** What stands in the files of secrets. */
const SECRETS: { readonly [variable: string]: string } = {
  SLUICE_SCHEMA_REGISTRY_URL: 'http://registry:8081',
  SLUICE_REDIS_URL: 'redis://redis:6379',
  SLUICE_SIGNING_KEY: KEY,
  SLUICE_ENCRYPTION_KEY: KEY,
  SLUICE_TOKENS: 'ann view,run 4f0c9a51d2e84b7c9e0d',
  SLUICE_READ_TOKEN: 'read-0123456789abcdef',
}

const named = z.object({ name: z.string() })
const probe = z.object({ httpGet: z.object({ path: z.string(), port: z.literal('http') }) })
const container = z.object({
  image: z.string(),
  args: z.array(z.string()),
  command: z.never().optional(),
  securityContext: z.unknown(),
  ports: z.tuple([z.object({ name: z.literal('http'), containerPort: z.number() })]),
  startupProbe: probe,
  livenessProbe: probe,
  readinessProbe: probe,
  lifecycle: z
    .object({
      preStop: z.object({ exec: z.object({ command: z.tuple([z.literal('sleep'), z.string()]) }) }),
    })
    .optional(),
  env: z.array(named.extend({ value: z.string().optional(), valueFrom: z.unknown().optional() })),
  resources: z.object({
    requests: z.object({ memory: z.string() }),
    limits: z.object({ memory: z.string() }),
  }),
  volumeMounts: z.array(named.extend({ mountPath: z.string() })),
})
const item = z.object({ key: z.string(), path: z.string() })
const volume = named.extend({
  projected: z
    .object({ sources: z.array(z.object({ secret: named.extend({ items: z.tuple([item]) }) })) })
    .optional(),
  emptyDir: z.unknown().optional(),
  persistentVolumeClaim: z.object({ claimName: z.string() }).optional(),
})
const deployment = z.object({
  kind: z.literal('Deployment'),
  metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()) }),
  spec: z.object({
    replicas: z.number().optional(),
    strategy: z.object({ type: z.string() }),
    template: z.object({
      spec: z.object({
        automountServiceAccountToken: z.literal(false),
        terminationGracePeriodSeconds: z.number(),
        securityContext: z.unknown(),
        containers: z.tuple([container]),
        volumes: z.array(volume),
      }),
    }),
  }),
})
const manifest = z.looseObject({
  kind: z.string(),
  metadata: z.object({
    name: z.string(),
    labels: z.record(z.string(), z.string()),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
  spec: z.unknown().optional(),
  data: z.record(z.string(), z.string()).optional(),
})
type Service = (typeof SERVICES)[number]
type Example = (typeof EXAMPLES)[number]

const MANIFESTS = new Map(
  EXAMPLES.map(example => [
    example,
    parseAllDocuments(readFileSync(join(RENDERED, `${example}.yaml`), 'utf8'))
      .filter(document => document.toJS() !== null)
      .map(document => manifest.parse(document.toJS())),
  ]),
)

function ofKind(example: Example, kind: string): z.infer<typeof manifest>[] {
  return (MANIFESTS.get(example) ?? []).filter(made => made.kind === kind)
}

/** The Deployments of an example by service, and the variables of each. */
function deploymentsOf(example: Example) {
  return ofKind(example, 'Deployment').map(made => {
    const { metadata, spec } = deployment.parse(made)
    const service = z.enum(SERVICES).parse(metadata.labels['app.kubernetes.io/component'])
    const pod = spec.template.spec
    const [main] = pod.containers
    const env = Object.fromEntries(main.env.map(({ name, value }) => [name, value]))
    return { service, name: metadata.name, spec, pod, main, env }
  })
}

const files = mkdtempSync(join(tmpdir(), 'sluice-helm-'))
afterAll(() => rmSync(files, { recursive: true }))

/** Returns the configuration that a service makes of the variables and files of its container. */
function configOf(service: Service, env: { readonly [name: string]: string | undefined }) {
  const given: { [name: string]: string } = {}
  for (const [name, value] of Object.entries(env)) {
    const variable = name.replace(/_FILE$/, '')
    // The user of Kafka may come from a Secret, and has no value here then.
    given[name] = variable === name ? (value ?? 'from-a-secret') : join(files, variable)
    if (variable !== name)
      writeFileSync(join(files, variable), SECRETS[variable] ?? `secret-of-${variable}-0123456789`)
  }
  return CONFIGS[service](given)
}

it('the manifests are made of the chart as it is: after a change run test/helm/check-chart.ts', () => {
  expect(readFileSync(DIGEST, 'utf8').trim()).toBe(chartDigest())
})

it('the chart installs the version of Sluice beside which it stands', () => {
  const { version } = z
    .object({ version: z.string() })
    .parse(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')))
  expect(parse(readFileSync(join(CHART, 'Chart.yaml'), 'utf8'))).toMatchObject({
    version,
    appVersion: version,
  })
})

describe.each(EXAMPLES)('with the values of %s', example => {
  it('each service has a Deployment that it accepts, and a budget, a Service and a NetworkPolicy', () => {
    const made = deploymentsOf(example)
    expect(made.map(({ service }) => service).sort()).toEqual([...SERVICES].sort())
    for (const { service, name, main, env } of made) {
      expect(main.args).toEqual(['service', service])
      expect(main.ports[0].containerPort).toBe(configOf(service, env).port)
      for (const kind of ['PodDisruptionBudget', 'Service', 'NetworkPolicy'])
        expect(ofKind(example, kind).map(({ metadata }) => metadata.name)).toContain(name)
    }
  })

  it('a Pod may take as long to end as its service may take to drain', () => {
    for (const { service, pod, main, env } of deploymentsOf(example)) {
      const beforeMs = Number(main.lifecycle?.preStop.exec.command[1] ?? 0) * 1000
      expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(
        beforeMs + configOf(service, env).shutdownTimeoutMs + 5_000,
      )
    }
  })

  it('a variable stands in a container once: an API server refuses one that two places set', () => {
    for (const { main } of deploymentsOf(example)) {
      const names = main.env.map(({ name }) => name)
      expect(names).toEqual([...new Set(names)])
    }
  })

  it('a Pod runs as no root, with no right of the kernel, on a root that nothing writes to', () => {
    for (const { pod, main } of deploymentsOf(example)) {
      expect(pod.securityContext).toMatchObject({
        ...{ runAsNonRoot: true, runAsUser: 1000 },
        seccompProfile: { type: 'RuntimeDefault' },
      })
      expect(main.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
    }
  })

  it('a service writes to volumes alone, and only a detector and a console keep state', () => {
    for (const { service, pod, main, env } of deploymentsOf(example)) {
      const writable = pod.volumes.filter(made => made.emptyDir !== undefined || made.persistentVolumeClaim)
      const keeps = service === 'change-detector' || service === 'console'
      expect(writable.map(({ name }) => name)).toEqual(keeps ? ['tmp', 'state'] : ['tmp'])
      const place = main.volumeMounts.find(({ name }) => name === 'state')?.mountPath
      expect(env['SLUICE_DATA_DIR'] === undefined).toBe(!keeps)
      if (place !== undefined) expect(env['SLUICE_DATA_DIR']).toMatch(`${place}/`)
    }
  })

  it('secrets are files of Secrets, and stand neither in arguments nor in variables', () => {
    const own = new Map(ofKind(example, 'Secret').map(({ metadata, data = {} }) => [metadata.name, data]))
    for (const { pod, main, env } of deploymentsOf(example)) {
      const sources = pod.volumes.find(({ name }) => name === 'secrets')?.projected?.sources ?? []
      const files = sources.map(({ secret }) => `/run/secrets/sluice/${secret.items[0].path}`)
      const named = Object.keys(env).filter(name => name.endsWith('_FILE'))
      expect(new Set(named.map(name => env[name]))).toEqual(new Set(files))
      for (const { secret } of sources)
        if (secret.name === 'sluice-values') expect(own.get(secret.name)).toHaveProperty(secret.items[0].key)
      for (const name of Object.keys(env).filter(each => /SECRET_|PASSWORD|TOKEN|_KEY|_URL/.test(each)))
        expect(name).toMatch(/_FILE$|_FOR$|^SLUICE_PUBLIC_URL$/)
      const shown = JSON.stringify([main.args, env])
      for (const value of [...own.values()].flatMap(data => Object.entries(data)))
        if (value[0] !== 'username') expect(shown).not.toContain(Buffer.from(value[1], 'base64').toString())
    }
  })
})

it('probes ask for paths that the services answer', async () => {
  await using server = await startHealthServer({
    ...{ host: '127.0.0.1', port: 0, metrics: createMetrics() },
    ready: {},
  })
  const paths = deploymentsOf('minimal').flatMap(({ main }) =>
    [main.startupProbe, main.livenessProbe, main.readinessProbe].map(({ httpGet }) => httpGet.path),
  )
  for (const path of new Set([...paths, '/metrics']))
    expect((await fetch(`http://127.0.0.1:${server.port}${path}`)).status, path).toBe(200)
  expect(ofKind('keda', 'ServiceMonitor')).toMatchObject([{ spec: { endpoints: [{ path: '/metrics' }] } }])
})

it('a secret has its grant, in the services that may have it', () => {
  const granted = deploymentsOf('external-secrets').filter(({ env }) => 'SLUICE_SECRET_CRM_TOKEN_FILE' in env)
  expect(granted.map(({ service }) => service).sort()).toEqual(['console', 'delivery'])
  for (const { env } of granted)
    expect(env['SLUICE_SECRET_CRM_TOKEN_FOR']).toBe('api.example.com destination')
})

it('people sign in to the console with the provider of the values, which other services do not know', () => {
  const knowing = deploymentsOf('external-secrets').filter(({ env }) =>
    Object.keys(env).some(name => name.startsWith('SLUICE_OIDC_')),
  )
  expect(knowing.map(({ service }) => service)).toEqual(['console'])
  const [{ env } = { env: {} }] = knowing
  expect(configOf('console', env)).toMatchObject({
    access: {
      publicOrigin: 'https://sluice.example.com',
      openId: {
        ...{ issuer: 'https://login.example.com/realms/company', clientId: 'sluice' },
        ...{
          clientSecret: expect.stringContaining('SLUICE_OIDC_CLIENT_SECRET'),
          rolesClaim: 'realm_access.roles',
        },
        rolesOf: new Map<string, ReadonlySet<string>>([
          ['data-team', new Set(['view', 'read', 'run'])],
          ['data-leads', ALL_ROLES],
        ]),
      },
    },
  })
})

it('a renderer has no way out of the cluster, as in the Compose file', () => {
  const outside = ofKind('production', 'NetworkPolicy').filter(made =>
    JSON.stringify(made).includes('0.0.0.0/0'),
  )
  expect(outside.map(({ metadata }) => metadata.name).sort()).toEqual(
    ['change-detector', 'console', 'delivery'].map(name => `sluice-${name}`),
  )
})

it('a console on a volume is replaced, and all others are replaced one by one', () => {
  for (const { service, spec } of deploymentsOf('production'))
    expect(spec.strategy.type).toBe(service === 'console' ? 'Recreate' : 'RollingUpdate')
})

it('a variable of one service counts before the value for all', () => {
  for (const { service, env } of deploymentsOf('external-secrets'))
    expect(configOf(service, env).logLevel, service).toBe(service === 'delivery' ? 'debug' : 'info')
})

it('a console gets requests for a moment longer than its Pod is to live', () => {
  const waiting = deploymentsOf('minimal').filter(({ main }) => main.lifecycle !== undefined)
  expect(waiting.map(({ service }) => service)).toEqual(['console'])
})

it('topics and the history outlive a release', () => {
  const lasting = [...ofKind('strimzi', 'KafkaTopic'), ...ofKind('production', 'PersistentVolumeClaim')]
  expect(lasting.map(({ kind }) => kind)).toContain('PersistentVolumeClaim')
  for (const { metadata } of lasting)
    expect(metadata.annotations).toMatchObject({ 'helm.sh/resource-policy': 'keep' })
})

describe('KEDA', () => {
  const scaled = z.object({
    minReplicaCount: z.number().min(1),
    triggers: z.array(z.object({ type: z.string(), metadata: z.record(z.string(), z.string()) })),
  })
  const triggersOf = (service: string) =>
    scaled.parse(
      ofKind('keda', 'ScaledObject').find(({ metadata }) => metadata.name === `sluice-${service}`)?.spec,
    ).triggers
  const incarnation = '01KQZ4W0M6S4Y0B8C2D3E4F5G6'

  it('sets the number of renderers and deliveries, which the chart then leaves alone', () => {
    for (const { service, spec } of deploymentsOf('keda'))
      expect(spec.replicas === undefined, service).toBe(service === 'renderer' || service === 'delivery')
  })

  it('asks Prometheus for a metric that delivery counts', () => {
    const [query] = triggersOf('delivery').flatMap(({ metadata }) => metadata['query'] ?? [])
    const metric = /sluice_(\w+)/.exec(query ?? '')?.[1] ?? 'none'
    const sources = globSync('libs/*/src/**/*.ts', { cwd: ROOT }).map(file =>
      readFileSync(join(ROOT, file), 'utf8'),
    )
    expect(
      sources.some(source => source.includes(`'${metric}'`)),
      metric,
    ).toBe(true)
  })

  it('asks a Prometheus that reaches the metrics', () => {
    const [server] = triggersOf('delivery').flatMap(({ metadata }) => metadata['serverAddress'] ?? [])
    const [, namespace] = new URL(server ?? '').hostname.split('.')
    const policy = ofKind('keda', 'NetworkPolicy').find(({ metadata }) => metadata.name === 'sluice-delivery')
    expect(policy?.spec).toMatchObject({
      ingress: [
        { from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } }] },
      ],
    })
  })

  it('asks Kafka for the groups and topics of the services', () => {
    const topics = syncTopics('sluice', 'customers')
    for (const [service, topic] of [
      ['renderer', topics.changes],
      ['delivery', topics.requests],
    ] as const)
      expect(triggersOf(service).filter(({ type }) => type === 'kafka')).toMatchObject([
        {
          metadata: {
            topic,
            consumerGroup: syncGroup('sluice', service, { sync: 'customers', incarnation }),
            // KEDA is in another namespace than `kafka:9092` of the release.
            bootstrapServers: 'kafka.data:9092',
            // Groups of a sync that nobody runs are forgotten, and its old records are no lag.
            offsetResetPolicy: 'latest',
          },
        },
      ])
  })
})

describe('Strimzi', () => {
  const needed = topicsNeeded(
    [
      { name: 'customers', partitions: 8 },
      { name: 'orders', partitions: 4 },
    ],
    { prefix: 'sluice', replication: 3, creates: false },
  )
  const topicOf = z.object({
    ...{ topicName: z.string(), partitions: z.number(), replicas: z.number() },
    config: z.record(z.string(), z.coerce.string()),
  })
  const userOf = z.object({
    authorization: z.object({
      acls: z.array(
        z.object({
          resource: z.object({ type: z.string(), name: z.string(), patternType: z.string() }),
          operations: z.array(z.string()),
        }),
      ),
    }),
  })

  it('makes the topics that `sluice topics --print` lists, with their settings', () => {
    const made = ofKind('strimzi', 'KafkaTopic').map(({ spec }) => topicOf.parse(spec))
    const wanted = needed.topics.map(({ topic, partitions, replication, settings }) => ({
      ...{ topicName: topic, partitions, replicas: replication },
      config: settings,
    }))
    const byName = (a: { topicName: string }, b: { topicName: string }): number =>
      a.topicName < b.topicName ? -1 : 1
    expect(made.sort(byName)).toEqual(wanted.sort(byName))
  })

  it.each([...SERVICES, 'command'] as const)('gives %s the rights that it needs, and no others', part => {
    const user = ofKind('strimzi', 'KafkaUser').find(({ metadata }) => metadata.name === `sluice-${part}`)
    const role = part === 'change-detector' ? 'detector' : part
    const wanted = needed.rights
      .filter(right => right.role === role)
      .map(({ resource, name, pattern, operations }) =>
        [resource, name, pattern === 'prefixed' ? 'prefix' : pattern, ...operations].join(' '),
      )
    const given = userOf
      .parse(user?.spec)
      .authorization.acls.map(({ resource, operations }) =>
        [
          resource.type.replace('transactionalId', 'transactional-id'),
          resource.name,
          resource.patternType,
          ...operations,
        ].join(' '),
      )
    expect(given.sort()).toEqual(wanted.sort())
  })

  it('lets each service log in as its own user, over TLS', () => {
    for (const { service, env } of deploymentsOf('strimzi'))
      expect(configOf(service, env).kafka).toMatchObject({
        ...{ createTopics: false, ssl: { ca: expect.any(String) } },
        sasl: { mechanism: 'scram-sha-512', username: `sluice-${service}` },
      })
  })
})

/** The paths of all values, as the README names them. */
function pathsOf(value: unknown, path: string): string[] {
  const entries =
    typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : []
  if (entries.length === 0 || path.endsWith('.resources') || path === 'networkPolicy.outside') return [path]
  return entries.flatMap(([key, inner]) => pathsOf(inner, path === '' ? key : `${path}.${key}`))
}

it('the README names each value, and no value that there is not', () => {
  const values: unknown = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8'))
  const there = new Set(
    pathsOf(values, '').map(path => path.replace(/^services\.[a-z-]+\./, 'services.NAME.')),
  )
  const readme = readFileSync(join(CHART, 'README.md'), 'utf8')
  const rows = [...readme.matchAll(/^\| (`[^|]+`) +\|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  )
  expect(rows.sort()).toEqual([...there].sort())
})

interface ValuesSchema {
  readonly properties?: { readonly [name: string]: ValuesSchema }
  readonly required?: readonly string[]
  readonly additionalProperties?: unknown
}

/** The paths of values that the schema does not know, or lets be null though a template needs them. */
function unguarded(value: object, schema: ValuesSchema | undefined, path: string): string[] {
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) => {
    const of = schema?.properties?.[name]
    const here = `${path}${name}`
    if (of === undefined) return [here]
    const isGroup = of.properties !== undefined
    const isNeeded = isGroup || (inner !== '' && typeof inner !== 'object')
    const found = isNeeded && schema?.required?.includes(name) !== true ? [`${here} is not required`] : []
    if (isGroup && of.additionalProperties !== false) found.push(`${here} takes any name`)
    return typeof inner === 'object' && inner !== null && isGroup
      ? [...found, ...unguarded(inner, of, `${here}.`)]
      : found
  })
}

it('the schema knows each value, and refuses a null in the place of one that a template needs', () => {
  const values = z.looseObject({}).parse(parse(readFileSync(join(CHART, 'values.yaml'), 'utf8')))
  const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8')) as ValuesSchema
  expect(unguarded(values, schema, '')).toEqual([])
})
